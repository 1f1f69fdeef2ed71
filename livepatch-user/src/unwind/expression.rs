//! DWARF expressions in call-frame information: PLT stubs, the signal return, realigned stacks.

use super::error::WalkError;
use super::registers::RegisterFile;
use super::snapshot::StackSnapshot;
use gimli::{EndianSlice, EvaluationResult, LittleEndian, Location, Value};
use livepatch_bundle::RunAddr;

/// A section's bytes, as gimli reads them.
pub(crate) type Bytes<'a> = EndianSlice<'a, LittleEndian>;

/// More operations than any real expression has; one may loop.
const MAX_OPERATIONS: u32 = 1000;

const ENCODING: gimli::Encoding = gimli::Encoding {
    address_size: 8,
    format: gimli::Format::Dwarf32,
    version: 4,
};

/// Evaluates `expression` for the frame with these registers; `cfa` is on the stack at the start where it is known.
///
/// # Errors
/// [`WalkError::BadRule`] for anything that is not plain arithmetic over registers and memory.
pub(crate) fn evaluate(
    expression: gimli::Expression<Bytes<'_>>,
    cfa: Option<u64>,
    registers: &RegisterFile,
    stack: &mut StackSnapshot<'_>,
) -> Result<u64, WalkError> {
    let pc = registers.pc();
    let bad = |_: gimli::Error| WalkError::BadRule { pc };
    let mut evaluation = expression.evaluation(ENCODING);
    evaluation.set_max_iterations(MAX_OPERATIONS);
    if let Some(cfa) = cfa {
        evaluation.set_initial_value(cfa);
    }
    let mut result = evaluation.evaluate().map_err(bad)?;
    loop {
        result = match result {
            EvaluationResult::Complete => break,
            EvaluationResult::RequiresMemory {
                address,
                size,
                space: None,
                ..
            } => {
                let value = load(stack, address, size, pc)?;
                evaluation.resume_with_memory(Value::Generic(value))
            }
            EvaluationResult::RequiresRegister { register, .. } => {
                let number = register.0;
                let value = registers.get(number);
                let value = value.ok_or(WalkError::LostRegister { pc, number })?;
                evaluation.resume_with_register(Value::Generic(value))
            }
            _ => return Err(WalkError::BadRule { pc }),
        }
        .map_err(bad)?;
    }
    match evaluation.as_result() {
        [
            gimli::Piece {
                location: Location::Address { address },
                size_in_bits: None,
                ..
            },
        ] => Ok(*address),
        _ => Err(WalkError::BadRule { pc }),
    }
}

fn load(
    stack: &mut StackSnapshot<'_>,
    address: u64,
    size: u8,
    pc: RunAddr,
) -> Result<u64, WalkError> {
    let address = RunAddr(address);
    if size == 8 {
        return Ok(stack.word(address)?);
    }
    let mut word = [0; 8];
    let part = word
        .get_mut(..usize::from(size))
        .ok_or(WalkError::BadRule { pc })?;
    stack.memory().read(address, part)?;
    Ok(u64::from_le_bytes(word))
}
