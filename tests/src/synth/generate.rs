//! Making programs up.

use super::tree::{Expr, Function, LOCALS, OPERATORS, Stmt, TABLE, Unit};
use crate::random::Random;

/// What functions may be: inlined at will, kept apart, or seen by other files.
pub(super) const PREFIXES: [&str; 4] = [
    "static",
    "__attribute__((noinline)) static",
    "__attribute__((noipa)) static",
    "static inline",
];
const WORDS: [&str; 8] = [
    "alpha",
    "beta",
    "gamma",
    "delta: %d",
    "a longer text with blanks",
    "x",
    "gamma delta",
    "ta",
];

/// Makes up units.
#[derive(Debug)]
pub(super) struct Maker<'r> {
    pub random: &'r mut Random,
}

/// What an expression may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    /// Functions before this one may be called.
    pub functions: usize,
    /// How deep expressions may still nest.
    pub depth: usize,
}

impl Maker<'_> {
    pub(super) fn unit(&mut self) -> Unit {
        let states: Vec<u64> = (0..3).map(|_| self.number()).collect();
        let mut unit = Unit {
            kept: states.len(),
            states,
            tables: (0..2).map(|_| self.table()).collect(),
            texts: (0..3)
                .map(|_| (*self.random.pick(&WORDS)).to_owned())
                .collect(),
            functions: Vec::new(),
            order: Vec::new(),
            comments: 1,
        };
        for index in 0..4 + self.random.below(4) {
            let function = self.function(&unit, index);
            unit.functions.push(function);
            unit.order.push(index);
        }
        unit
    }

    pub(super) fn function(&mut self, unit: &Unit, index: usize) -> Function {
        let scope = Scope {
            functions: index,
            depth: 2,
        };
        let count = 2 + self.random.below(4);
        let mut result = self.expression(unit, scope);
        // All that a function computes matters, and all functions are called.
        for local in 0..LOCALS {
            result = mix(result, Expr::Local(local));
        }
        if let Some(before) = index
            .checked_sub(1)
            .filter(|before| *before < unit.functions.len())
        {
            let call = self.call(unit, before, Scope { depth: 0, ..scope });
            result = mix(result, call);
        }
        Function {
            label: index,
            parameters: 1 + self.random.below(3),
            prefix: self.random.pick::<&str>(&PREFIXES),
            body: self.block(unit, scope, count),
            result,
            by_pointer: self.random.once_in(6),
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        match self.random.below(3) {
            0 => self.random.below(10) as u64,
            1 => self.random.below(1000) as u64,
            _ => self.random.below(1 << 30) as u64,
        }
    }

    pub(super) fn table(&mut self) -> [u64; TABLE] {
        std::array::from_fn(|_| self.number())
    }

    fn block(&mut self, unit: &Unit, scope: Scope, count: usize) -> Vec<Stmt> {
        (0..count).map(|_| self.statement(unit, scope)).collect()
    }

    pub(super) fn statement(&mut self, unit: &Unit, scope: Scope) -> Stmt {
        let inner = Scope {
            depth: scope.depth.saturating_sub(1),
            ..scope
        };
        let kind = if scope.depth == 0 {
            self.random.below(2)
        } else {
            self.random.below(6)
        };
        match kind {
            1 => Stmt::State(
                self.random.below(unit.states.len()),
                self.expression(unit, inner),
            ),
            2 | 3 => {
                let condition = self.expression(unit, inner);
                Stmt::If(
                    condition,
                    self.block(unit, inner, 2),
                    self.block(unit, inner, 1),
                )
            }
            4 => Stmt::Loop(1 + self.random.below(9) as u64, self.block(unit, inner, 1)),
            5 => {
                let value = self.expression(unit, inner);
                let cases = 2 + self.random.below(7);
                Stmt::Switch(
                    value,
                    (0..cases).map(|_| self.block(unit, inner, 1)).collect(),
                )
            }
            _ => Stmt::Local(self.random.below(LOCALS), self.expression(unit, inner)),
        }
    }

    pub(super) fn expression(&mut self, unit: &Unit, scope: Scope) -> Expr {
        let inner = Scope {
            depth: scope.depth.saturating_sub(1),
            ..scope
        };
        let kind = if scope.depth == 0 {
            self.random.below(3)
        } else {
            self.random.below(11)
        };
        match kind {
            0 => Expr::Number(self.number()),
            1 => Expr::Local(self.random.below(LOCALS)),
            2 => Expr::State(self.random.below(unit.states.len())),
            3 => {
                let table = self.random.below(unit.tables.len());
                Expr::Table(table, Box::new(self.expression(unit, inner)))
            }
            4 if scope.functions > 0 => {
                let callee = self.random.below(scope.functions);
                self.call(unit, callee, inner)
            }
            5 => Expr::Text(self.random.below(unit.texts.len())),
            6 => Expr::Float(
                Box::new(self.expression(unit, inner)),
                self.random.below(50) as u32,
            ),
            _ => {
                let operator = self.random.below(OPERATORS.len());
                let (left, right) = (self.expression(unit, inner), self.expression(unit, inner));
                Expr::Binary(operator, Box::new(left), Box::new(right))
            }
        }
    }

    pub(super) fn call(&mut self, unit: &Unit, callee: usize, scope: Scope) -> Expr {
        let count = unit.functions[callee].parameters;
        Expr::Call(
            callee,
            (0..count).map(|_| self.expression(unit, scope)).collect(),
        )
    }
}

fn mix(one: Expr, other: Expr) -> Expr {
    let sum = Expr::Binary(2, Box::new(one), Box::new(Expr::Number(31)));
    Expr::Binary(0, Box::new(sum), Box::new(other))
}
