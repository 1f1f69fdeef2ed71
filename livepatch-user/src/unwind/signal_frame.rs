//! The frame that the kernel pushes to deliver a signal, and the code that returns from it.
//!
//! `arch/x86/include/asm/sigframe.h`, `arch/x86/include/uapi/asm/sigcontext.h`; ABI, so never changed:
//!
//! ```text
//! -8   pretcode         return address of the handler: SA_RESTORER, always used on x86-64
//!  0   uc_flags         <- stack pointer when rt_sigreturn is called
//!  8   uc_link
//! 16   uc_stack         24 bytes
//! 40   r8 r9 r10 r11 r12 r13 r14 r15 rdi rsi rbp rbx rdx rax rcx rsp rip ...
//! ```

use super::registers::RegisterFile;
use super::snapshot::StackSnapshot;
use crate::memory::{Memory, Unreadable};
use livepatch_bundle::RunAddr;

/// Distance of each register from the `ucontext`, by DWARF number.
const SAVED_AT: [i64; 17] = [
    144, 136, 152, 128, 112, 104, 120, 160, // rax rdx rcx rbx rsi rdi rbp rsp
    40, 48, 56, 64, 72, 80, 88, 96,  // r8 to r15
    168, // rip
];

//     48 c7 c0 0f 00 00 00    mov rax, 15 (rt_sigreturn)
//     0f 05                   syscall
const RESTORER_LONG: [u8; 9] = [0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];
//     b8 0f 00 00 00          mov eax, 15
//     0f 05                   syscall
const RESTORER_SHORT: [u8; 7] = [0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05];

//     48 89 c3                mov rbx, rax
//     b8 0f 00 00 00          mov eax, 15
//     0f 05                   syscall
// What functions return to that livepatch calls (`record`).
const RESTORER_OURS: [u8; 10] = [0x48, 0x89, 0xc3, 0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05];

//     0f 05                   syscall
pub(crate) const SYSCALL: [u8; 2] = [0x0f, 0x05];

/// Whether the code at `address` calls `rt_sigreturn` and does nothing else of note. Then the stack pointer there is at a
/// `ucontext`: the kernel itself will read it so, which makes this a rule and not a guess.
pub(crate) fn is_restorer(address: RunAddr, memory: &dyn Memory) -> bool {
    let forms: [&[u8]; 3] = [&RESTORER_OURS, &RESTORER_LONG, &RESTORER_SHORT];
    let mut code = [0; RESTORER_OURS.len()];
    if memory.read(address, &mut code).is_ok() {
        return forms.iter().any(|form| code.starts_with(form));
    }
    // Near the end of a mapping.
    forms.iter().any(|form| {
        let code = &mut code[..form.len()];
        memory.read(address, code).is_ok() && code == *form
    })
}

/// The registers of the code that the signal interrupted.
pub(crate) fn interrupted(
    ucontext: RunAddr,
    stack: &mut StackSnapshot<'_>,
) -> Result<RegisterFile, Unreadable> {
    let mut values = [0; SAVED_AT.len()];
    for (value, distance) in values.iter_mut().zip(SAVED_AT) {
        *value = stack.word(ucontext.offset(distance))?;
    }
    Ok(RegisterFile::from_values(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layout agrees with libc's definition of `ucontext_t`.
    #[test]
    fn the_layout_is_that_of_ucontext() {
        use libc::{REG_R8, REG_R15, REG_RAX, REG_RBX, REG_RIP, REG_RSP};
        let base = std::mem::offset_of!(libc::ucontext_t, uc_mcontext);
        let at = |register: i32| i64::try_from(base).unwrap_or(0) + i64::from(register) * 8;
        for (number, register) in [
            (0, REG_RAX),
            (1, libc::REG_RDX),
            (2, libc::REG_RCX),
            (3, REG_RBX),
            (4, libc::REG_RSI),
            (5, libc::REG_RDI),
            (6, libc::REG_RBP),
            (7, REG_RSP),
            (8, REG_R8),
            (15, REG_R15),
            (16, REG_RIP),
        ] {
            assert_eq!(SAVED_AT[number], at(register), "register {number}");
        }
    }
}
