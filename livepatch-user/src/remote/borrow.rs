//! Borrowing a thread, making calls on it, giving it back.

use super::choose;
use super::drive::{ALL_SIGNALS, Place};
use super::error::RemoteError;
use super::fit::{Accept, prepare_in_stop, stop_if_fit};
use super::gate::Gates;
use super::home::WayHome;
use super::scratch::Scratch;
use crate::memory::Registers;
use crate::process::{Mapping, Pid, ProcessMemory, Target, Tid, activity, threads};
use crate::stop::{Lone, StopError, StoppedThread};
use crate::sys::ptrace;
use livepatch_bundle::RunAddr;
use std::io;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

/// `rt_sigreturn(2)`.
const RT_SIGRETURN: u64 = libc::SYS_rt_sigreturn.cast_unsigned();

/// A thread of the target that stands and makes system calls for us. Dropping it gives it back.
#[derive(Debug)]
pub struct Borrowed<'m> {
    pub(super) memory: &'m ProcessMemory,
    pub(super) scratch: Vec<Scratch>,
    pub(super) lone: Lone,
    /// The signals that it blocks by itself.
    pub(super) mask: u64,
    pub(super) gate: RunAddr,
    /// How it gets home when we die.
    pub(super) way: Option<WayHome>,
    /// Where functions return to, see [`Self::return_through`].
    pub(super) stub: Option<RunAddr>,
    /// Its extended registers, while they may have changed.
    pub(super) extended: Vec<u8>,
    pub(super) place: Place,
    /// When the function that it runs must have returned.
    pub(super) deadline: Option<Instant>,
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
        Self::new_if(target, memory, maps, deadline, &mut |_| Ok(()))
    }

    /// As [`Self::new`], of the threads of which `accept` says that they will do, or why they will not at the moment.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn new_if(
        target: &Target,
        memory: &'m ProcessMemory,
        maps: &[Mapping],
        deadline: Instant,
        accept: Accept<'_>,
    ) -> Result<Self, RemoteError> {
        let pid = target.pid;
        let gates = Gates::of(memory, maps);
        loop {
            let tids = threads(pid).map_err(|_| StopError::Gone(pid))?;
            let activities: Vec<_> = tids.iter().map(|&tid| (tid, activity(pid, tid))).collect();
            let (mut refusals, mut refused) = (Vec::new(), None);
            for tid in choose::candidates(&activities) {
                match stop_if_fit(memory, tid, deadline, accept) {
                    Ok(Ok(lone)) => return Self::take(memory, maps, &gates, lone),
                    Ok(Err(unfit)) => refusals.push((tid, unfit)),
                    // Somebody traces it; another thread may do.
                    Err(error @ RemoteError::Stop(StopError::Refused { .. })) => {
                        refused.get_or_insert(error);
                    }
                    Err(error) => return Err(error),
                }
            }
            if target.has_ended() {
                return Err(StopError::Gone(pid).into());
            }
            if Instant::now() >= deadline || refusals.iter().all(|(_, unfit)| unfit.lasting) {
                if let Some(error) = refused {
                    return Err(error);
                }
                let reasons = refusals.into_iter().map(|(tid, unfit)| (tid, unfit.reason));
                let reasons = grouped(reasons.collect());
                return Err(RemoteError::NoThread { pid, reasons });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// As [`Self::new_if`], of the first thread only; `None` if it will not do by `deadline`, or never.
    ///
    /// # Errors
    /// When it cannot be stopped or used.
    pub fn leader_if(
        target: &Target,
        memory: &'m ProcessMemory,
        maps: &[Mapping],
        deadline: Instant,
        accept: Accept<'_>,
    ) -> Result<Option<Self>, RemoteError> {
        let leader = target.pid.leader();
        let gates = Gates::of(memory, maps);
        loop {
            match stop_if_fit(memory, leader, deadline, accept) {
                Ok(Ok(lone)) => return Self::take(memory, maps, &gates, lone).map(Some),
                Ok(Err(unfit)) if unfit.lasting || Instant::now() >= deadline => return Ok(None),
                Ok(Err(_)) => std::thread::sleep(Duration::from_millis(1)),
                Err(RemoteError::Stop(StopError::Unstoppable { .. })) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes a thread that stands with all others, in a stop of the whole process, which keeps it afterwards.
    ///
    /// # Errors
    /// When the thread is not fit.
    pub fn in_stop(
        memory: &'m ProcessMemory,
        maps: &[Mapping],
        thread: StoppedThread,
    ) -> Result<Self, RemoteError> {
        let mut lone = Lone::of_stop(memory.pid(), thread);
        prepare_in_stop(memory, &mut lone)?;
        Self::take(memory, maps, &Gates::of(memory, maps), lone)
    }

    fn take(
        memory: &'m ProcessMemory,
        maps: &[Mapping],
        gates: &Gates,
        lone: Lone,
    ) -> Result<Self, RemoteError> {
        let (pid, tid) = (lone.pid, lone.thread.tid);
        let home = &lone.thread.registers;
        let mask = ptrace::signal_mask(tid).map_err(|source| RemoteError::Ptrace {
            pid,
            tid,
            action: "read the signal mask",
            source,
        })?;
        let way = WayHome::lay(memory, maps, gates, tid, home, mask);
        let gate = match &way {
            Some(way) => Some(way.gate),
            None => gates.for_thread(memory, home),
        };
        let gate = gate.ok_or(RemoteError::NoGate(pid))?;
        Ok(Self {
            memory,
            scratch: Vec::new(),
            lone,
            mask,
            gate,
            way,
            stub: None,
            extended: Vec::new(),
            place: Place::Home,
            deadline: None,
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

    /// Makes a system call in the target and returns what it returned. Afterwards the thread stands as it stood before.
    ///
    /// # Errors
    /// [`RemoteError::Failed`] when the kernel refuses the call; anything else when the thread could not make it.
    pub fn syscall(&mut self, number: i64, arguments: [u64; 6]) -> Result<u64, RemoteError> {
        let result = self.make(number, arguments);
        self.settle().and(result)
    }

    fn make(&mut self, number: i64, arguments: [u64; 6]) -> Result<u64, RemoteError> {
        let [rdi, rsi, rdx, r10, r8, r9] = arguments;
        let registers = Registers {
            rip: self.gate.0,
            rax: number.cast_unsigned(),
            rdi,
            rsi,
            rdx,
            r10,
            r8,
            r9,
            ..*self.registers()
        };
        match self.way.as_ref().map(|way| way.stack.0) {
            None => {
                self.arm(&registers, ALL_SIGNALS)?;
                self.run_to_syscall()?;
            }
            Some(stack) => self.enter(registers, stack)?,
        }
        self.run_to_syscall()?;
        let registers = self.look()?;
        if registers.rip != self.after_gate() || registers.orig_rax != number.cast_unsigned() {
            let (rip, call) = (registers.rip, registers.orig_rax.cast_signed());
            return Err(self.astray(format!("it is at {rip:#x} after system call {call}")));
        }
        self.result(number, registers.rax)
    }

    /// Brings the thread to the entry of a system call. It is sent to call `rt_sigreturn` with the frame at `stack`, and
    /// only there given the call that is wanted: should we die before, it goes home without having made any, which matters
    /// where a seccomp filter kills who makes one and is suspended only as long as we live.
    fn enter(&mut self, call: Registers, stack: u64) -> Result<(), RemoteError> {
        let home = Registers {
            rax: RT_SIGRETURN,
            // The kernel takes the frame's first word as popped.
            rsp: stack + 8,
            ..call
        };
        self.arm(&home, ALL_SIGNALS)?;
        self.run_to_syscall()?;
        let entered = Registers {
            rip: self.after_gate(),
            orig_rax: call.rax,
            rsp: stack,
            ..call
        };
        ptrace::set_registers(self.tid(), &entered)
            .map_err(|source| self.failed("set the registers", source))
    }

    /// Results from -4095 to -1 are errors (`IS_ERR_VALUE`).
    fn result(&self, number: i64, rax: u64) -> Result<u64, RemoteError> {
        match i32::try_from(rax.cast_signed()) {
            Ok(error @ -4095..0) => {
                let source = io::Error::from_raw_os_error(-error);
                Err(RemoteError::Failed {
                    pid: self.pid(),
                    number,
                    source,
                })
            }
            _ => Ok(rax),
        }
    }

    /// Gives the thread back as it was.
    ///
    /// # Errors
    /// What could not be undone.
    pub fn release(mut self) -> Result<(), RemoteError> {
        self.give_back()
    }

    /// Undoes everything, reports the first failure, and goes on after it as far as possible.
    fn give_back(&mut self) -> Result<(), RemoteError> {
        if self.place == Place::Released {
            return Ok(());
        }
        let freed = self.free_scratch();
        let restored = self.settle().and_then(|()| self.verify());
        let cleared = self.clear_way();
        self.place = Place::Released;
        let (pid, tid) = (self.pid(), self.tid());
        let released = self.lone.release().map_err(|error| RemoteError::Ptrace {
            pid,
            tid,
            action: "end the trace",
            source: error.source,
        });
        restored.and(released).and(freed).and(cleared)
    }

    /// Takes the frame away, with which nothing is wrong but that it was not there.
    fn clear_way(&mut self) -> Result<(), RemoteError> {
        let (pid, tid) = (self.pid(), self.tid());
        let cleared = self.way.take().map(|way| way.clear(self.memory, tid));
        cleared
            .unwrap_or(Ok(()))
            .map_err(|source| RemoteError::Scratch { pid, source })
    }
}

/// The reasons, each once, with a thread that it is true of and how many more.
fn grouped(reasons: Vec<(Tid, &'static str)>) -> String {
    let mut groups: Vec<(Tid, &str, usize)> = Vec::new();
    for (tid, reason) in reasons {
        match groups.iter_mut().find(|group| group.1 == reason) {
            Some(group) => group.2 += 1,
            None => groups.push((tid, reason, 0)),
        }
    }
    let tell = |(tid, reason, more): &(Tid, &str, usize)| match more {
        0 => format!("thread {tid} {reason}"),
        more => format!("thread {tid} {reason} (and {more} more)"),
    };
    groups.iter().map(tell).collect::<Vec<_>>().join(", ")
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.give_back() {
            tracing::error!("{error}");
        }
    }
}
