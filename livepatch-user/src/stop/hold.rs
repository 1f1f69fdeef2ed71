//! The stop itself, and the guard that ends it.

use super::error::{ReleaseError, StopError};
use super::lone::{GRACE, log_failure, release, release_late};
use super::members::Members;
use super::patience::ShortNaps;
use super::roster::{LISTING, Roster, gone_or};
use super::timed::TimedWaits;
use super::timings::{Clock, Timings};
use super::tracee::{self, Arrival, Seized, StoppedThread, is_64_bit};
use super::undertaker::Undertaker;
use crate::process::{Pid, ProcessMemory, SharingScan, Tid};
use crate::sys::ptrace;
use std::collections::HashSet;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// How many of `count` sleeping threads are woken at a time. Each passes over a CPU to stop: many at once queue up before
/// the threads that run, few at once make many rounds of waiting on a busy machine.
fn sleepers_at_once(count: usize) -> usize {
    (count / 16).max(8)
}

/// How long one thread is waited for before a look at the others.
const ATTENTION: Duration = Duration::from_millis(5);

/// All threads of a process, standing. Dropping it lets them go.
#[derive(Debug)]
pub struct Stopped {
    pid: Pid,
    /// The sleeping ones first.
    threads: Vec<StoppedThread>,
    /// Seized, and not known to stand.
    pending: Vec<Tid>,
    /// Threads of the kernel's in this group; they never run user code.
    helpers: HashSet<Tid>,
    members: Members,
    sharing: SharingScan,
    timed: TimedWaits,
    timings: Timings,
    clock: Clock,
    _naps: ShortNaps,
    _undertaker: Undertaker,
    /// A tracee obeys only the thread that seized it.
    _not_send: PhantomData<*const ()>,
}

/// Stops all threads and asks `check` about each batch of them: first those that slept (the others still run), then
/// the rest (nothing runs any more). When `check` breaks, all are released and its reason is returned.
///
/// # Errors
/// When a thread cannot be stopped by `deadline`, or the process changes under us; all are released.
pub fn stop<B>(
    roster: Roster,
    memory: &ProcessMemory,
    deadline: Instant,
    mut check: impl FnMut(&[StoppedThread], &ProcessMemory) -> ControlFlow<B>,
) -> Result<ControlFlow<B, Stopped>, StopError> {
    let Roster {
        pid,
        sleeping,
        running,
        members,
        sharing,
        timed,
        undertaker,
        ..
    } = roster;
    let expected = sleeping.len() + running.len();
    let mut stopped = Stopped {
        pid,
        threads: Vec::with_capacity(expected),
        pending: Vec::with_capacity(expected),
        helpers: HashSet::new(),
        members,
        sharing,
        timed,
        timings: Timings::default(),
        clock: Clock::start(),
        _naps: ShortNaps::begin(),
        _undertaker: undertaker,
        _not_send: PhantomData,
    };

    for few in sleeping.chunks(sleepers_at_once(sleeping.len())) {
        stopped.add(few, true, deadline)?;
    }
    stopped.timings.sleepers = stopped.clock.lap();
    if let ControlFlow::Break(reason) = check(&stopped.threads, memory) {
        return Ok(ControlFlow::Break(reason));
    }
    stopped.timings.sleepers_check = stopped.clock.lap();

    let slept = stopped.threads.len();
    stopped.add(&running, false, deadline)?;
    stopped.add_rest(deadline)?;
    stopped.refuse_changes(memory)?;
    stopped.timings.runners = stopped.clock.lap();
    if let ControlFlow::Break(reason) = check(&stopped.threads[slept..], memory) {
        return Ok(ControlFlow::Break(reason));
    }
    stopped.timings.runners_check = stopped.clock.lap();
    Ok(ControlFlow::Continue(stopped))
}

impl Stopped {
    /// The threads: those that slept first, then the others.
    #[must_use]
    pub fn threads(&self) -> &[StoppedThread] {
        &self.threads
    }

    /// How long each phase has taken so far.
    #[must_use]
    pub fn timings(&self) -> Timings {
        self.timings
    }

    /// Lets all threads go, those that ran first.
    ///
    /// # Errors
    /// The first thread that could not be released; the others were.
    pub fn release(mut self) -> Result<Timings, ReleaseError> {
        self.release_all()?;
        Ok(self.timings)
    }

    /// Stops these threads. Those that are gone are forgotten.
    fn add(&mut self, tids: &[Tid], sleeping: bool, deadline: Instant) -> Result<(), StopError> {
        for &tid in tids {
            match tracee::seize(self.pid, tid, 0)? {
                Seized::Yes => self.pending.push(tid),
                Seized::KernelHelper => drop(self.helpers.insert(tid)),
                Seized::Gone => {}
            }
        }
        for &tid in &self.pending {
            // Fails only for a thread that is gone, which the wait will say.
            ptrace::interrupt(tid).ok();
        }
        self.threads.reserve(self.pending.len());
        while let Some(&tid) = self.pending.first() {
            let arrival = self.await_stop(tid, deadline)?;
            if arrival == Arrival::Late {
                return Err(tracee::unstoppable(self.pid, tid));
            }
            self.pending.swap_remove(0);
            self.collect(tid, sleeping, arrival)?;
        }
        Ok(())
    }

    /// Takes in a thread that has arrived.
    fn collect(&mut self, tid: Tid, sleeping: bool, arrival: Arrival) -> Result<(), StopError> {
        let pid = self.pid;
        let cause = match arrival {
            Arrival::Stopped(cause) => cause,
            Arrival::Execed => {
                ptrace::detach(tid, 0).ok();
                return Err(StopError::Replaced(pid));
            }
            Arrival::Gone | Arrival::Late if tid == pid.leader() => {
                return Err(StopError::Gone(pid));
            }
            Arrival::Gone | Arrival::Late => return Ok(()),
        };
        let looked = tracee::look(pid, tid, sleeping, cause, &self.timed).map_err(|source| {
            ptrace::detach(tid, cause.signal_to_deliver()).ok();
            StopError::System {
                pid,
                action: "reading registers",
                source,
            }
        })?;
        let Some(thread) = looked else { return Ok(()) };
        if tracee::is_kernel_helper(pid, &thread) {
            // Only we noticed it stand; it serves the others until they stand.
            ptrace::detach(tid, 0).ok();
            self.helpers.insert(tid);
            return Ok(());
        }
        self.threads.push(thread);
        if is_64_bit(&thread.registers) {
            return Ok(());
        }
        let segment = thread.registers.cs;
        Err(StopError::ThirtyTwoBit { pid, tid, segment })
    }

    /// Waits for one thread, but not while others that stood die: then the process is being killed, or one of its
    /// threads executes a program and waits until we have taken note of the end of the others.
    fn await_stop(&self, tid: Tid, deadline: Instant) -> Result<Arrival, StopError> {
        loop {
            let soon = deadline.min(Instant::now() + ATTENTION);
            let arrival = tracee::await_stop(self.pid, tid, soon)?;
            if arrival != Arrival::Late || Instant::now() >= deadline {
                return Ok(arrival);
            }
            if self
                .threads
                .iter()
                .any(|thread| tracee::has_ended(thread.tid))
            {
                return Err(StopError::Replaced(self.pid));
            }
        }
    }

    /// Stops the threads that started meanwhile, until there are no more.
    ///
    /// A list does not tell that there are no more: threads come and go while it is read, so that it may lack one that
    /// runs and have another that does not any more. The kernel's count is of one moment.
    fn add_rest(&mut self, deadline: Instant) -> Result<(), StopError> {
        let mut dead = HashSet::new();
        loop {
            let count = self
                .members
                .count()
                .map_err(|source| gone_or(self.pid, LISTING, source))?;
            // What never runs again and is still there was counted; what we hold is alive and of this group.
            let idle = dead.union(&self.helpers);
            let idle = idle.filter(|tid| tracee::never_runs(self.pid, **tid));
            if count == (self.threads.len() + idle.count()) as u64 {
                return Ok(());
            }
            let known = self.known();
            let list = self.members.list();
            let mut new = list.map_err(|source| gone_or(self.pid, LISTING, source))?;
            new.retain(|tid| !known.contains(tid));
            self.add(&new, false, deadline)?;
            let known = self.known();
            dead.extend(new.into_iter().filter(|tid| !known.contains(tid)));
            if Instant::now() >= deadline {
                return Err(StopError::Endless(self.pid));
            }
        }
    }

    fn known(&self) -> HashSet<Tid> {
        self.threads
            .iter()
            .map(|thread| thread.tid)
            .chain(self.helpers.iter().copied())
            .collect()
    }

    /// Now that nothing runs: is it still the same address space, and ours alone?
    fn refuse_changes(&mut self, memory: &ProcessMemory) -> Result<(), StopError> {
        let pid = self.pid;
        if self.threads.is_empty() {
            return Err(StopError::Gone(pid));
        }
        if !memory.is_current() {
            return Err(StopError::Replaced(pid));
        }
        let strangers = self.sharing.again().map_err(|source| StopError::System {
            pid,
            action: "searching for tasks that share its memory",
            source,
        })?;
        match strangers.into_iter().next() {
            Some(stranger) => Err(StopError::SharedMemory { pid, stranger }),
            None => Ok(()),
        }
    }

    fn release_all(&mut self) -> Result<(), ReleaseError> {
        self.timings.held = self.clock.lap();
        let mut result = Ok(());
        while let Some(thread) = self.threads.pop() {
            if thread.was_sleeping && self.timings.release_runners.is_zero() {
                self.timings.release_runners = self.clock.lap();
            }
            result = result.and(release(self.pid, &thread));
        }
        self.timings.release_sleepers = self.clock.lap();
        result.and(self.release_pending())
    }

    /// Waits for threads that are on their way, so that they can be released.
    fn release_pending(&mut self) -> Result<(), ReleaseError> {
        let deadline = Instant::now() + GRACE;
        let mut result = Ok(());
        for tid in std::mem::take(&mut self.pending) {
            ptrace::interrupt(tid).ok();
            result = result.and(release_late(self.pid, tid, deadline));
        }
        result
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        log_failure(self.release_all());
    }
}
