//! Whether the code after a system call reads `r10` before it overwrites it or returns.

use crate::memory::Memory;
use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess,
    Register,
};
use livepatch_bundle::RunAddr;
use std::collections::HashSet;

/// The most instructions that are looked at.
const LIMIT: usize = 300;

/// The longest instruction in bytes.
const LONGEST: usize = 15;

/// What an instruction does with `r10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    None,
    Overwrites,
    MayRead,
}

/// Follows every path from `start`. A path ends well where `r10` is overwritten or the function returns (it is not
/// preserved over calls, psABI 3.2.1, and carries no result). Calls are passed over. Whatever is not understood counts as read.
pub(super) fn r10_is_unread(memory: &impl Memory, start: RunAddr) -> bool {
    let mut factory = InstructionInfoFactory::new();
    let mut seen = HashSet::new();
    let mut paths = vec![start.0];
    while let Some(address) = paths.pop() {
        if !seen.insert(address) {
            continue;
        }
        let Some(instruction) = decode(memory, address).filter(|_| seen.len() <= LIMIT) else {
            return false;
        };
        match use_of(&mut factory, &instruction) {
            Use::MayRead => return false,
            Use::Overwrites => continue,
            Use::None => {}
        }
        let next = instruction.next_ip();
        match instruction.flow_control() {
            FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => paths.push(next),
            FlowControl::UnconditionalBranch => paths.push(instruction.near_branch_target()),
            FlowControl::ConditionalBranch => {
                paths.extend([next, instruction.near_branch_target()]);
            }
            // `ud2` and its like: nothing comes after it.
            FlowControl::Return | FlowControl::Exception => {}
            FlowControl::IndirectBranch
            | FlowControl::Interrupt
            | FlowControl::XbeginXabortXend => {
                return false;
            }
        }
    }
    true
}

fn decode(memory: &impl Memory, address: u64) -> Option<Instruction> {
    let mut bytes = [0; LONGEST];
    // The last instruction of a mapping may be shorter.
    let len = (1..=LONGEST)
        .rev()
        .find(|&len| memory.read(RunAddr(address), &mut bytes[..len]).is_ok())?;
    let mut decoder = Decoder::with_ip(64, &bytes[..len], address, DecoderOptions::NONE);
    Some(decoder.decode()).filter(|instruction| !instruction.is_invalid())
}

fn use_of(factory: &mut InstructionInfoFactory, instruction: &Instruction) -> Use {
    // The kernel may take it for an argument.
    if matches!(
        instruction.mnemonic(),
        Mnemonic::Syscall | Mnemonic::Sysenter
    ) {
        return Use::MayRead;
    }
    let mut found = Use::None;
    for used in factory.info(instruction).used_registers() {
        if used.register().full_register() != Register::R10 {
            continue;
        }
        // A write to the lower half clears the upper one; a write to less leaves the rest.
        let whole = matches!(used.register(), Register::R10 | Register::R10D);
        match used.access() {
            OpAccess::Write if whole => found = Use::Overwrites,
            OpAccess::None | OpAccess::NoMemAccess => {}
            _ => return Use::MayRead,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bytes;

    fn unread(code: &[u8]) -> bool {
        r10_is_unread(&Bytes(code.to_vec()), RunAddr(0x1000))
    }

    #[test]
    fn returning_and_overwriting_are_fine() {
        assert!(unread(&[0xc3])); // ret
        assert!(unread(&[0x41, 0x89, 0xca, 0x0f, 0x05])); // mov r10d, ecx; syscall
        assert!(unread(&[0x45, 0x31, 0xd2, 0x41, 0x52])); // xor r10d, r10d; push r10
        assert!(unread(&[0x90, 0x0f, 0x0b])); // nop; ud2
    }

    #[test]
    fn reading_is_not() {
        assert!(!unread(&[0x41, 0x52, 0xc3])); // push r10; ret
        assert!(!unread(&[0x4c, 0x89, 0xd0, 0xc3])); // mov rax, r10; ret
        assert!(!unread(&[0x41, 0xb2, 0x01, 0xc3])); // mov r10b, 1; ret
        assert!(!unread(&[0xeb, 0xfe - 2, 0xc3])); // jmp before the code
    }

    #[test]
    fn a_loop_around_the_instruction_is_not() {
        // 48 85 c0    test rax, rax
        // 74 01       je +1
        // c3          ret
        // b8 e8 ...   mov eax, 232
        // 0f 05       syscall
        let code = [
            0x48, 0x85, 0xc0, 0x74, 0x01, 0xc3, 0xb8, 0xe8, 0, 0, 0, 0x0f, 0x05,
        ];
        assert!(!unread(&code));
    }

    #[test]
    fn what_is_not_understood_is_not() {
        assert!(!unread(&[0xff, 0xe0])); // jmp rax
        assert!(!unread(&[0x06])); // no instruction
        assert!(!unread(&[0x90])); // nop, and nothing after it
        assert!(!unread(&[]));
        assert!(!unread(&vec![0x90; LIMIT + 1]));
        assert!(unread(&[0xeb, 0xfe])); // jmp to itself
    }

    /// glibc's `epoll_wait` between `syscall` and the end, both paths.
    #[test]
    fn the_c_library_does_not_read_it() {
        let code = [
            0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff, // cmp rax, -4096
            0x77, 0x11, // ja error
            0x44, 0x89, 0xc7, // mov edi, r8d
            0x89, 0x44, 0x24, 0x0c, // mov [rsp+12], eax
            0xe8, 0, 0, 0, 0, // call
            0x48, 0x83, 0xc4, 0x28, // add rsp, 40
            0xc3, // ret
            0xf7, 0xd8, // error: neg eax
            0x64, 0x89, 0x02, // mov fs:[rdx], eax
            0xeb, 0xe8, // jmp back to mov edi, r8d
        ];
        assert!(unread(&code));
    }
}
