//! From a frame's registers to its caller's.

use super::error::WalkError;
use super::expression::{Bytes, evaluate};
use super::registers::{CALLEE_SAVED, Number, RETURN_ADDRESS, RSP, RegisterFile};
use super::row::{Cfa, GeneralRow, NOT_SAVED, PlainRow, Row};
use super::signal_frame;
use super::snapshot::StackSnapshot;
use gimli::{RegisterRule, UnwindExpression};
use livepatch_bundle::RunAddr;

/// Applies `row` to the frame with `registers`, and puts its caller's into `caller`; `section` holds the row's
/// expressions. False for an outermost frame. After an error `caller` holds nothing of use.
pub(crate) fn step(
    row: &Row,
    section: &[u8],
    registers: &RegisterFile,
    caller: &mut RegisterFile,
    stack: &mut StackSnapshot<'_>,
) -> Result<bool, WalkError> {
    match row {
        Row::Plain(row) => plain(row, registers, caller, stack)?,
        Row::General(row) => {
            let mut frame = Frame {
                section,
                registers,
                stack,
            };
            *caller = frame.general(row)?;
        }
        Row::SignalReturn => *caller = signal_frame::interrupted(registers.sp(), stack)?,
        Row::Outermost => return Ok(false),
    }
    Ok(true)
}

fn plain(
    row: &PlainRow,
    registers: &RegisterFile,
    caller: &mut RegisterFile,
    stack: &mut StackSnapshot<'_>,
) -> Result<(), WalkError> {
    let (pc, number) = (registers.pc(), row.cfa_register);
    let base = registers.get(number);
    let base = base.ok_or(WalkError::LostRegister { pc, number })?;
    let cfa = RunAddr(base).offset(i64::from(row.cfa_offset));
    *caller = registers.returned(stack.word(cfa.offset(-8))?, cfa.0);
    for (number, offset) in CALLEE_SAVED.into_iter().zip(row.saved) {
        if offset != NOT_SAVED {
            caller.set(number, stack.word(cfa.offset(i64::from(offset)))?);
        }
    }
    Ok(())
}

struct Frame<'f, 'm> {
    section: &'f [u8],
    registers: &'f RegisterFile,
    stack: &'f mut StackSnapshot<'m>,
}

impl Frame<'_, '_> {
    fn general(&mut self, row: &GeneralRow) -> Result<RegisterFile, WalkError> {
        let cfa = match row.cfa {
            Cfa::Offset(number, offset) => self.register(number)?.wrapping_add_signed(offset),
            Cfa::Expression(expression) => self.evaluate(expression, None)?,
        };
        let mut caller = self.registers.returned(0, cfa);
        caller.forget(RETURN_ADDRESS);
        for (number, rule) in &row.rules {
            match self.apply(rule, *number, cfa)? {
                Some(value) => caller.set(*number, value),
                None => caller.forget(*number),
            }
        }
        let complete = caller.get(RETURN_ADDRESS).is_some() && caller.get(RSP).is_some();
        complete.then_some(caller).ok_or(self.bad_rule())
    }

    fn apply(
        &mut self,
        rule: &RegisterRule<usize>,
        number: Number,
        cfa: u64,
    ) -> Result<Option<u64>, WalkError> {
        let word = |stack: &mut StackSnapshot<'_>, address| stack.word(RunAddr(address));
        Ok(match *rule {
            RegisterRule::Undefined => None,
            RegisterRule::SameValue => self.registers.get(number),
            RegisterRule::Register(other) => self.registers.get(other.0),
            RegisterRule::Offset(offset) => {
                Some(word(self.stack, cfa.wrapping_add_signed(offset))?)
            }
            RegisterRule::ValOffset(offset) => Some(cfa.wrapping_add_signed(offset)),
            RegisterRule::ValExpression(expression) => Some(self.evaluate(expression, Some(cfa))?),
            RegisterRule::Expression(expression) => {
                let address = self.evaluate(expression, Some(cfa))?;
                Some(word(self.stack, address)?)
            }
            _ => return Err(self.bad_rule()),
        })
    }

    fn register(&self, number: Number) -> Result<u64, WalkError> {
        let pc = self.registers.pc();
        let value = self.registers.get(number);
        value.ok_or(WalkError::LostRegister { pc, number })
    }

    fn evaluate(
        &mut self,
        expression: UnwindExpression<usize>,
        cfa: Option<u64>,
    ) -> Result<u64, WalkError> {
        let end = expression.offset.saturating_add(expression.length);
        let bytes = self
            .section
            .get(expression.offset..end)
            .ok_or(self.bad_rule())?;
        let bytes = Bytes::new(bytes, gimli::LittleEndian);
        evaluate(gimli::Expression(bytes), cfa, self.registers, self.stack)
    }

    fn bad_rule(&self) -> WalkError {
        WalkError::BadRule {
            pc: self.registers.pc(),
        }
    }
}
