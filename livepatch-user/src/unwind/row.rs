//! How to leave one frame: a row of call-frame information, decoded once and kept by instruction pointer.

use super::registers::{CALLEE_SAVED, Number, RETURN_ADDRESS};
use gimli::{CfaRule, RegisterRule, UnwindExpression, UnwindTableRow};

/// What the call-frame information says about one address.
#[derive(Clone, Debug)]
pub(crate) enum Row {
    /// The form that nearly all rows have.
    Plain(PlainRow),
    /// Anything else that DWARF can say.
    General(Box<GeneralRow>),
    /// `rt_sigreturn` without call-frame information (musl): the stack pointer is at the kernel's `ucontext`.
    SignalReturn,
    /// The return address is undefined: nothing called this frame.
    Outermost,
}

/// The frame address is a register plus an offset, the return address lies right below it, and some of the registers
/// that a callee preserves were saved at fixed distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlainRow {
    pub(crate) cfa_register: Number,
    pub(crate) cfa_offset: i32,
    /// Distance from the frame address of each of [`CALLEE_SAVED`], [`NOT_SAVED`] where it still has its value.
    pub(crate) saved: [i32; CALLEE_SAVED.len()],
}

/// No distance that a [`PlainRow`] uses.
pub(crate) const NOT_SAVED: i32 = i32::MIN;

/// A row with every rule spelled out.
#[derive(Clone, Debug)]
pub(crate) struct GeneralRow {
    /// The frame was made by the kernel to deliver a signal; its caller's instruction pointer is exact.
    pub(crate) signal: bool,
    pub(crate) cfa: Cfa,
    pub(crate) rules: Vec<(Number, RegisterRule<usize>)>,
}

/// The frame address.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cfa {
    Offset(Number, i64),
    Expression(UnwindExpression<usize>),
}

impl Row {
    /// Decodes what gimli found. `signal` is the augmentation `S`.
    pub(crate) fn decode(row: &UnwindTableRow<usize>, signal: bool) -> Self {
        let return_rule = row.register(gimli::Register(RETURN_ADDRESS));
        if return_rule == Some(RegisterRule::Undefined) {
            return Self::Outermost;
        }
        match plain(row) {
            Some(plain) if !signal => Self::Plain(plain),
            _ => Self::General(Box::new(general(row, signal))),
        }
    }

    /// Whether the frame was made to deliver a signal.
    pub(crate) fn is_signal(&self) -> bool {
        match self {
            Self::SignalReturn => true,
            Self::General(row) => row.signal,
            Self::Plain(_) | Self::Outermost => false,
        }
    }
}

fn plain(row: &UnwindTableRow<usize>) -> Option<PlainRow> {
    let CfaRule::RegisterAndOffset { register, offset } = row.cfa() else {
        return None;
    };
    if row.register(gimli::Register(RETURN_ADDRESS)) != Some(RegisterRule::Offset(-8)) {
        return None;
    }
    let mut saved = [NOT_SAVED; CALLEE_SAVED.len()];
    for (register, rule) in row.registers() {
        let slot = CALLEE_SAVED.iter().position(|number| *number == register.0);
        match (slot, rule) {
            (Some(slot), RegisterRule::Offset(offset)) => {
                saved[slot] = i32::try_from(*offset).ok()?;
            }
            (Some(_), RegisterRule::SameValue) => {}
            (None, _) if register.0 >= RETURN_ADDRESS => {}
            _ => return None,
        }
    }
    Some(PlainRow {
        cfa_register: register.0,
        cfa_offset: i32::try_from(*offset).ok()?,
        saved,
    })
}

fn general(row: &UnwindTableRow<usize>, signal: bool) -> GeneralRow {
    let cfa = match *row.cfa() {
        CfaRule::RegisterAndOffset { register, offset } => Cfa::Offset(register.0, offset),
        CfaRule::Expression(expression) => Cfa::Expression(expression),
    };
    let rules = row
        .registers()
        .filter(|(register, _)| register.0 <= RETURN_ADDRESS)
        .map(|(register, rule)| (register.0, rule.clone()))
        .collect();
    GeneralRow { signal, cfa, rules }
}
