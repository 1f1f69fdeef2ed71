//! Moving the borrowed thread: away from where it stood, to a system call, and home.
//!
//! *Home* is the stop in which it was found: before the kernel's decision about signals and restarts, with its own
//! registers and signal mask. There it survives our death. Away from home, from [`Borrowed::arm`] to the middle of
//! [`Borrowed::settle`], it survives by the frame at its stack pointer ([`super::home`]), which gives back the signal
//! mask, too. Hence the order: the mask changes after the registers on the way out and before them on the way back, so that
//! our mask is never in force without the frame.

use super::{Borrowed, RemoteError};
use crate::memory::Registers;
use crate::stop::{self, Arrival, Cause, StopError};
use crate::sys::ptrace;
use livepatch_bundle::RunAddr;
use std::io;
use std::time::{Duration, Instant};

/// How long a call on the thread may take, and how long the thread is waited for at the end.
pub(super) const CALL: Duration = Duration::from_secs(5);

/// How long a function that overran its time may still run on to get out of the allocator or the like.
const GRACE: Duration = Duration::from_secs(1);

/// Every signal; the kernel leaves `SIGKILL` and `SIGSTOP` out.
pub(super) const ALL_SIGNALS: u64 = u64::MAX;

/// Every signal but those that an instruction causes: `SIGILL`, `SIGTRAP`, `SIGBUS`, `SIGFPE`, `SIGSEGV`, `SIGSYS`. The kernel
/// does not queue these when they are blocked, it resets their handlers.
pub(super) const ASYNCHRONOUS_SIGNALS: u64 = !(bit(libc::SIGILL)
    | bit(libc::SIGTRAP)
    | bit(libc::SIGBUS)
    | bit(libc::SIGFPE)
    | bit(libc::SIGSEGV)
    | bit(libc::SIGSYS));

const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// `orig_rax` of a thread that is in no system call, so that the kernel restarts none.
const NO_CALL: u64 = u64::MAX;

/// The signal of a stop at a system call, with `PTRACE_O_TRACESYSGOOD`.
const AT_SYSCALL: i32 = libc::SIGTRAP | 0x80;

/// Where the borrowed thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where it was found.
    Home,
    /// In another stop, or about to leave this one.
    Away,
    /// Let go, and not back yet.
    Unknown,
    /// With us no more.
    Released,
}

impl Borrowed<'_> {
    /// The address after the `syscall` instruction.
    pub(super) fn after_gate(&self) -> u64 {
        self.gate.0 + 2
    }

    /// Sets the thread up to run elsewhere, with these signals blocked and no system call to restart.
    pub(super) fn arm(&mut self, registers: &Registers, blocked: u64) -> Result<(), RemoteError> {
        self.place = Place::Away;
        let registers = Registers {
            orig_rax: NO_CALL,
            ..*registers
        };
        ptrace::set_registers(self.tid(), &registers)
            .and_then(|()| ptrace::set_signal_mask(self.tid(), blocked))
            .map_err(|source| self.failed("set the registers", source))
    }

    /// Lets the thread run to the next entry or exit of a system call.
    pub(super) fn run_to_syscall(&mut self) -> Result<(), RemoteError> {
        let mut signal = 0;
        loop {
            self.place = Place::Unknown;
            let resumed = ptrace::cont_to_syscall(self.tid(), signal);
            resumed.map_err(|source| self.failed("continue", source))?;
            match self.await_stop()? {
                Cause::Delivery(AT_SYSCALL) => return Ok(()),
                // A stop of the whole process takes effect for the others; this one goes on until it is given back.
                Cause::Delivery(libc::SIGSTOP) => signal = libc::SIGSTOP,
                Cause::Interrupt | Cause::GroupStop(_) => signal = 0,
                Cause::Delivery(signal) => {
                    let (pid, tid) = (self.pid(), self.tid());
                    return Err(RemoteError::Crashed { pid, tid, signal });
                }
            }
        }
    }

    /// Lets the thread run on for a moment if it is where it must not be taken away from, as `may_leave` says of its
    /// registers, for at most [`GRACE`].
    pub(super) fn leave(
        &mut self,
        may_leave: &mut dyn FnMut(&Registers) -> bool,
    ) -> Result<(), RemoteError> {
        let end = Instant::now() + GRACE;
        self.deadline = None;
        loop {
            if self.place == Place::Unknown {
                let asked = ptrace::interrupt(self.tid());
                asked.map_err(|source| self.failed("interrupt", source))?;
                self.await_stop()?;
            }
            if may_leave(&self.look()?) || Instant::now() >= end {
                return Ok(());
            }
            self.place = Place::Unknown;
            let resumed = ptrace::cont_to_syscall(self.tid(), 0);
            resumed.map_err(|source| self.failed("continue", source))?;
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until the thread stands again.
    fn await_stop(&mut self) -> Result<Cause, RemoteError> {
        let (pid, tid) = (self.pid(), self.tid());
        let latest = Instant::now() + CALL;
        let deadline = self
            .deadline
            .map_or(latest, |deadline| deadline.min(latest));
        let arrival = stop::await_stop(pid, tid, deadline)?;
        match arrival {
            Arrival::Stopped(cause) => {
                self.place = Place::Away;
                Ok(cause)
            }
            Arrival::Gone => Err(RemoteError::Gone { pid, tid }),
            Arrival::Execed => Err(StopError::Replaced(pid).into()),
            Arrival::Late => Err(RemoteError::Stuck { pid, tid }),
        }
    }

    /// Waits for the thread on its way home.
    fn await_return(&mut self) -> Result<Cause, RemoteError> {
        self.await_stop().map_err(|error| match error {
            RemoteError::Stuck { pid, tid } => RemoteError::Lost { pid, tid },
            other => other,
        })
    }

    /// Brings the thread home, wherever it is.
    pub(super) fn settle(&mut self) -> Result<(), RemoteError> {
        if self.place == Place::Home {
            return Ok(());
        }
        let tid = self.tid();
        if self.place == Place::Unknown {
            ptrace::interrupt(tid).map_err(|source| self.failed("interrupt", source))?;
            self.await_return()?;
        }
        self.skip_call()?;
        // Asked for before the registers are put back: from then on the thread passes the kernel's decision even if we die.
        ptrace::interrupt(tid).map_err(|source| self.failed("interrupt", source))?;
        self.put_back()
            .map_err(|source| self.failed("put back the registers", source))?;
        ptrace::cont(tid, 0).map_err(|source| self.failed("continue", source))?;
        self.place = Place::Unknown;
        match self.await_return()? {
            Cause::Delivery(signal) => Err(self.astray(format!("it got signal {signal}"))),
            cause => {
                self.lone.thread.cause = cause;
                self.place = Place::Home;
                Ok(())
            }
        }
    }

    /// Has a thread that may stand at the entry of a system call come out of it, with nothing done. Put back there, its own registers would
    /// have the kernel make the call of home at once, and what that brought would be lost.
    fn skip_call(&mut self) -> Result<(), RemoteError> {
        let tid = self.tid();
        let registers = self.look()?;
        if registers.orig_rax == NO_CALL {
            return Ok(());
        }
        let registers = Registers {
            orig_rax: NO_CALL,
            ..registers
        };
        ptrace::set_registers(tid, &registers)
            .and_then(|()| ptrace::interrupt(tid))
            .and_then(|()| ptrace::cont(tid, 0))
            .map_err(|source| self.failed("skip the system call", source))?;
        self.place = Place::Unknown;
        self.await_return().map(drop)
    }

    fn put_back(&mut self) -> io::Result<()> {
        let tid = self.tid();
        let mut extended = std::mem::take(&mut self.extended);
        if !extended.is_empty() {
            ptrace::set_extended_registers(tid, &mut extended)?;
        }
        ptrace::set_signal_mask(tid, self.mask)?;
        ptrace::set_registers(tid, self.registers())
    }

    /// Looks whether the thread is as it was.
    pub(super) fn verify(&self) -> Result<(), RemoteError> {
        let now = self.look()?;
        let mask = ptrace::signal_mask(self.tid())
            .map_err(|source| self.failed("read the signal mask", source))?;
        if words(&now) == words(self.registers()) && mask == self.mask {
            return Ok(());
        }
        Err(RemoteError::NotRestored {
            pid: self.pid(),
            tid: self.tid(),
            rip: RunAddr(now.rip),
            was: RunAddr(self.registers().rip),
        })
    }

    pub(super) fn look(&self) -> Result<Registers, RemoteError> {
        ptrace::registers(self.tid()).map_err(|source| self.failed("read the registers", source))
    }

    pub(super) fn astray(&self, what: String) -> RemoteError {
        RemoteError::Astray {
            pid: self.pid(),
            tid: self.tid(),
            what,
        }
    }

    /// A failed `ptrace`; `ESRCH` means that the thread was killed.
    pub(super) fn failed(&self, action: &'static str, source: io::Error) -> RemoteError {
        let (pid, tid) = (self.pid(), self.tid());
        if source.raw_os_error() == Some(libc::ESRCH) {
            RemoteError::Gone { pid, tid }
        } else {
            RemoteError::Ptrace {
                pid,
                tid,
                action,
                source,
            }
        }
    }
}

/// All registers in a form that compares.
fn words(registers: &Registers) -> [u64; 27] {
    let Registers {
        r15,
        r14,
        r13,
        r12,
        rbp,
        rbx,
        r11,
        r10,
        r9,
        r8,
        rax,
        rcx,
        rdx,
        ..
    } = *registers;
    let Registers {
        rsi,
        rdi,
        orig_rax,
        rip,
        cs,
        eflags,
        rsp,
        ss,
        ..
    } = *registers;
    let Registers {
        fs_base,
        gs_base,
        ds,
        es,
        fs,
        gs,
        ..
    } = *registers;
    [
        r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs,
        eflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs,
    ]
}
