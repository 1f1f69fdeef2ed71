//! The signal frame from which `rt_sigreturn(2)` gives a thread back all that it had.
//!
//! ```text
//! struct rt_sigframe (arch/x86/include/asm/sigframe.h), 440 bytes
//!    0  pretcode     where a function returns to whose return address this is
//!    8  uc_flags     u64
//!   16  uc_link      u64      unused
//!   24  uc_stack     24       ss_sp, ss_flags, ss_size
//!   48  uc_mcontext  256      struct sigcontext_64: registers, segments, pointer to the extended registers
//!  304  uc_sigmask   u64
//!  312  siginfo      128      unused
//! ```
//! The extended registers lie above it, aligned to 64, as the XSAVE area that `PTRACE_GETREGSET` gives, with the words in which
//! the kernel says how much of it there is (`struct _fpx_sw_bytes`).
//!
//! Pure: takes registers, gives bytes.

use crate::memory::Registers;
use crate::stop::restart;
use livepatch_bundle::RunAddr;

/// Bytes below the stack pointer that belong to the function that runs (psABI 3.2.2).
const RED_ZONE: u64 = 128;
/// Length of `struct rt_sigframe`.
const LEN: u64 = 440;
/// `UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS` (asm/ucontext.h).
const FLAGS: u64 = 0x7;
/// `ss_flags` that no `sigaltstack(2)` takes: the kernel then leaves the alternate stack as it is (`restore_altstack`).
const LEAVE_STACK: u64 = 4;

/// `FP_XSTATE_MAGIC1` and `FP_XSTATE_MAGIC2` (asm/sigcontext.h).
const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;
/// Where the XSAVE area has the kernel's own words; the first of `PTRACE_GETREGSET`'s are the features.
const SOFTWARE: usize = 464;
/// The header of the XSAVE area: which components are in use.
const IN_USE: usize = 512;
/// The area's header ends here; a shorter area is none.
const SHORTEST: usize = 576;
/// AMX tiles begin here (CPUID 0xd, 18) and are in a frame only of who asked for them.
const TILES: usize = 2816;
const TILES_IN_USE: u64 = 1 << 18;

/// A frame and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Its address: 8 below a multiple of 16, as a return address at a function's start.
    pub(super) at: RunAddr,
    /// Up to the end of the extended registers.
    pub(super) bytes: Vec<u8>,
}

impl Frame {
    /// The frame below `top` that leads back to `home`; `returns` is what a function finds as its return address.
    /// `None` if `extended` is no XSAVE area or there is no room.
    pub(super) fn below(
        top: u64,
        home: &Registers,
        mask: u64,
        extended: &[u8],
        returns: RunAddr,
    ) -> Option<Self> {
        let extended = marked(extended)?;
        let area = top.checked_sub(extended.len() as u64)? & !63;
        let at = (area.checked_sub(LEN)? & !15).checked_sub(8)?;
        let mut bytes = header(home, mask, returns, area);
        bytes.resize((area - at) as usize, 0);
        bytes.extend(extended);
        let at = RunAddr(at);
        Some(Self { at, bytes })
    }

    /// The frame on the thread's own stack, below what belongs to the function that it runs.
    pub(super) fn on_stack(
        home: &Registers,
        mask: u64,
        extended: &[u8],
        returns: RunAddr,
    ) -> Option<Self> {
        Self::below(
            home.rsp.checked_sub(RED_ZONE)?,
            home,
            mask,
            extended,
            returns,
        )
    }
}

/// The XSAVE area as a frame has it.
fn marked(extended: &[u8]) -> Option<Vec<u8>> {
    let in_use = extended.get(IN_USE..IN_USE + 8)?;
    let in_use = u64::from_le_bytes(in_use.try_into().expect("the range has 8 bytes"));
    let len = match in_use & TILES_IN_USE {
        0 => extended.len().min(TILES),
        _ => extended.len(),
    };
    if len < SHORTEST {
        return None;
    }
    let mut area = extended[..len].to_vec();
    let features = area[SOFTWARE..SOFTWARE + 8].to_vec();
    let size = u32::try_from(len).ok()?;
    let words: [&[u8]; 5] = [
        &MAGIC1.to_le_bytes(),
        &(size + 4).to_le_bytes(),
        &features,
        &size.to_le_bytes(),
        &[0; 28],
    ];
    area[SOFTWARE..IN_USE].copy_from_slice(&words.concat());
    area.extend(MAGIC2.to_le_bytes());
    Some(area)
}

fn header(home: &Registers, mask: u64, returns: RunAddr, extended: u64) -> Vec<u8> {
    let (rip, rax) = on_return(home);
    let segments = home.cs & 0xffff | (home.ss & 0xffff) << 48;
    let words: [&[u64]; 9] = [
        &[returns.0, FLAGS, 0, 0, LEAVE_STACK, 0],
        &[
            home.r8, home.r9, home.r10, home.r11, home.r12, home.r13, home.r14, home.r15,
        ],
        &[
            home.rdi, home.rsi, home.rbp, home.rbx, home.rdx, rax, home.rcx, home.rsp,
        ],
        &[rip, home.eflags, segments],
        // err, trapno, oldmask, cr2
        &[0; 4],
        &[extended],
        &[0; 8],
        &[mask],
        &[0; 16],
    ];
    words
        .concat()
        .into_iter()
        .flat_map(u64::to_le_bytes)
        .collect()
}

/// Instruction pointer and `rax` with which the thread goes on. The kernel restarts no call after `rt_sigreturn`, so that one that
/// the stop interrupted is issued again here; also one that `restart_syscall` would continue, whose time then begins anew.
fn on_return(home: &Registers) -> (u64, u64) {
    if restart::is_in_syscall(home) && restart::is_restarted(home) {
        (home.rip.wrapping_sub(2), home.orig_rax)
    } else {
        (home.rip, home.rax)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::ptrace::no_registers;

    fn word(frame: &Frame, at: usize) -> u64 {
        u64::from_le_bytes(frame.bytes[at..at + 8].try_into().expect("8 bytes"))
    }

    fn home() -> Registers {
        Registers {
            rip: 0x4002,
            rax: (-512_i64).cast_unsigned(),
            orig_rax: 7,
            rsp: 0x10_0033,
            cs: 0x33,
            ss: 0x2b,
            r15: 15,
            ..no_registers()
        }
    }

    fn area(len: usize, in_use: u64) -> Vec<u8> {
        let mut area = vec![0; len];
        area[SOFTWARE] = 0xe7;
        area[IN_USE..IN_USE + 8].copy_from_slice(&in_use.to_le_bytes());
        area
    }

    #[test]
    fn an_interrupted_call_is_issued_again() {
        let frame = Frame::on_stack(&home(), 5, &area(832, 3), RunAddr(0x77)).expect("room");
        // Offsets of `struct rt_sigframe`.
        assert_eq!(word(&frame, 0), 0x77);
        assert_eq!((word(&frame, 152), word(&frame, 168)), (7, 0x10_0033));
        assert_eq!(word(&frame, 48 + 128), 0x4000, "rip");
        assert_eq!(word(&frame, 48 + 7 * 8), 15, "r15");
        assert_eq!(word(&frame, 48 + 18 * 8), 0x2b_0000_0000_0033);
        assert_eq!(word(&frame, 304), 5, "mask");
    }

    #[test]
    fn a_thread_that_runs_goes_on_where_it_was() {
        let running = Registers {
            orig_rax: u64::MAX,
            rax: 9,
            ..home()
        };
        let frame = Frame::on_stack(&running, 0, &area(832, 3), RunAddr(0)).expect("room");
        assert_eq!((word(&frame, 152), word(&frame, 48 + 128)), (9, 0x4002));
    }

    #[test]
    fn extended_registers_are_aligned_and_marked() {
        for (len, in_use, wanted) in [(832, 3, 832), (11008, 3, 2816), (11008, 3 | 1 << 18, 11008)]
        {
            let frame = Frame::on_stack(&home(), 0, &area(len, in_use), RunAddr(0)).expect("room");
            let at = word(&frame, 48 + 184);
            assert_eq!(at % 64, 0);
            assert_eq!(frame.at.0 % 16, 8);
            assert!(frame.at.0 + frame.bytes.len() as u64 <= home().rsp - RED_ZONE);
            let start = (at - frame.at.0) as usize;
            let area = &frame.bytes[start..];
            assert_eq!(area.len(), wanted + 4);
            assert_eq!(area[SOFTWARE..SOFTWARE + 4], MAGIC1.to_le_bytes());
            assert_eq!(area[SOFTWARE + 8], 0xe7);
            assert_eq!(area[wanted..], MAGIC2.to_le_bytes());
        }
    }

    #[test]
    fn what_is_no_area_makes_no_frame() {
        assert_eq!(Frame::on_stack(&home(), 0, &[0; 512], RunAddr(0)), None);
        assert_eq!(
            Frame::below(64, &home(), 0, &area(832, 3), RunAddr(0)),
            None
        );
    }
}
