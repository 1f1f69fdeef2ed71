//! Constants that the kernel's start writes into its code (`runtime_const_ptr`, from 6.12): new code reads the variables.
//!
//! ```text
//! 48 b8 ef cd ab 89 67 45 23 01   movabs $0x123456789abcdef, %rax     as compiled; the field is listed in runtime_ptr_NAME
//! 48 8b 05 00 00 00 00 0f 1f 00   mov NAME(%rip), %rax; nopl (%rax)   as it travels
//! ```
//!
//! The variable holds the value from the same moment on, and modules read it, too: `arch/x86/include/asm/uaccess_64.h` has
//! `#define runtime_const_ptr(sym) (sym)` for them. Neither instruction changes the flags. A shift by a constant
//! (`runtime_shift_NAME`) has no such form without another register.

use crate::object::{Atom, Attached};

/// How the names of tables of such places begin; the rest names the variable.
const TABLE: &str = "runtime_ptr_";
/// What the compiler writes where the value shall be.
const PLACEHOLDER: [u8; 8] = 0x0123_4567_89ab_cdef_u64.to_le_bytes();
/// From the instruction's start to the placeholder.
const BEFORE: usize = 2;

/// An instruction that loads a constant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Load<'d> {
    /// The variable with its value.
    pub variable: &'d str,
    /// Where the instruction begins in the function.
    start: usize,
    /// The register's number.
    register: u8,
}

impl<'d> Load<'d> {
    /// What an entry of a table is about; `None` for other tables, and `Some(None)` when the code is not as expected.
    pub(super) fn of(entry: &Attached<'d>, code: &[u8]) -> Option<Option<Self>> {
        let variable = entry.section.strip_prefix(TABLE)?;
        Some(Self::at(variable, entry.at, code))
    }

    fn at(variable: &'d str, at: i64, code: &[u8]) -> Option<Self> {
        let start = usize::try_from(at).ok()?.checked_sub(BEFORE)?;
        let instruction = code.get(start..start.checked_add(BEFORE + PLACEHOLDER.len())?)?;
        let register = match instruction[..BEFORE] {
            [0x48, opcode @ 0xb8..=0xbf] => opcode - 0xb8,
            [0x49, opcode @ 0xb8..=0xbf] => opcode - 0xb8 + 8,
            _ => return None,
        };
        (instruction[BEFORE..] == PLACEHOLDER).then_some(Self {
            variable,
            start,
            register,
        })
    }

    /// Offset of the field with the distance to the variable, from its end on: the relocation's addend is -4.
    pub(super) fn field(&self) -> u64 {
        self.start as u64 + 3
    }

    /// The instruction that reads the variable, in place of the other; its field is zero.
    fn write(&self, code: &mut [u8]) {
        let rex = 0x48 | (self.register >> 3) << 2;
        let operand = (self.register & 7) << 3 | 0b101;
        let instruction = [rex, 0x8b, operand, 0, 0, 0, 0, 0x0f, 0x1f, 0x00];
        code[self.start..self.start + instruction.len()].copy_from_slice(&instruction);
    }
}

/// Has the code of a function read variables where it has constants.
pub(super) fn read_variables(atom: &Atom<'_>, entries: &[Attached<'_>], code: &mut [u8]) {
    for entry in entries {
        if let Some(Some(load)) = Load::of(entry, atom.bytes) {
            load.write(code);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use livepatch_match::disassemble;

    #[test]
    fn every_register_is_loaded_from_the_variable() {
        for register in 0..16_u8 {
            let mut code = vec![0x90, 0x48 | register >> 3, 0xb8 + (register & 7)];
            code.extend(PLACEHOLDER);
            let name = disassemble(&code[1..], 0)[0].2.clone();
            let name = name
                .trim_start_matches("mov ")
                .split(',')
                .next()
                .map(str::to_owned);
            let load = Load::at("limit", 3, &code).expect("as expected");
            assert_eq!(load.field(), 4);
            load.write(&mut code);
            let shown = disassemble(&code[1..], 0);
            let wanted = format!("mov {}, [0x7]", name.expect("an operand"));
            assert_eq!(
                (shown[0].2.clone(), shown[1].1, shown.len()),
                (wanted, 3, 2)
            );
        }
    }

    #[test]
    fn other_code_is_not_taken_for_it() {
        let mut code = vec![0x48, 0xb8];
        code.extend(PLACEHOLDER);
        assert!(Load::at("limit", 2, &code).is_some());
        for (at, code) in [
            (1, &code[..]),
            (-8, &code[..]),
            (2, &code[..9]),
            (2, &[0x48, 0xb0, 1, 2, 3, 4, 5, 6, 7, 8][..]),
            (2, &[0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8][..]),
        ] {
            assert_eq!(Load::at("limit", at, code), None, "{at} {code:x?}");
        }
    }
}
