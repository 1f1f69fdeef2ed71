//! The second opinion: capstone must read each instruction as iced-x86 does.
//!
//! Compared are the length, the mnemonic, and registers, numbers and addresses wherever both list the same operands.

use capstone::arch::x86::{ArchMode, X86OperandType};
use capstone::prelude::*;
use iced_x86::{Instruction, OpKind, Register};

/// Capstone, set up.
pub(super) struct Second(Capstone);

/// Names for the same instruction: iced-x86's, then capstone's.
#[rustfmt::skip]
const ALIASES: [(&str, &str); 16] = [
    ("mov", "movabs"), ("shl", "sal"), ("sal", "shl"), ("wait", "fwait"), ("xchg", "nop"), ("ret", "retq"), ("movq", "movd"),
    ("movd", "movq"), ("retf", "retfq"), ("sysret", "sysretq"), ("xlatb", "xlat"), ("int1", "icebp"), ("reservednop", "nop"),
    ("ud1", "ud2b"), ("fucomip", "fucompi"), ("fcomip", "fcompi"),
];

/// Instructions of which capstone writes the number at the end as part of the name.
const PREDICATES: [&str; 4] = ["cmp", "vcmp", "pclmul", "vpc"];

impl Second {
    pub(super) fn new() -> Result<Self, capstone::Error> {
        Ok(Self(
            Capstone::new()
                .x86()
                .mode(ArchMode::Mode64)
                .detail(true)
                .build()?,
        ))
    }

    /// How capstone reads the instruction, if not as iced-x86 does.
    pub(super) fn disagreement(&self, instruction: &Instruction, bytes: &[u8]) -> Option<String> {
        let found = self.0.disasm_count(bytes, instruction.ip(), 1).ok();
        let Some(other) = found.as_ref().and_then(|found| found.first()) else {
            return (!instruction.is_invalid()).then(|| "no instruction".to_owned());
        };
        let name = other.mnemonic().unwrap_or_default();
        let text = || {
            format!("{name} {}", other.op_str().unwrap_or_default())
                .trim_end()
                .to_owned()
        };
        let same = !instruction.is_invalid()
            && other.len() == bytes.len()
            && same_name(instruction, name)
            && self.same_operands(instruction, other).unwrap_or(false);
        (!same).then(text)
    }

    fn same_operands(&self, instruction: &Instruction, other: &capstone::Insn<'_>) -> Option<bool> {
        let detail = self.0.insn_detail(other).ok()?;
        let arch = detail.arch_detail();
        let operands: Vec<_> = arch.x86()?.operands().collect();
        if operands.len() != instruction.op_count() as usize {
            // One of them lists what is implied.
            return Some(true);
        }
        let mut pairs = operands.iter().zip(0..instruction.op_count());
        Some(pairs.all(|(operand, index)| self.same_operand(instruction, index, &operand.op_type)))
    }

    fn same_operand(&self, instruction: &Instruction, index: u32, other: &X86OperandType) -> bool {
        let kind = instruction.op_kind(index);
        match (kind, other) {
            (OpKind::Register, X86OperandType::Reg(register)) => {
                self.same_register(instruction.op_register(index), *register)
            }
            (OpKind::Memory, X86OperandType::Mem(memory)) => {
                let relative = instruction.is_ip_rel_memory_operand();
                let displacement = if relative {
                    instruction
                        .memory_displacement64()
                        .wrapping_sub(instruction.next_ip())
                } else {
                    instruction.memory_displacement64()
                };
                let scale = instruction.memory_index_scale();
                self.same_register(instruction.memory_base(), memory.base())
                    && self.same_register(instruction.memory_index(), memory.index())
                    && (instruction.memory_index() == Register::None
                        || i64::from(scale) == i64::from(memory.scale()))
                    && displacement as u32 == memory.disp() as u32
            }
            (
                OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64,
                X86OperandType::Imm(value),
            ) => instruction.near_branch_target() == value.cast_unsigned(),
            (_, X86OperandType::Imm(value)) => match instruction.try_immediate(index) {
                // Narrow numbers are extended in one and not in the other.
                Ok(own) => narrow(own, kind) == narrow(value.cast_unsigned(), kind),
                Err(_) => false,
            },
            // Strings, far branches: listed in other forms.
            (OpKind::Register | OpKind::Memory, _) => false,
            _ => true,
        }
    }

    fn same_register(&self, own: Register, other: RegId) -> bool {
        let name = self.0.reg_name(other).unwrap_or_default();
        let own = format!("{own:?}").to_ascii_lowercase();
        let own = match own.as_str() {
            "none" => String::new(),
            // r8l and r8b, st0 and st(0), dr0 and db0
            text if text.starts_with('r') && text.ends_with('l') => text.replace('l', "b"),
            text => text.to_owned(),
        };
        own == name.replace(['(', ')'], "")
    }
}

fn narrow(value: u64, kind: OpKind) -> u64 {
    match kind {
        OpKind::Immediate8
        | OpKind::Immediate8_2nd
        | OpKind::Immediate8to16
        | OpKind::Immediate8to32
        | OpKind::Immediate8to64 => value & 0xff,
        OpKind::Immediate16 => value & 0xffff,
        OpKind::Immediate32 | OpKind::Immediate32to64 => value & 0xffff_ffff,
        _ => value,
    }
}

fn same_name(instruction: &Instruction, other: &str) -> bool {
    let own = format!("{:?}", instruction.mnemonic()).to_ascii_lowercase();
    // Capstone writes prefixes (`rep`, `lock`, `notrack`, `bnd`) before the name.
    let other = other.rsplit(' ').next().unwrap_or_default();
    own == other
        || ALIASES.contains(&(own.as_str(), other))
        || PREDICATES
            .iter()
            .any(|stem| own.starts_with(stem) && other.starts_with(stem))
}
