//! Programs as trees, and as C.
//!
//! All arithmetic is on `unsigned long`, divisors are odd, shifts are masked, loops are counted and functions call only
//! earlier ones: every program ends and none has undefined behaviour.

use std::fmt::Write;

/// An expression.
#[derive(Clone, Debug)]
pub(super) enum Expr {
    /// A number.
    Number(u64),
    /// A parameter or a local variable, by number.
    Local(usize),
    /// A static variable of the unit.
    State(usize),
    /// An element of a constant table.
    Table(usize, Box<Expr>),
    /// A binary operation, by index into [`OPERATORS`].
    Binary(usize, Box<Expr>, Box<Expr>),
    /// A call of an earlier function.
    Call(usize, Vec<Expr>),
    /// The weight of a string.
    Text(usize),
    /// A value that went through floating point.
    Float(Box<Expr>, u32),
}

/// The operators; `%1` and `%2` stand for the operands.
pub(super) const OPERATORS: [&str; 12] = [
    "(%1 + %2)",
    "(%1 - %2)",
    "(%1 * %2)",
    "(%1 ^ %2)",
    "(%1 & %2)",
    "(%1 | %2)",
    "(%1 / (%2 | 1))",
    "(%1 % (%2 | 1))",
    "(%1 << (%2 & 15))",
    "(%1 >> (%2 & 15))",
    "(%1 < %2)",
    "(%1 == %2)",
];

/// A statement.
#[derive(Clone, Debug)]
pub(super) enum Stmt {
    /// Gives a local variable a value.
    Local(usize, Expr),
    /// Adds to a static variable.
    State(usize, Expr),
    /// Two branches.
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    /// So many times.
    Loop(u64, Vec<Stmt>),
    /// One of several, by remainder.
    Switch(Expr, Vec<Vec<Stmt>>),
}

/// A function with parameters `v0`, `v1`, ... and as many locals as make up [`LOCALS`].
#[derive(Clone, Debug)]
pub(super) struct Function {
    /// The number in its name.
    pub label: usize,
    /// How many of the locals are parameters.
    pub parameters: usize,
    /// Attributes and `static`, or not.
    pub prefix: &'static str,
    /// Its code.
    pub body: Vec<Stmt>,
    /// What it returns.
    pub result: Expr,
    /// Reached through a table of pointers.
    pub by_pointer: bool,
}

/// Variables of each function.
pub(super) const LOCALS: usize = 4;
/// Elements of each constant table.
pub(super) const TABLE: usize = 8;

/// A source file.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// Initial values of the static variables.
    pub states: Vec<u64>,
    /// How many of them the unmutated unit has; the others begin with the patch.
    pub kept: usize,
    /// Constant tables.
    pub tables: Vec<[u64; TABLE]>,
    /// Strings.
    pub texts: Vec<String>,
    /// The functions; the last one is the entry.
    pub functions: Vec<Function>,
    /// The order in which they are written down, and comment lines before them.
    pub order: Vec<usize>,
    /// Lines of comment at the top.
    pub comments: usize,
}

impl Unit {
    /// The unit as C; global names begin with `name`.
    #[must_use]
    pub(super) fn source(&self, name: &str) -> String {
        let mut text = "/* comment */\n".repeat(self.comments);
        let mut printer = Printer {
            unit: self,
            text: &mut text,
        };
        printer.data(name);
        printer.functions(name);
        text
    }
}

struct Printer<'p> {
    unit: &'p Unit,
    text: &'p mut String,
}

impl Printer<'_> {
    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn data(&mut self, name: &str) {
        self.line("#include <string.h>");
        self.line("typedef unsigned long u;");
        for (index, value) in self.unit.states.iter().enumerate() {
            self.line(&format!("static u s{index} = {value}u;"));
        }
        for (index, table) in self.unit.tables.iter().enumerate() {
            let values: Vec<String> = table.iter().map(|value| format!("{value}u")).collect();
            self.line(&format!(
                "static const u t{index}[] = {{{}}};",
                values.join(", ")
            ));
        }
        self.line(
            "__attribute__((noipa)) static u weigh(const char *text) {\n    u sum = strlen(text);\n    \
             for (; *text; text++) sum = sum * 31 + (unsigned char)*text;\n    return sum;\n}",
        );
        // The host reads and sets what a unit remembers.
        let kept = self.unit.kept;
        let places: Vec<String> = (0..kept).map(|index| format!("&s{index}")).collect();
        self.line(&format!("u *{name}_state(u index);"));
        self.line(&format!(
            "u *{name}_state(u index) {{\n    u *const places[] = {{{}}};\n    \
             return index < {kept} ? places[index] : 0;\n}}",
            places.join(", ")
        ));
    }

    fn functions(&mut self, name: &str) {
        for function in &self.unit.functions {
            self.line(&format!("{};", head(function)));
        }
        for function in self.unit.functions.iter().filter(|f| f.by_pointer) {
            let label = function.label;
            self.line(&format!("static u (*p{label})() = (u (*)())f{label};"));
        }
        for index in self.unit.order.clone() {
            let function = &self.unit.functions[index];
            let mut body = format!("{} {{\n", head(function));
            let locals: Vec<String> = (function.parameters..LOCALS)
                .map(|local| format!("v{local} = {local}"))
                .collect();
            if !locals.is_empty() {
                let _ = writeln!(body, "    u {};", locals.join(", "));
            }
            block(self.unit, &function.body, 1, &mut body);
            let _ = writeln!(body, "    return {};\n}}", self.unit.show(&function.result));
            self.text.push_str(&body);
        }
        if let Some(entry) = self.unit.functions.last() {
            let rest = ", x ^ 5".repeat(entry.parameters - 1);
            let label = entry.label;
            self.line(&format!("u {name}_step(u x);"));
            self.line(&format!(
                "u {name}_step(u x) {{ return f{label}(x{rest}); }}"
            ));
        }
    }
}

fn head(function: &Function) -> String {
    let parameters: Vec<String> = (0..function.parameters)
        .map(|n| format!("u v{n}"))
        .collect();
    let Function { prefix, label, .. } = function;
    format!("{prefix} u f{label}({})", parameters.join(", "))
}

fn block(unit: &Unit, statements: &[Stmt], depth: usize, out: &mut String) {
    let pad = "    ".repeat(depth);
    for statement in statements {
        // Writing to a string cannot fail.
        let _ = match statement {
            Stmt::Local(local, value) => writeln!(out, "{pad}v{local} = {};", unit.show(value)),
            Stmt::State(state, value) => writeln!(out, "{pad}s{state} += {};", unit.show(value)),
            Stmt::If(condition, yes, no) => {
                let _ = writeln!(out, "{pad}if ({}) {{", unit.show(condition));
                block(unit, yes, depth + 1, out);
                let _ = writeln!(out, "{pad}}} else {{");
                block(unit, no, depth + 1, out);
                writeln!(out, "{pad}}}")
            }
            Stmt::Loop(count, body) => {
                let _ = writeln!(
                    out,
                    "{pad}for (u i{depth} = 0; i{depth} < {count}; i{depth}++) {{"
                );
                block(unit, body, depth + 1, out);
                writeln!(out, "{pad}}}")
            }
            Stmt::Switch(value, cases) => {
                let _ = writeln!(
                    out,
                    "{pad}switch ({} % {}) {{",
                    unit.show(value),
                    cases.len()
                );
                for (index, body) in cases.iter().enumerate() {
                    let _ = writeln!(out, "{pad}case {index}:");
                    block(unit, body, depth + 1, out);
                    let _ = writeln!(out, "{pad}    break;");
                }
                writeln!(out, "{pad}}}")
            }
        };
    }
}

impl Unit {
    fn show(&self, expression: &Expr) -> String {
        match expression {
            Expr::Number(value) => format!("{value}u"),
            Expr::Local(local) => format!("v{local}"),
            Expr::State(state) => format!("s{state}"),
            Expr::Table(table, index) => format!("t{table}[{} & {}]", self.show(index), TABLE - 1),
            Expr::Binary(operator, left, right) => OPERATORS[*operator]
                .replace("%1", &self.show(left))
                .replace("%2", &self.show(right)),
            Expr::Call(function, arguments) => {
                let arguments: Vec<String> = arguments.iter().map(|one| self.show(one)).collect();
                let arguments = arguments.join(", ");
                let callee = &self.functions[*function];
                let label = callee.label;
                if callee.by_pointer {
                    let types = vec!["u"; callee.parameters].join(", ");
                    format!("((u (*)({types}))p{label})({arguments})")
                } else {
                    format!("f{label}({arguments})")
                }
            }
            Expr::Text(text) => format!("weigh(\"{}\")", self.texts[*text]),
            Expr::Float(value, factor) => {
                format!("(u)((double)({} & 65535) * {factor}.625)", self.show(value))
            }
        }
    }
}
