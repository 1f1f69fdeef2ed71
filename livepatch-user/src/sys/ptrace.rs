//! `ptrace(2)`: the requests that stop, look at, change and release a thread.
//!
//! `nix` has most of these, but it knows no real-time signals (its `detach` and `waitpid` fail on them) and no
//! signal masks, so the requests are made here, by the raw system call (the C library's wrapper hides the
//! result of `PTRACE_PEEKDATA` behind `errno`). A tracee belongs to the *thread* that seized it.

use super::checked;
use crate::memory::Registers;
use crate::process::Tid;
use std::io;
use std::ptr::from_mut;

/// `PTRACE_O_TRACESYSGOOD`: stops at a system call report `SIGTRAP | 0x80`.
pub const TRACE_SYSGOOD: u64 = 0x1;
/// `PTRACE_O_TRACEEXEC`: an `execve` stops with [`EVENT_EXEC`].
pub const TRACE_EXEC: u64 = 0x10;
/// `PTRACE_O_SUSPEND_SECCOMP`: seccomp is off while we trace (needs `CAP_SYS_ADMIN`, Linux 4.3).
pub const SUSPEND_SECCOMP: u64 = 0x20_0000;
/// The event of a stop by [`interrupt`] and of a group-stop.
pub const EVENT_STOP: i32 = libc::PTRACE_EVENT_STOP;
/// The event of an `execve`.
pub const EVENT_EXEC: i32 = libc::PTRACE_EVENT_EXEC;

/// `ptrace` requests by the type of their last argument; numbers of `linux/ptrace.h` and `asm/ptrace-abi.h`.
mod request {
    pub(super) const PEEKDATA: u64 = 2;
    pub(super) const POKEDATA: u64 = 5;
    pub(super) const POKEUSER: u64 = 6;
    pub(super) const CONT: u64 = 7;
    pub(super) const GETREGS: u64 = 12;
    pub(super) const SETREGS: u64 = 13;
    pub(super) const DETACH: u64 = 17;
    pub(super) const SYSCALL: u64 = 24;
    pub(super) const SETOPTIONS: u64 = 0x4200;
    pub(super) const GETREGSET: u64 = 0x4204;
    pub(super) const SETREGSET: u64 = 0x4205;
    pub(super) const SEIZE: u64 = 0x4206;
    pub(super) const INTERRUPT: u64 = 0x4207;
    pub(super) const GETSIGMASK: u64 = 0x420a;
    pub(super) const SETSIGMASK: u64 = 0x420b;
    pub(super) const GET_RSEQ: u64 = 0x420f;
    pub(super) const GET_SYSCALL_DISPATCH: u64 = 0x4211;
}

/// The note type of the extended (x87, SSE, AVX, ...) registers.
const NT_X86_XSTATE: u64 = 0x202;
/// Size of the kernel's signal mask in bytes.
const SIGNAL_MASK: u64 = 8;

/// A request whose arguments are plain numbers.
fn number(request: u64, tid: Tid, address: u64, data: u64) -> io::Result<()> {
    // SAFETY: the callers below pass only requests that take both arguments as numbers (for memory requests:
    // as addresses in the tracee), so that the kernel accesses no memory of ours.
    let result = unsafe { libc::syscall(libc::SYS_ptrace, request, tid.0, address, data) };
    checked(result).map(drop)
}

/// A request whose last argument points to one `T` of ours, which the kernel reads or fills.
fn value<T: Copy>(request: u64, tid: Tid, address: u64, data: &mut T) -> io::Result<i64> {
    // SAFETY: `data` is valid, writable and outlives the call; the callers below pair each request with the type
    // that it transfers, all of them plain integers, for which every bit pattern is valid.
    let result =
        unsafe { libc::syscall(libc::SYS_ptrace, request, tid.0, address, from_mut(data)) };
    checked(result)
}

/// Attaches to a thread without stopping it.
///
/// # Errors
/// `EPERM` when forbidden or already traced, `ESRCH` when gone.
pub fn seize(tid: Tid, options: u64) -> io::Result<()> {
    number(request::SEIZE, tid, 0, options)
}

/// Asks a seized thread to stop; it reports [`EVENT_STOP`].
///
/// # Errors
/// `ESRCH` when it is gone.
pub fn interrupt(tid: Tid) -> io::Result<()> {
    number(request::INTERRUPT, tid, 0, 0)
}

/// Lets a stopped thread go for good, delivering `signal` (0: none) if it stopped to deliver one.
///
/// # Errors
/// `ESRCH` when it is gone or not stopped.
pub fn detach(tid: Tid, signal: i32) -> io::Result<()> {
    number(request::DETACH, tid, 0, signal_number(signal))
}

/// Lets a stopped thread run on while we stay attached.
///
/// # Errors
/// `ESRCH` when it is gone or not stopped.
pub fn cont(tid: Tid, signal: i32) -> io::Result<()> {
    number(request::CONT, tid, 0, signal_number(signal))
}

/// Lets a stopped thread run to the entry or the exit of a system call.
///
/// # Errors
/// `ESRCH` when it is gone or not stopped.
pub fn cont_to_syscall(tid: Tid, signal: i32) -> io::Result<()> {
    number(request::SYSCALL, tid, 0, signal_number(signal))
}

fn signal_number(signal: i32) -> u64 {
    u64::from(signal.unsigned_abs())
}

/// Changes the options of a stopped thread.
///
/// # Errors
/// `EPERM` or `EINVAL` for an option that the kernel does not grant.
pub fn set_options(tid: Tid, options: u64) -> io::Result<()> {
    number(request::SETOPTIONS, tid, 0, options)
}

/// Reads the general registers.
///
/// # Errors
/// `ESRCH` when the thread is gone or not stopped.
pub fn registers(tid: Tid) -> io::Result<Registers> {
    let mut registers = no_registers();
    value(request::GETREGS, tid, 0, &mut registers)?;
    Ok(registers)
}

/// All registers zero.
#[must_use]
pub fn no_registers() -> Registers {
    // SAFETY: `user_regs_struct` consists of integers, for which zeroes are valid.
    unsafe { std::mem::zeroed() }
}

/// Writes the general registers.
///
/// # Errors
/// `ESRCH` when the thread is gone or not stopped, `EIO` for a value that the kernel refuses.
pub fn set_registers(tid: Tid, registers: &Registers) -> io::Result<()> {
    value(request::SETREGS, tid, 0, &mut registers.clone()).map(drop)
}

/// Writes `rax` alone.
///
/// # Errors
/// `ESRCH` when the thread is gone or not stopped.
pub fn set_rax(tid: Tid, rax: u64) -> io::Result<()> {
    let offset = std::mem::offset_of!(Registers, rax);
    number(request::POKEUSER, tid, offset as u64, rax)
}

/// Reads the word at `address` of the thread's memory, whatever its protection.
///
/// # Errors
/// `EIO` when nothing is mapped there, `ESRCH` when the thread is gone or not stopped.
pub fn peek(tid: Tid, address: u64) -> io::Result<u64> {
    let mut word = 0_u64;
    value(request::PEEKDATA, tid, address, &mut word)?;
    Ok(word)
}

/// Writes the word at `address` of the thread's memory, whatever its protection.
///
/// # Errors
/// As [`peek`].
pub fn poke(tid: Tid, address: u64, word: u64) -> io::Result<()> {
    number(request::POKEDATA, tid, address, word)
}

/// Reads the mask of blocked signals; bit `n - 1` is signal `n`. While a system call has put a temporary mask
/// in place (`ppoll`, `epoll_pwait`, `sigsuspend`), Linux 5.2 and later give the mask that comes back after it.
///
/// # Errors
/// `ESRCH` when the thread is gone or not stopped.
pub fn signal_mask(tid: Tid) -> io::Result<u64> {
    let mut mask = 0_u64;
    value(request::GETSIGMASK, tid, SIGNAL_MASK, &mut mask)?;
    Ok(mask)
}

/// Writes the mask of blocked signals and forgets a temporary one.
///
/// # Errors
/// `ESRCH` when the thread is gone or not stopped.
pub fn set_signal_mask(tid: Tid, mask: u64) -> io::Result<()> {
    value(request::SETSIGMASK, tid, SIGNAL_MASK, &mut mask.clone()).map(drop)
}

/// Where a thread keeps its restartable-sequence area (`struct rseq`), and 0 when it has none.
///
/// # Errors
/// `EIO` on kernels before 5.13, `ESRCH` when the thread is gone or not stopped.
pub fn rseq_area(tid: Tid) -> io::Result<u64> {
    // struct ptrace_rseq_configuration { u64 pointer; u32 size, signature, flags, pad; }
    let mut configuration = [0_u64; 3];
    let size = size_of_val(&configuration) as u64;
    value(request::GET_RSEQ, tid, size, &mut configuration)?;
    Ok(configuration[0])
}

/// Whether the thread has system call user dispatch (`prctl(PR_SET_SYSCALL_USER_DISPATCH)`) on.
///
/// # Errors
/// `EIO` on kernels before 6.4, `ESRCH` when the thread is gone or not stopped.
pub fn dispatches_syscalls(tid: Tid) -> io::Result<bool> {
    // struct ptrace_sud_config { u64 mode, selector, offset, len; }
    let mut configuration = [0_u64; 4];
    let size = size_of_val(&configuration) as u64;
    value(request::GET_SYSCALL_DISPATCH, tid, size, &mut configuration)?;
    Ok(configuration[0] != 0)
}

/// Reads the extended registers into `buffer` and returns their size in bytes.
///
/// # Errors
/// `ESRCH` when the thread is gone or not stopped.
pub fn extended_registers(tid: Tid, buffer: &mut [u8]) -> io::Result<usize> {
    register_set(request::GETREGSET, tid, buffer)
}

/// Writes the extended registers back, as [`extended_registers`] gave them.
///
/// # Errors
/// `ESRCH` when the thread is gone or not stopped, `EINVAL` for another size.
pub fn set_extended_registers(tid: Tid, state: &mut [u8]) -> io::Result<usize> {
    register_set(request::SETREGSET, tid, state)
}

fn register_set(request: u64, tid: Tid, buffer: &mut [u8]) -> io::Result<usize> {
    let mut vector = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: `vector` describes `buffer`, both outlive the call, and the kernel transfers no more than its length.
    let result = unsafe {
        libc::syscall(
            libc::SYS_ptrace,
            request,
            tid.0,
            NT_X86_XSTATE,
            from_mut(&mut vector),
        )
    };
    checked(result)?;
    Ok(vector.iov_len)
}
