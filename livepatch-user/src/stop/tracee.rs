//! One thread: attach, stop, look, tell how it stopped.

use super::error::StopError;
use super::patience::Patience;
use super::restart;
use super::timed::TimedWaits;
use crate::memory::Registers;
use crate::process::{self, Pid, Stat, Status, Tid};
use crate::sys::{ptrace, task, wait};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a tracer may take to let go, and one of which the kernel says that it ends: a guardian that was killed gives back the lock before its
/// tracees.
const LEAVING: Duration = Duration::from_millis(200);
const ENDING: Duration = Duration::from_secs(10);
/// How long a killed thread may take to end.
const END: Duration = Duration::from_secs(2);

/// How a thread came to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// We asked for it.
    Interrupt,
    /// It was about to take this signal; it takes it at the release.
    Delivery(i32),
    /// A stop signal (`SIGSTOP`, ...) had stopped the process; it stays stopped after the release.
    GroupStop(i32),
}

impl Cause {
    /// The signal to deliver at the release, 0 for none.
    #[must_use]
    pub fn signal_to_deliver(self) -> i32 {
        match self {
            Self::Delivery(signal) => signal,
            Self::Interrupt | Self::GroupStop(_) => 0,
        }
    }

    /// Whether a stop signal keeps the thread, or is about to: then an interrupted call is not our doing.
    fn is_job_control(self) -> bool {
        match self {
            Self::GroupStop(_) => true,
            Self::Delivery(signal) => is_stop_signal(signal),
            Self::Interrupt => false,
        }
    }
}

/// A thread that stands.
#[derive(Clone, Copy, Debug)]
pub struct StoppedThread {
    /// The thread.
    pub tid: Tid,
    /// Its registers. `rax` is the concealed value where a call was interrupted (see [`restart`]).
    pub registers: Registers,
    /// Whether it was asleep when the roster was taken.
    pub was_sleeping: bool,
    /// How it came to stand.
    pub cause: Cause,
}

/// What became of an attempt to attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seized {
    /// We trace it now.
    Yes,
    /// It is gone.
    Gone,
    /// It belongs to the kernel, never runs user code and cannot be traced.
    KernelHelper,
}

/// What became of a thread that was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It stands.
    Stopped(Cause),
    /// It is gone.
    Gone,
    /// It executes another program; it stands.
    Execed,
    /// The deadline passed.
    Late,
}

/// Attaches without stopping.
pub(crate) fn seize(pid: Pid, tid: Tid, options: u64) -> Result<Seized, StopError> {
    let begin = Instant::now();
    let mut patience = Patience::new();
    loop {
        match seize_once(pid, tid, options) {
            Ok(seized) => return Ok(seized),
            Err(_)
                if begin.elapsed() < LEAVING
                    || begin.elapsed() < ENDING && has_ending_tracer(pid, tid) =>
            {
                patience.wait();
            }
            Err(source) => {
                return Err(StopError::Refused {
                    pid,
                    tid,
                    tracer: traced_by(pid, tid),
                    source,
                });
            }
        }
    }
}

/// Whether a thread is traced by one that ends.
fn has_ending_tracer(pid: Pid, tid: Tid) -> bool {
    let tracer = Status::read(&directory(pid, tid)).map_or(0, |status| status.tracer);
    let tracer = Path::new("/proc").join(tracer.to_string());
    Stat::read(&tracer).is_ok_and(|stat| stat.is_ending())
}

/// Who traces a thread, if somebody does, as the end of a sentence.
fn traced_by(pid: Pid, tid: Tid) -> String {
    match Status::read(&directory(pid, tid)) {
        Ok(status) if status.tracer != 0 => {
            let (tracer, name) = process::tracer(&status);
            format!(": process {tracer} (`{name}`) traces it")
        }
        _ => String::new(),
    }
}

/// One attempt; fails where the kernel does not let us attach.
fn seize_once(pid: Pid, tid: Tid, options: u64) -> io::Result<Seized> {
    let Err(source) = ptrace::seize(tid, ptrace::TRACE_EXEC | options) else {
        return Ok(Seized::Yes);
    };
    if source.raw_os_error() == Some(libc::ESRCH) {
        return Ok(Seized::Gone);
    }
    // EPERM is also the answer for a thread that just ended and for the kernel's helpers.
    match Stat::read(&directory(pid, tid)) {
        Err(_) => Ok(Seized::Gone),
        Ok(stat) if stat.is_dead() => Ok(Seized::Gone),
        Ok(stat) if stat.is_kernel_helper() => Ok(Seized::KernelHelper),
        Ok(_) => Err(source),
    }
}

/// Whether a thread that stands is the kernel's own: those have no user registers (`copy_thread`), and Linux 5.12 and
/// later let them be traced.
pub(super) fn is_kernel_helper(pid: Pid, thread: &StoppedThread) -> bool {
    let Registers { rip: 0, rsp: 0, .. } = thread.registers else {
        return false;
    };
    Stat::read(&directory(pid, thread.tid)).is_ok_and(|stat| stat.is_kernel_helper())
}

/// Whether a thread of the group cannot run user code: it is dead and not released yet, or the kernel's own.
pub(super) fn never_runs(pid: Pid, tid: Tid) -> bool {
    Stat::read(&directory(pid, tid)).is_ok_and(|stat| stat.is_dead() || stat.is_kernel_helper())
}

/// Waits until a thread stands or is gone.
pub(crate) fn await_stop(pid: Pid, tid: Tid, deadline: Instant) -> Result<Arrival, StopError> {
    let mut patience = Patience::new();
    loop {
        let report = wait::poll(tid).map_err(|source| StopError::System {
            pid,
            action: "waiting for a thread",
            source,
        })?;
        match report {
            wait::Report::Gone => return Ok(Arrival::Gone),
            wait::Report::Stopped { signal, event } => return Ok(arrival(signal, event)),
            wait::Report::Nothing => {}
        }
        if !patience.wait() {
            continue;
        }
        if Instant::now() >= deadline {
            return Ok(Arrival::Late);
        }
        // A main thread that ended while others live reports nothing until they have ended too. Any other thread does, and
        // must be heard.
        if tid == pid.leader() && Stat::read(&directory(pid, tid)).is_ok_and(|stat| stat.is_dead())
        {
            return Ok(Arrival::Gone);
        }
    }
}

/// Whether the code segment is that of 64-bit user code: `__USER_CS`, or Xen's `FLAT_USER_CS64`.
pub(crate) fn is_64_bit(registers: &Registers) -> bool {
    matches!(registers.cs, 0x33 | 0xe033)
}

/// Takes note of the end of a thread that was killed. As long as its tracer does not, its process stays a zombie.
pub(super) fn await_end(pid: Pid, tid: Tid) {
    let deadline = Instant::now() + END;
    while let Ok(Arrival::Stopped(_) | Arrival::Execed) = await_stop(pid, tid, deadline) {
        ptrace::cont(tid, 0).ok();
    }
}

/// Whether a thread that stood has been killed; takes note of its end.
pub(super) fn has_ended(tid: Tid) -> bool {
    wait::poll(tid).is_ok_and(|report| report == wait::Report::Gone)
}

fn arrival(signal: i32, event: i32) -> Arrival {
    match event {
        ptrace::EVENT_STOP if is_stop_signal(signal) => Arrival::Stopped(Cause::GroupStop(signal)),
        ptrace::EVENT_STOP => Arrival::Stopped(Cause::Interrupt),
        ptrace::EVENT_EXEC => Arrival::Execed,
        _ => Arrival::Stopped(Cause::Delivery(signal)),
    }
}

fn is_stop_signal(signal: i32) -> bool {
    matches!(
        signal,
        libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU
    )
}

/// Reads the registers and conceals an interruption that is our doing. `None` if the thread was killed meanwhile, or ended before
/// we attached and its number is that of another process's thread now, which goes on.
pub(crate) fn look(
    pid: Pid,
    tid: Tid,
    was_sleeping: bool,
    cause: Cause,
    timed: &TimedWaits,
) -> io::Result<Option<StoppedThread>> {
    if !task::is_member(pid, tid) {
        ptrace::detach(tid, cause.signal_to_deliver()).ok();
        return Ok(None);
    }
    let looked = ptrace::registers(tid).and_then(|mut registers| {
        if !cause.is_job_control() {
            conceal(pid, tid, &mut registers, timed)?;
        }
        Ok(StoppedThread {
            tid,
            registers,
            was_sleeping,
            cause,
        })
    });
    match looked {
        Ok(thread) => Ok(Some(thread)),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
            await_end(pid, tid);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Makes the kernel issue an interrupted call again, with what is left of its timeout.
fn conceal(pid: Pid, tid: Tid, registers: &mut Registers, timed: &TimedWaits) -> io::Result<()> {
    if timed.begins_anew(pid, tid, registers) {
        registers.rax = restart::ISSUED_AGAIN;
        return ptrace::set_rax(tid, registers.rax);
    }
    let Some(rax) = restart::concealed(registers) else {
        return Ok(());
    };
    registers.rax = rax;
    match timed.left(pid, tid, registers) {
        None => ptrace::set_rax(tid, rax),
        Some(left) => {
            registers.r10 = left;
            ptrace::set_registers(tid, registers)
        }
    }
}

/// Says why a thread does not stop.
pub(super) fn unstoppable(pid: Pid, tid: Tid) -> StopError {
    let directory = directory(pid, tid);
    let stat = Stat::read(&directory).ok();
    let name = stat.as_ref().map_or("?", |stat| &stat.comm).to_owned();
    let state = stat.map_or('?', |stat| stat.state);
    let read = |file| std::fs::read_to_string(directory.join(file)).unwrap_or_default();
    let mut what = format!("state `{state}`");
    let channel = read("wchan");
    if !matches!(channel.as_str(), "" | "0") {
        what += &format!(", waiting in `{channel}`");
    }
    let stack = read("stack");
    let frames: Vec<_> = stack
        .lines()
        .filter_map(|line| line.split_once("] "))
        .collect();
    if !frames.is_empty() {
        let names: Vec<_> = frames.iter().map(|(_, name)| *name).collect();
        what += &format!(", kernel stack: {}", names.join(" < "));
    }
    StopError::Unstoppable {
        pid,
        tid,
        name,
        what,
    }
}

fn directory(pid: Pid, tid: Tid) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/task/{tid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_are_told_apart() {
        let stopped = Arrival::Stopped;
        assert_eq!(arrival(libc::SIGTRAP, 128), stopped(Cause::Interrupt));
        assert_eq!(
            arrival(libc::SIGSTOP, 128),
            stopped(Cause::GroupStop(libc::SIGSTOP))
        );
        assert_eq!(arrival(40, 0), stopped(Cause::Delivery(40)));
        assert_eq!(arrival(libc::SIGTRAP, 4), Arrival::Execed);
    }

    #[test]
    fn only_signals_held_back_are_delivered() {
        assert_eq!(Cause::Delivery(34).signal_to_deliver(), 34);
        assert_eq!(Cause::GroupStop(libc::SIGSTOP).signal_to_deliver(), 0);
        assert_eq!(Cause::Interrupt.signal_to_deliver(), 0);
    }
}
