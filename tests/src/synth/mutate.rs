//! Changing a program as a fix would.

use super::generate::{Maker, PREFIXES, Scope};
use super::tree::{Expr, Function, OPERATORS, Stmt, Unit};
use crate::random::Random;

/// What was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutation {
    /// A number, operator or operand in some expression.
    Expression,
    /// A statement was added.
    Statement,
    /// A statement was removed.
    Removal,
    /// A condition was turned round.
    Condition,
    /// A case was added to a switch, or a branch to a function.
    Case,
    /// A function was added and is called.
    Function,
    /// A static variable was added and is used.
    Variable,
    /// A text changed.
    Text,
    /// An element of a constant table changed.
    Table,
    /// A function has another parameter.
    Parameter,
    /// Comments and the order of functions: nothing.
    Nothing,
    /// The initial value of a live variable.
    InitialValue,
}

/// What happens how often, of [`WEIGHTS`]' sum.
const WEIGHTS: [(Mutation, usize); 12] = [
    (Mutation::Expression, 22),
    (Mutation::Statement, 18),
    (Mutation::Removal, 8),
    (Mutation::Condition, 10),
    (Mutation::Case, 8),
    (Mutation::Function, 10),
    (Mutation::Variable, 7),
    (Mutation::Text, 5),
    (Mutation::Table, 5),
    (Mutation::Parameter, 4),
    (Mutation::Nothing, 2),
    (Mutation::InitialValue, 1),
];

/// Changes the unit somehow and tells how.
pub(super) fn mutate(unit: &mut Unit, random: &mut Random) -> Mutation {
    let total: usize = WEIGHTS.iter().map(|(_, weight)| weight).sum();
    let mut ticket = random.below(total);
    let chosen = WEIGHTS.iter().find(|(_, weight)| {
        let hit = ticket < *weight;
        ticket = ticket.saturating_sub(*weight);
        hit
    });
    let mutation = chosen.map_or(Mutation::Statement, |(mutation, _)| *mutation);
    let mut changer = Changer {
        maker: Maker { random },
    };
    if changer.apply(unit, mutation) {
        return mutation;
    }
    // There was nothing of that kind to change; a statement can always be added.
    changer.apply(unit, Mutation::Statement);
    Mutation::Statement
}

struct Changer<'r> {
    maker: Maker<'r>,
}

impl Changer<'_> {
    fn apply(&mut self, unit: &mut Unit, mutation: Mutation) -> bool {
        let index = self.maker.random.below(unit.functions.len());
        let scope = Scope {
            functions: index,
            depth: 2,
        };
        match mutation {
            Mutation::Expression => self.expression(unit, index),
            Mutation::Statement => {
                let statement = self.maker.statement(unit, scope);
                let body = &mut unit.functions[index].body;
                body.insert(self.maker.random.below(body.len() + 1), statement);
                true
            }
            Mutation::Removal => {
                let body = &mut unit.functions[index].body;
                let removed = !body.is_empty();
                if removed {
                    body.remove(self.maker.random.below(body.len()));
                }
                removed
            }
            Mutation::Condition => turn(&mut unit.functions[index].body),
            Mutation::Case => {
                let fresh = self.maker.statement(unit, Scope { depth: 0, ..scope });
                add_case(&mut unit.functions[index].body, &fresh)
            }
            Mutation::Function => self.function(unit),
            Mutation::Variable => {
                unit.states.push(self.maker.number());
                let state = unit.states.len() - 1;
                let value = self.maker.expression(unit, scope);
                let function = &mut unit.functions[index];
                function.body.push(Stmt::State(state, value));
                let result = Box::new(function.result.clone());
                function.result = Expr::Binary(3, result, Box::new(Expr::State(state)));
                true
            }
            Mutation::Text => {
                let text = self.maker.random.below(unit.texts.len());
                unit.texts[text].push_str(" and more");
                true
            }
            Mutation::Table => {
                let table = self.maker.random.below(unit.tables.len());
                unit.tables[table] = self.maker.table();
                true
            }
            Mutation::Parameter => self.parameter(unit),
            Mutation::Nothing => {
                unit.comments += 3;
                let count = unit.order.len();
                unit.order.rotate_left(self.maker.random.below(count));
                true
            }
            Mutation::InitialValue => {
                unit.states[0] ^= 1;
                true
            }
        }
    }

    fn expression(&mut self, unit: &mut Unit, index: usize) -> bool {
        let scope = Scope {
            functions: index,
            depth: 1,
        };
        let fresh = self.maker.expression(unit, scope);
        let operator = self.maker.random.below(OPERATORS.len());
        let result = &mut unit.functions[index].result;
        match result {
            Expr::Number(value) => *value ^= 9,
            Expr::Binary(old, _, right) if *old != operator => {
                *old = operator;
                **right = fresh;
            }
            _ => {
                let old = Box::new(result.clone());
                *result = Expr::Binary(operator, old, Box::new(fresh));
            }
        }
        true
    }

    /// Adds a function between the others' calls: the entry calls it.
    fn function(&mut self, unit: &mut Unit) -> bool {
        let entry = unit.functions.len() - 1;
        let mut fresh = self.maker.function(unit, entry);
        fresh.prefix = self.maker.random.pick::<&str>(&PREFIXES);
        fresh.by_pointer = false;
        fresh.label = 100 + entry;
        unit.functions.push(fresh);
        let added = entry + 1;
        unit.order.insert(0, added);
        let call = self.maker.call(
            unit,
            added,
            Scope {
                functions: 0,
                depth: 0,
            },
        );
        // The entry must be the last one: the two change places.
        unit.functions.swap(entry, added);
        for place in &mut unit.order {
            *place = match *place {
                one if one == entry => added,
                one if one == added => entry,
                other => other,
            };
        }
        let function = &mut unit.functions[added];
        let call = match call {
            Expr::Call(_, arguments) => Expr::Call(entry, arguments),
            other => other,
        };
        let result = Box::new(function.result.clone());
        function.result = Expr::Binary(0, result, Box::new(call));
        true
    }

    fn parameter(&mut self, unit: &mut Unit) -> bool {
        let count = unit.functions.len();
        let candidate = (0..count - 1).find(|index| {
            let function = &unit.functions[*index];
            function.parameters < 3 && !function.by_pointer
        });
        let Some(index) = candidate else {
            return false;
        };
        unit.functions[index].parameters += 1;
        let number = Expr::Number(self.maker.number());
        for function in &mut unit.functions {
            each(function, &mut |expression| {
                if let Expr::Call(callee, arguments) = expression
                    && *callee == index
                {
                    arguments.push(number.clone());
                }
            });
        }
        true
    }
}

fn turn(body: &mut [Stmt]) -> bool {
    for statement in body {
        match statement {
            Stmt::If(condition, ..) => {
                let old = Box::new(condition.clone());
                *condition = Expr::Binary(11, old, Box::new(Expr::Number(0)));
                return true;
            }
            Stmt::Loop(count, _) => {
                *count += 2;
                return true;
            }
            _ => {}
        }
    }
    false
}

fn add_case(body: &mut [Stmt], fresh: &Stmt) -> bool {
    for statement in body {
        let added = match statement {
            Stmt::Switch(_, cases) => {
                cases.push(vec![fresh.clone()]);
                true
            }
            Stmt::If(_, yes, no) => add_case(yes, fresh) || add_case(no, fresh),
            Stmt::Loop(_, inner) => add_case(inner, fresh),
            _ => false,
        };
        if added {
            return true;
        }
    }
    false
}

/// Visits every expression of a function.
fn each(function: &mut Function, visit: &mut impl FnMut(&mut Expr)) {
    each_in(&mut function.body, visit);
    inside(&mut function.result, visit);
}

fn each_in(body: &mut [Stmt], visit: &mut impl FnMut(&mut Expr)) {
    for statement in body {
        match statement {
            Stmt::Local(_, value) | Stmt::State(_, value) => inside(value, visit),
            Stmt::If(condition, yes, no) => {
                inside(condition, visit);
                each_in(yes, visit);
                each_in(no, visit);
            }
            Stmt::Loop(_, body) => each_in(body, visit),
            Stmt::Switch(value, cases) => {
                inside(value, visit);
                cases.iter_mut().for_each(|case| each_in(case, visit));
            }
        }
    }
}

fn inside(expression: &mut Expr, visit: &mut impl FnMut(&mut Expr)) {
    match expression {
        Expr::Table(_, inner) | Expr::Float(inner, _) => inside(inner, visit),
        Expr::Binary(_, left, right) => {
            inside(left, visit);
            inside(right, visit);
        }
        Expr::Call(_, arguments) => arguments.iter_mut().for_each(|one| inside(one, visit)),
        _ => {}
    }
    visit(expression);
}
