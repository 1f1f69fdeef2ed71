//! Borrowing a thread, making calls on it, giving it back.

use super::choose;
use super::error::RemoteError;
use super::fit::stop_if_fit;
use super::gate;
use super::scratch::Scratch;
use crate::memory::Registers;
use crate::process::{Mapping, Pid, ProcessMemory, Target, Tid, activity, threads};
use crate::stop::{self, Arrival, Cause, Lone, StopError};
use crate::sys::ptrace;
use livepatch_bundle::RunAddr;
use std::io;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

/// How long a call on the thread may take, and how long the thread is waited for at the end.
const CALL: Duration = Duration::from_secs(5);

/// Every signal; the kernel leaves `SIGKILL` and `SIGSTOP` out.
const ALL_SIGNALS: u64 = u64::MAX;

/// `orig_rax` of a thread that is in no system call, so that the kernel restarts none.
const NO_CALL: u64 = u64::MAX;

/// The signal of a stop at a system call, with `PTRACE_O_TRACESYSGOOD`.
const AT_SYSCALL: i32 = libc::SIGTRAP | 0x80;

/// Where the borrowed thread stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Where the kernel takes signals, before it decides about a restart.
    Signals,
    /// At the entry or exit of a system call.
    Syscall,
    /// It was let go and has not come back yet.
    Unknown,
    /// With us no more.
    Released,
}

/// A thread of the target that stands and makes system calls for us. Dropping it gives it back.
#[derive(Debug)]
pub struct Borrowed<'m> {
    pub(super) memory: &'m ProcessMemory,
    pub(super) scratch: Vec<Scratch>,
    lone: Lone,
    mask: u64,
    gate: RunAddr,
    place: Place,
    /// A tracee obeys only the thread that seized it.
    _not_send: PhantomData<*const ()>,
}

impl<'m> Borrowed<'m> {
    /// Stops the thread that minds least. `maps` is a current list of what the target maps.
    ///
    /// # Errors
    /// When no thread is fit, or none stops by `deadline`; nothing has been changed then.
    pub fn new(
        target: &Target,
        memory: &'m ProcessMemory,
        maps: &[Mapping],
        deadline: Instant,
    ) -> Result<Self, RemoteError> {
        let pid = target.pid;
        loop {
            let tids = threads(pid).map_err(|_| StopError::Gone(pid))?;
            let activities: Vec<_> = tids.iter().map(|&tid| (tid, activity(pid, tid))).collect();
            let mut refusals = Vec::new();
            for tid in choose::candidates(&activities) {
                match stop_if_fit(memory, tid, deadline)? {
                    Ok(lone) => return Self::take(memory, maps, lone),
                    Err(unfit) => refusals.push((tid, unfit)),
                }
            }
            if Instant::now() >= deadline || refusals.iter().all(|(_, unfit)| unfit.lasting) {
                let reasons = refusals
                    .iter()
                    .map(|(tid, unfit)| format!("thread {tid} {}", unfit.reason));
                let reasons = reasons.collect::<Vec<_>>().join(", ");
                return Err(RemoteError::NoThread { pid, reasons });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn take(memory: &'m ProcessMemory, maps: &[Mapping], lone: Lone) -> Result<Self, RemoteError> {
        let (pid, tid) = (lone.pid, lone.thread.tid);
        let failed = |action| {
            move |source| RemoteError::Ptrace {
                pid,
                tid,
                action,
                source,
            }
        };
        let gate =
            gate::find(memory, maps, &lone.thread.registers).ok_or(RemoteError::NoGate(pid))?;
        let mask = ptrace::signal_mask(tid).map_err(failed("read the signal mask"))?;
        ptrace::set_signal_mask(tid, ALL_SIGNALS).map_err(failed("set the signal mask"))?;
        Ok(Self {
            memory,
            scratch: Vec::new(),
            lone,
            mask,
            gate,
            place: Place::Signals,
            _not_send: PhantomData,
        })
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.lone.pid
    }

    /// The borrowed thread, which stands.
    #[must_use]
    pub fn tid(&self) -> Tid {
        self.lone.thread.tid
    }

    /// The registers that the thread will go on with.
    #[must_use]
    pub fn registers(&self) -> &Registers {
        &self.lone.thread.registers
    }

    /// Makes a system call in the target and returns what it returned.
    ///
    /// # Errors
    /// [`RemoteError::Failed`] when the kernel refuses the call; anything else when the thread could not make it.
    pub fn syscall(&mut self, number: i64, arguments: [u64; 6]) -> Result<u64, RemoteError> {
        self.arm(number, arguments)?;
        self.run_to_syscall()?;
        self.run_to_syscall()?;
        let registers = self.look()?;
        if registers.rip != self.gate.0 + 2 || registers.orig_rax != number.cast_unsigned() {
            let what = format!(
                "it is at {:#x} in system call {} instead of {:#x} in {number}",
                registers.rip,
                registers.orig_rax.cast_signed(),
                self.gate.0 + 2
            );
            return Err(self.astray(what));
        }
        // Results from -4095 to -1 are errors (`IS_ERR_VALUE`).
        match i32::try_from(registers.rax.cast_signed()) {
            Ok(error @ -4095..0) => {
                let source = io::Error::from_raw_os_error(-error);
                Err(RemoteError::Failed {
                    pid: self.pid(),
                    number,
                    source,
                })
            }
            _ => Ok(registers.rax),
        }
    }

    /// Gives the thread back as it was.
    ///
    /// # Errors
    /// What could not be undone.
    pub fn release(mut self) -> Result<(), RemoteError> {
        self.give_back()
    }

    /// Sets the thread up for a call. From here to the stop at its exit, the thread would not survive our death.
    fn arm(&mut self, number: i64, arguments: [u64; 6]) -> Result<(), RemoteError> {
        let [rdi, rsi, rdx, r10, r8, r9] = arguments;
        let registers = Registers {
            rip: self.gate.0,
            rax: number.cast_unsigned(),
            orig_rax: NO_CALL,
            rdi,
            rsi,
            rdx,
            r10,
            r8,
            r9,
            ..self.lone.thread.registers
        };
        let armed = ptrace::set_registers(self.tid(), &registers);
        armed.map_err(|source| self.failed("set the registers", source))
    }

    /// Lets the thread run to the next entry or exit of a system call.
    fn run_to_syscall(&mut self) -> Result<(), RemoteError> {
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
                    return Err(self.astray(format!("it got signal {signal}")));
                }
            }
        }
    }

    /// Waits until the thread stands again.
    fn await_stop(&mut self) -> Result<Cause, RemoteError> {
        let (pid, tid) = (self.pid(), self.tid());
        self.place = Place::Unknown;
        let cause = match stop::await_stop(pid, tid, Instant::now() + CALL)? {
            Arrival::Stopped(cause) => cause,
            Arrival::Gone => return Err(RemoteError::Gone { pid, tid }),
            Arrival::Execed => return Err(StopError::Replaced(pid).into()),
            Arrival::Late => return Err(RemoteError::Stuck { pid, tid }),
        };
        let at_syscall = cause == Cause::Delivery(AT_SYSCALL);
        self.place = if at_syscall {
            Place::Syscall
        } else {
            Place::Signals
        };
        Ok(cause)
    }

    /// Undoes everything, reports the first failure, and goes on after it as far as possible.
    fn give_back(&mut self) -> Result<(), RemoteError> {
        if self.place == Place::Released {
            return Ok(());
        }
        let freed = self.free_scratch();
        let restored = self.restore();
        self.place = Place::Released;
        restored.and(freed)
    }

    /// Puts registers and mask back and lets the thread go from a stop where the kernel still decides about signals
    /// and restarts.
    fn restore(&mut self) -> Result<(), RemoteError> {
        if self.place == Place::Unknown {
            ptrace::interrupt(self.tid()).map_err(|source| self.failed("interrupt", source))?;
            self.await_stop()?;
        }
        // Asked for before the registers are put back: from then on the thread passes the kernel's decision even if we die.
        if self.place == Place::Syscall {
            ptrace::interrupt(self.tid()).map_err(|source| self.failed("interrupt", source))?;
        }
        let put = ptrace::set_registers(self.tid(), self.registers())
            .and_then(|()| ptrace::set_signal_mask(self.tid(), self.mask));
        put.map_err(|source| self.failed("put back the registers", source))?;
        if self.place == Place::Syscall {
            ptrace::cont(self.tid(), 0).map_err(|source| self.failed("continue", source))?;
            self.lone.thread.cause = self.await_stop()?;
        }
        self.verify()?;
        let (pid, tid) = (self.pid(), self.tid());
        self.lone.release().map_err(|error| RemoteError::Ptrace {
            pid,
            tid,
            action: "end the trace",
            source: error.source,
        })
    }

    fn verify(&self) -> Result<(), RemoteError> {
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

    fn look(&self) -> Result<Registers, RemoteError> {
        ptrace::registers(self.tid()).map_err(|source| self.failed("read the registers", source))
    }

    fn astray(&self, what: String) -> RemoteError {
        RemoteError::Astray {
            pid: self.pid(),
            tid: self.tid(),
            what,
        }
    }

    /// A failed `ptrace`; `ESRCH` means that the thread was killed.
    fn failed(&self, action: &'static str, source: io::Error) -> RemoteError {
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

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.give_back() {
            tracing::error!("{error}");
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
