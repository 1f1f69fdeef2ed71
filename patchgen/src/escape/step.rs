//! What one instruction does with registers that hold an address.

use iced_x86::{
    Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register, UsedRegister,
};

/// A set of the sixteen general registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Registers(u16);

/// Registers of integer arguments (psABI 3.2.3).
const ARGUMENTS: [Register; 6] = [
    Register::RDI,
    Register::RSI,
    Register::RDX,
    Register::RCX,
    Register::R8,
    Register::R9,
];
/// Registers that a call may change, beside those of arguments.
const VOLATILE: [Register; 3] = [Register::RAX, Register::R10, Register::R11];

impl Registers {
    fn of(registers: &[Register]) -> Self {
        Self(registers.iter().fold(0, |set, one| set | bit(*one)))
    }

    pub(super) fn has_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(super) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn has(self, register: Register) -> bool {
        self.0 & bit(register) != 0
    }

    /// Without what an instruction addresses memory by: an argument for somebody else would not be in the way. The first
    /// argument may be both, as in `operations->call(operations)`.
    pub(super) fn without_address_of(self, instruction: &Instruction) -> Self {
        let address = [instruction.memory_base(), instruction.memory_index()];
        let first = Self::of(&[Register::RDI]);
        self.without(Self::of(&address).without(first))
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn has_arguments(self) -> bool {
        self.0 & Self::of(&ARGUMENTS).0 != 0
    }

    pub(super) fn after_call(self) -> Self {
        self.without(Self::of(&ARGUMENTS))
            .without(Self::of(&VOLATILE))
    }
}

/// The bit of a general register of any width; none of another register.
fn bit(register: Register) -> u16 {
    let full = register.full_register();
    if register.is_gpr() {
        1 << full.number()
    } else {
        0
    }
}

/// What comes of an instruction.
pub(super) enum Step {
    /// The address may have got out.
    Out,
    /// These registers hold it now.
    Goes(Registers),
}

/// The register that an instruction puts the address of its relocated operand into; `None` when it does something else
/// with it. A comparison does nothing with it.
pub(super) fn taken(instruction: &Instruction) -> Option<Registers> {
    match instruction.mnemonic() {
        Mnemonic::Cmp | Mnemonic::Test => Some(Registers::default()),
        Mnemonic::Lea | Mnemonic::Mov | Mnemonic::Add | Mnemonic::Sub
            if instruction.op0_kind() == OpKind::Register
                && instruction.op0_register().is_gpr() =>
        {
            Some(Registers::of(&[instruction.op0_register()]))
        }
        _ => None,
    }
}

/// What an instruction that is no branch does when `held` hold the address.
pub(super) fn effect(instruction: &Instruction, held: Registers) -> Step {
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(instruction);
    let (used, only_written) = (info.used_registers(), is_full_write(info.op0_access()));
    let written = of_access(used, is_write);
    // Bytes and words leave the rest of a register as it was.
    let whole = used.iter().filter(|one| one.register().size() >= 4);
    let whole: Vec<UsedRegister> = whole.copied().collect();
    let replaced = held.without(of_access(&whole, is_full_write));
    if !reads_value(instruction, held, used, only_written) {
        return Step::Goes(replaced);
    }
    match instruction.mnemonic() {
        Mnemonic::Cmp | Mnemonic::Test => Step::Goes(held),
        // A string instruction walks along the memory that its registers point to.
        _ if instruction.is_string_instruction() => Step::Goes(held),
        Mnemonic::Mov | Mnemonic::Lea | Mnemonic::Add | Mnemonic::Sub | Mnemonic::And
            if instruction.op0_kind() == OpKind::Register =>
        {
            Step::Goes(replaced.with(written))
        }
        Mnemonic::Xor if clears(instruction) => Step::Goes(held.without(written)),
        mnemonic if is_conditional_move(mnemonic) => Step::Goes(held.with(written)),
        _ => Step::Out,
    }
}

/// Whether the instruction reads a register that holds the address for anything but addressing memory; `lea` computes with
/// what it addresses. `only_written`: the first operand's old value does not matter.
fn reads_value(
    instruction: &Instruction,
    held: Registers,
    used: &[UsedRegister],
    only_written: bool,
) -> bool {
    let lea = instruction.mnemonic() == Mnemonic::Lea;
    let explicit = (0..instruction.op_count()).any(|operand| {
        let register = instruction.op_kind(operand) == OpKind::Register
            && held.has(instruction.op_register(operand));
        register && !(operand == 0 && only_written)
    });
    let address = [instruction.memory_base(), instruction.memory_index()];
    if explicit || lea && address.iter().any(|register| held.has(*register)) {
        return true;
    }
    // Registers that no operand names, as those of `push` or `mul`.
    let named = |register: Register| {
        let mut operands = 0..instruction.op_count();
        address.iter().any(|one| bit(*one) == bit(register))
            || operands.any(|operand| {
                instruction.op_kind(operand) == OpKind::Register
                    && bit(instruction.op_register(operand)) == bit(register)
            })
    };
    let mut hidden = used.iter().filter(|one| !named(one.register()));
    hidden.any(|one| is_read(one.access()) && held.has(one.register()))
}

fn of_access(used: &[UsedRegister], wanted: impl Fn(OpAccess) -> bool) -> Registers {
    let registers = used.iter().filter(|one| wanted(one.access()));
    Registers(registers.fold(0, |set, one| set | bit(one.register())))
}

fn is_read(access: OpAccess) -> bool {
    !matches!(
        access,
        OpAccess::None | OpAccess::Write | OpAccess::CondWrite | OpAccess::NoMemAccess
    )
}

fn is_write(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}

/// Whether nothing of the old value stays.
fn is_full_write(access: OpAccess) -> bool {
    access == OpAccess::Write
}

fn clears(instruction: &Instruction) -> bool {
    instruction.op0_kind() == OpKind::Register
        && instruction.op1_kind() == OpKind::Register
        && instruction.op0_register() == instruction.op1_register()
}

fn is_conditional_move(mnemonic: Mnemonic) -> bool {
    use Mnemonic::{
        Cmova, Cmovae, Cmovb, Cmovbe, Cmove, Cmovg, Cmovge, Cmovl, Cmovle, Cmovne, Cmovno, Cmovnp,
        Cmovns, Cmovo, Cmovp, Cmovs,
    };
    [
        Cmova, Cmovae, Cmovb, Cmovbe, Cmove, Cmovg, Cmovge, Cmovl, Cmovle, Cmovne, Cmovno, Cmovnp,
        Cmovns, Cmovo, Cmovp, Cmovs,
    ]
    .contains(&mnemonic)
}
