//! System calls that would return `EINTR` because of the stop alone, and how that is prevented.
//!
//! A stop wakes a sleeping thread as a signal does. Most system calls then return one of the kernel's own
//! `ERESTART*` codes, which never reach the program: when no handler ran, the kernel issues the call again.
//! Some return plain `-EINTR` instead, so that the program would see an interruption without a signal
//! (signal(7), "Interruption of system calls and library functions by stop signals").
//!
//! # What is done
//! The thread stands inside `get_signal`, *before* the kernel looks at the result of the interrupted call
//! (`arch_do_signal_or_restart` in `arch/x86/kernel/signal.c`). So replacing `-EINTR` by `-ERESTARTNOHAND` in
//! `rax` makes the kernel itself decide when the thread goes on:
//!
//! - a handler runs: the call returns `-EINTR`, whether or not the handler has `SA_RESTART`, exactly what
//!   these calls do by themselves;
//! - none runs: `rax` becomes `orig_rax`, `rip` goes back over the `syscall` instruction, and the call is issued again.
//!
//! This beats rewinding `rip` ourselves: a signal that arrives during the stop, even between our last look and the
//! release, is judged by the kernel when the thread goes on, and no pending set, mask or handler table need be
//! read. It is also done at the beginning of the stop, not at its end: if the tracer dies, its tracees go on with
//! nothing to repair.
//!
//! What remains is the instant between the kernel's decision to issue the call again and its start: a handler that
//! runs then runs *before* the call, which sleeps on. It is the same instant that `pause` and `sigsuspend` have after
//! every SIGSTOP and SIGCONT, and the same outcome as of a signal just before the call was first made; a program that
//! keeps the signal blocked except within the call (`epoll_pwait`, `sigtimedwait`) cannot be hurt by either.
//!
//! `epoll_pwait` and its like keep their temporary signal mask while the result is `-EINTR`; the kernel delivers
//! under that mask and restores the old one when it issues the call again, as it does for `ppoll`, which
//! returns `-ERESTARTNOHAND` by itself.
//!
//! # What is not restarted
//! - `connect` (a second one fails with `EALREADY`) and `close` (the descriptor is gone), ever.
//! - A thread that was already stopped by a signal, or is about to be: its `EINTR` is not ours.
//!
//! # What a program can still notice
//! - A relative timeout begins anew where it cannot be shortened (`stop::timed` says when it can): the wait may last longer
//!   by the time that had passed before the stop. Calls that the kernel restarts with `restart_syscall` (`nanosleep`,
//!   `poll`, `futex`) keep theirs.
//! - A transfer that had moved some bytes before it was interrupted returns that smaller count, as after any signal.

use crate::memory::{Memory, Registers};
use libc::c_long;
use livepatch_bundle::RunAddr;

/// `-EINTR` as a system call returns it.
const INTERRUPTED: u64 = (-(libc::EINTR as i64)).cast_unsigned();
/// `-ERESTARTNOHAND` (`include/linux/errno.h`): the call is issued again if no handler runs.
pub(crate) const ISSUED_AGAIN: u64 = (-514_i64).cast_unsigned();
/// `-ERESTART_RESTARTBLOCK`: the call goes on by `restart_syscall` with state that the kernel keeps.
const RESTART_BLOCK: u64 = (-516_i64).cast_unsigned();

/// When an entry of the table applies, by the call's arguments.
type Condition = fn(&Registers) -> bool;

/// A system call that may be issued again when it returned `-EINTR`.
struct Entry {
    number: c_long,
    condition: Condition,
}

const fn entry(number: c_long) -> Entry {
    Entry {
        number,
        condition: |_| true,
    }
}

/// Calls that return `-EINTR` for a stop, and that have done nothing when they do.
const TABLE: &[Entry] = &[
    // fs/eventpoll.c, `ep_poll`: `if (signal_pending(current)) return -EINTR`, only when no event was found.
    entry(libc::SYS_epoll_wait),
    entry(libc::SYS_epoll_pwait),
    entry(libc::SYS_epoll_pwait2),
    // ipc/sem.c, `__do_semtimedop`: -EINTR only while the operation is still queued; it is unlinked, not performed.
    entry(libc::SYS_semop),
    entry(libc::SYS_semtimedop),
    // kernel/signal.c, `do_sigtimedwait`: looks for a signal once more before it says -EINTR; takes none then.
    entry(libc::SYS_rt_sigtimedwait),
    // fs/aio.c: `if (!ret && signal_pending(current)) ret = -EINTR`; events handed over make `ret` positive.
    entry(libc::SYS_io_getevents),
    // io_uring/io_uring.c: the wait's result is returned only when nothing was submitted.
    entry(libc::SYS_io_uring_enter),
    // include/net/sock.h, `sock_intr_errno`: -EINTR instead of -ERESTARTSYS on a socket with SO_RCVTIMEO or
    // SO_SNDTIMEO, only when nothing was accepted or transferred. `read` and `write` end in the same functions.
    entry(libc::SYS_accept),
    entry(libc::SYS_accept4),
    entry(libc::SYS_recvfrom),
    entry(libc::SYS_recvmsg),
    entry(libc::SYS_recvmmsg),
    entry(libc::SYS_read),
    entry(libc::SYS_readv),
    entry(libc::SYS_write),
    entry(libc::SYS_writev),
    entry(libc::SYS_sendfile),
    entry(libc::SYS_splice),
    entry(libc::SYS_preadv2),
    entry(libc::SYS_pwritev2),
    Entry {
        number: libc::SYS_sendto,
        condition: |call| no_fast_open(call.r10),
    },
    Entry {
        number: libc::SYS_sendmsg,
        condition: |call| no_fast_open(call.rdx),
    },
    Entry {
        number: libc::SYS_sendmmsg,
        condition: |call| no_fast_open(call.r10),
    },
    // mm/shmem.c, fs/hugetlbfs/inode.c: -EINTR in the middle of the work, which doing it again completes. Not for
    // the modes that move what follows.
    Entry {
        number: libc::SYS_fallocate,
        condition: |call| keeps_offsets(call.rsi),
    },
];

/// `MSG_FASTOPEN` makes a send connect, and connecting is not repeated.
fn no_fast_open(flags: u64) -> bool {
    flags & 0x2000_0000 == 0
}

/// Neither `FALLOC_FL_COLLAPSE_RANGE` nor `FALLOC_FL_INSERT_RANGE`.
fn keeps_offsets(mode: u64) -> bool {
    mode & (0x08 | 0x20) == 0
}

/// What `rax` must become so that the program sees no `EINTR` from the stop; `None` to leave it.
#[must_use]
pub fn concealed(registers: &Registers) -> Option<u64> {
    let number = registers.orig_rax.cast_signed();
    if registers.rax != INTERRUPTED || number < 0 {
        return None;
    }
    let entry = TABLE.iter().find(|entry| entry.number == number)?;
    (entry.condition)(registers).then_some(ISSUED_AGAIN)
}

/// Whether the thread was interrupted in a system call that goes on by `restart_syscall`.
#[must_use]
pub fn has_restart_block(registers: &Registers) -> bool {
    is_in_syscall(registers) && registers.rax == RESTART_BLOCK
}

/// The registers that a thread had when the kernel interrupted the call which it goes on with, or is about to go on with, by
/// `restart_syscall(2)`: with them the kernel does the same again. `None` for any other thread, and where neither the
/// registers nor the code tell which call it is: `mov $NUMBER, %eax; syscall`, as glibc writes it.
pub(super) fn continued(registers: &Registers, memory: &impl Memory) -> Option<Registers> {
    let again = libc::SYS_restart_syscall.cast_unsigned();
    let after = match has_restart_block(registers) {
        true if registers.orig_rax == again => registers.rip,
        false if registers.rax == again => registers.rip.checked_add(2)?,
        _ => return None,
    };
    let mut code = [0; 7];
    let start = RunAddr(after.checked_sub(code.len() as u64)?);
    memory.read(start, &mut code).ok()?;
    let (load, call) = code.split_at(5);
    if call != [0x0f, 0x05] {
        return None;
    }
    let loaded = match *load {
        [0xb8, n0, n1, n2, n3] => u32::from_le_bytes([n0, n1, n2, n3]).into(),
        _ => registers.orig_rax.cast_signed(),
    };
    uses_restart_block(loaded).then_some(Registers {
        rip: after,
        rax: RESTART_BLOCK,
        orig_rax: loaded.cast_unsigned(),
        ..*registers
    })
}

/// Whether a system call overwrites what the kernel keeps of one that `restart_syscall(2)` shall continue, at least when it is
/// interrupted: `restart_block` in the kernel's source.
#[must_use]
pub fn uses_restart_block(number: c_long) -> bool {
    matches!(
        number,
        libc::SYS_nanosleep | libc::SYS_clock_nanosleep | libc::SYS_poll | libc::SYS_futex
    )
}

/// Whether the kernel issues or continues the interrupted call again if no handler runs: `rax` is one of its `ERESTART*`
/// codes.
#[must_use]
pub fn is_restarted(registers: &Registers) -> bool {
    matches!(registers.rax.cast_signed(), -514..=-512 | -516)
}

/// Whether the thread was interrupted in a system call: `orig_rax` is its number, and -1 for any other entry to the kernel.
#[must_use]
pub fn is_in_syscall(registers: &Registers) -> bool {
    registers.orig_rax.cast_signed() >= 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Unreadable;
    use crate::sys::ptrace::no_registers;

    fn interrupted(number: c_long) -> Registers {
        Registers {
            orig_rax: number.cast_unsigned(),
            rax: INTERRUPTED,
            ..no_registers()
        }
    }

    #[test]
    fn listed_calls_are_restarted() {
        for entry in TABLE {
            assert_eq!(concealed(&interrupted(entry.number)), Some(ISSUED_AGAIN));
        }
    }

    #[test]
    fn other_calls_and_results_are_left() {
        for number in [libc::SYS_connect, libc::SYS_close, libc::SYS_ioctl, -1] {
            assert_eq!(concealed(&interrupted(number)), None, "{number}");
        }
        let arrived = Registers {
            rax: 1,
            ..interrupted(libc::SYS_epoll_wait)
        };
        assert_eq!(concealed(&arrived), None);
        let kernel = Registers {
            rax: RESTART_BLOCK,
            ..interrupted(libc::SYS_poll)
        };
        assert_eq!(concealed(&kernel), None);
        assert!(has_restart_block(&kernel));
    }

    /// The code at an address.
    struct Code(u64, &'static [u8]);

    impl Memory for Code {
        fn read(&self, address: RunAddr, buffer: &mut [u8]) -> Result<(), Unreadable> {
            let len = buffer.len();
            let start = address.0.checked_sub(self.0).unwrap_or(u64::MAX) as usize;
            let bytes = self.1.get(start..).and_then(|bytes| bytes.get(..len));
            buffer.copy_from_slice(bytes.ok_or(Unreadable { address, len })?);
            Ok(())
        }
    }

    /// What a thread at `rip` goes on with: where, and which call.
    fn goes_on(rip: u64, rax: u64, number: c_long, code: &Code) -> Option<(u64, c_long)> {
        let registers = Registers {
            rip,
            rax,
            ..interrupted(number)
        };
        let found = continued(&registers, code)?;
        assert!(has_restart_block(&found));
        Some((found.rip, found.orig_rax.cast_signed()))
    }

    #[test]
    fn the_code_tells_which_call_goes_on() {
        let poll = Code(0x1000, &[0x90, 0xb8, 7, 0, 0, 0, 0x0f, 0x05]);
        let number = Code(0x1000, &[0x90, 0x90, 0x90, 0x89, 0xf8, 0x90, 0x0f, 0x05]);
        let read = Code(0x1000, &[0x90, 0xb8, 0, 0, 0, 0, 0x0f, 0x05]);
        let (again, wanted) = (libc::SYS_restart_syscall, Some((0x1008, libc::SYS_poll)));
        assert_eq!(goes_on(0x1008, RESTART_BLOCK, again, &poll), wanted);
        assert_eq!(goes_on(0x1008, RESTART_BLOCK, libc::SYS_poll, &poll), None);
        assert_eq!(goes_on(0x1006, RESTART_BLOCK, again, &poll), None);
        assert_eq!(goes_on(0x1008, RESTART_BLOCK, again, &number), None);
        assert_eq!(goes_on(0x1008, RESTART_BLOCK, again, &read), None);
    }

    #[test]
    fn a_thread_about_to_go_on_with_a_call_is_in_it() {
        let poll = Code(0x1000, &[0x90, 0xb8, 7, 0, 0, 0, 0x0f, 0x05]);
        let number = Code(0x1000, &[0x90, 0x90, 0x90, 0x89, 0xf8, 0x90, 0x0f, 0x05]);
        let again = libc::SYS_restart_syscall.cast_unsigned();
        let wanted = Some((0x1008, libc::SYS_poll));
        for orig in [libc::SYS_poll, libc::SYS_restart_syscall, -1] {
            assert_eq!(goes_on(0x1006, again, orig, &poll), wanted);
        }
        assert_eq!(goes_on(0x1006, again, libc::SYS_poll, &number), wanted);
        assert_eq!(goes_on(0x1006, again, -1, &number), None);
        assert_eq!(goes_on(0x1006, 7, libc::SYS_poll, &poll), None, "anew");
    }

    #[test]
    fn calls_that_cannot_be_repeated_are_left() {
        let fast_open = Registers {
            r10: 0x2000_0000,
            ..interrupted(libc::SYS_sendto)
        };
        assert_eq!(concealed(&fast_open), None);
        let collapse = Registers {
            rsi: 0x08,
            ..interrupted(libc::SYS_fallocate)
        };
        assert_eq!(concealed(&collapse), None);
    }
}
