//! All threads are stopped, checked, and the entries written.

use super::text::{Text, exchange};
use super::{CommitError, Holder, Holders, Standing, Strategy, Veto};
use crate::exchange::Exchange;
use crate::interrupt;
use crate::memory::{Memory, Unreadable};
use crate::process::{
    Activity, Backing, Mapping, Pid, ProcessMemory, Range, Target, Tid, WriteError, maps,
};
use crate::report::Stop;
use crate::stop::{Roster, Stopped, StoppedThread, stop};
use crate::unwind::{AddressSpace, NoRegions, Region, RegionKind, StackCheck, Verdict};
use crate::watchdog;
use livepatch_bundle::RunAddr;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// The pause between two attempts: short at first, since most functions are left soon.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// The pause is no longer than so many attempts took: where they are short, many find the moment in which a busy function is left.
const PAUSE_PER_ATTEMPT: u32 = 10;
/// How long one stop may take before the target is let go again.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// The strategy that stops all threads at once.
pub struct StopTheWorld<'a> {
    /// The process.
    pub target: &'a Target,
    /// Its memory.
    pub memory: &'a ProcessMemory,
    /// What no thread may be inside, and how to tell.
    pub check: StackCheck,
    /// Names functions in reports.
    pub symbolize: &'a dyn Fn(RunAddr) -> Option<String>,
    /// How long to try.
    pub timeout: Duration,
    /// Bytes that must be there still when jumps are written which lead to them: the first of a prepared patch.
    pub leads_to: Option<(RunAddr, Vec<u8>)>,
}

impl Strategy for StopTheWorld<'_> {
    fn switch(
        &mut self,
        runs: &[Exchange],
        in_stop: &mut dyn FnMut(&[Standing]) -> Result<(), Veto>,
    ) -> Result<Stop, CommitError> {
        watchdog::begin_changes();
        let start = Instant::now();
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            interrupt::check(self.target.pid)?;
            let begun = Instant::now();
            match self.attempt(runs, in_stop, attempt) {
                Err(error) if error.is_busy() && start.elapsed() + pause < self.timeout => {
                    let enough = begun.elapsed() * PAUSE_PER_ATTEMPT;
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(enough).clamp(FIRST_PAUSE, LONGEST_PAUSE);
                }
                Err(CommitError::Busy { pid, holders, .. }) => {
                    return Err(CommitError::Busy {
                        pid,
                        waited: start.elapsed(),
                        holders,
                    });
                }
                outcome => return outcome,
            }
        }
        unreachable!("the loop ends by returning")
    }
}

impl StopTheWorld<'_> {
    fn attempt(
        &mut self,
        runs: &[Exchange],
        in_stop: &mut dyn FnMut(&[Standing]) -> Result<(), Veto>,
        attempt: u32,
    ) -> Result<Stop, CommitError> {
        let space = space_of(self.memory);
        let roster = Roster::take(self.target)?;
        let sleeping = sleeping(&roster);
        if sleeping.len() < roster.activities().len() {
            self.check.unwinder().prepare_tables(&space);
        }
        self.check.rehearse(&sleeping, &space);
        let check = &mut self.check;
        let symbolize = self.symbolize;
        let mut tops = Vec::new();
        let judge = |threads: &[StoppedThread], memory: &ProcessMemory| {
            let verdict = judge(check, threads, memory, symbolize);
            tops.extend_from_slice(check.tops());
            verdict
        };
        let stopped = match stop(roster, self.memory, Instant::now() + STOP_LIMIT, judge)? {
            ControlFlow::Continue(stopped) => stopped,
            ControlFlow::Break(holders) => {
                return Err(CommitError::Busy {
                    pid: self.target.pid,
                    waited: Duration::ZERO,
                    holders,
                });
            }
        };
        let text = StoppedText {
            memory: self.memory,
            tid: stopped.threads().first().map(|thread| thread.tid),
        };
        let standing = stopped.threads().iter().zip(tops);
        let standing: Vec<_> = standing
            .map(|(&thread, top)| Standing { thread, top })
            .collect();
        let made = self.make(&text, runs, &mut || in_stop(&standing));
        let threads = stopped.threads().len();
        match (made, release(stopped)) {
            // What is known of the text counts for more than a thread that stands.
            (Err(error), _) => Err(error),
            (Ok(()), Err(error)) => Err(error),
            (Ok(()), Ok(pause)) => Ok(Stop::new(pause, attempt, threads)),
        }
    }

    /// Exchanges the runs in a target that stands, and back if `in_stop` says no.
    fn make(
        &self,
        text: &StoppedText<'_>,
        runs: &[Exchange],
        in_stop: &mut dyn FnMut() -> Result<(), Veto>,
    ) -> Result<(), CommitError> {
        let pid = self.target.pid;
        if let Some((address, bytes)) = &self.leads_to
            && !text
                .read_vec(*address, bytes.len())
                .is_ok_and(|found| found == *bytes)
        {
            return Err(CommitError::Displaced {
                pid,
                address: *address,
            });
        }
        exchange(text, runs).map_err(|source| CommitError::Text { pid, source })?;
        let Err(veto) = in_stop() else {
            return Ok(());
        };
        let back: Vec<Exchange> = runs.iter().map(Exchange::reversed).collect();
        match exchange(text, &back) {
            Ok(()) => Err(veto.into()),
            // Whatever the reason: the jumps are there still, or some of them.
            Err(source) => Err(CommitError::NotTakenBack { pid, source }),
        }
    }
}

fn release(stopped: Stopped) -> Result<Duration, CommitError> {
    Ok(stopped.release()?.pause())
}

/// Instruction and stack pointers of the threads that sleep.
fn sleeping(roster: &Roster) -> Vec<(RunAddr, RunAddr)> {
    let place = |activity: &Activity| match *activity {
        Activity::InSyscall {
            stack, instruction, ..
        }
        | Activity::Blocked { stack, instruction } => Some((RunAddr(instruction), RunAddr(stack))),
        Activity::Running | Activity::Unknown => None,
    };
    roster
        .activities()
        .iter()
        .filter_map(|(_, activity)| place(activity))
        .collect()
}

/// Goes on if every thread is clear; else tells who is not.
fn judge(
    check: &mut StackCheck,
    threads: &[StoppedThread],
    memory: &ProcessMemory,
    symbolize: &dyn Fn(RunAddr) -> Option<String>,
) -> ControlFlow<Holders> {
    let registers: Vec<_> = threads
        .iter()
        .map(|thread| (thread.tid, thread.registers))
        .collect();
    let verdicts = check.judge_many(&registers, &space_of(memory));
    let holders: Vec<Holder> = verdicts
        .into_iter()
        .filter_map(|(tid, verdict)| holder(tid, verdict, symbolize))
        .collect();
    if holders.is_empty() {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(Holders(holders))
    }
}

fn holder(
    tid: Tid,
    verdict: Verdict,
    symbolize: &dyn Fn(RunAddr) -> Option<String>,
) -> Option<Holder> {
    let (why, frames) = match verdict {
        Verdict::Clear { .. } => return None,
        Verdict::Busy { frames, hit } => (hit.to_string(), frames),
        Verdict::Unknown { reason, frames } => (format!("cannot be judged: {reason}"), frames),
    };
    let name = |frame: &crate::unwind::Frame| {
        let at = if frame.exact {
            frame.pc
        } else {
            frame.pc.offset(-1)
        };
        symbolize(at).map_or_else(|| frame.to_string(), |name| format!("{frame} {name}"))
    };
    Some(Holder {
        tid: tid.0,
        why,
        stack: frames.iter().map(name).collect(),
    })
}

/// The text of a target that stands: a stopped thread helps where the kernel forbids forced writes.
struct StoppedText<'a> {
    memory: &'a ProcessMemory,
    tid: Option<Tid>,
}

impl Memory for StoppedText<'_> {
    fn read(&self, address: RunAddr, buffer: &mut [u8]) -> Result<(), Unreadable> {
        self.memory.read(address, buffer)
    }
}

impl Text for StoppedText<'_> {
    fn write(&self, address: RunAddr, bytes: &[u8]) -> Result<(), WriteError> {
        self.memory.write_forced(address, bytes, self.tid).map(drop)
    }
}

/// The address space of a process, as the stack check reads it.
#[must_use]
pub fn space_of(memory: &ProcessMemory) -> impl AddressSpace + '_ {
    Space(memory)
}

struct Space<'a>(&'a ProcessMemory);

impl Memory for Space<'_> {
    fn read(&self, address: RunAddr, buffer: &mut [u8]) -> Result<(), Unreadable> {
        self.0.read(address, buffer)
    }
}

impl AddressSpace for Space<'_> {
    fn regions(&self) -> Result<Vec<Region>, NoRegions> {
        let pid: Pid = self.0.pid();
        let mappings = maps(pid).map_err(|error| NoRegions {
            reason: error.to_string(),
        })?;
        Ok(mappings.iter().map(region).collect())
    }

    fn read_bulk(&self, requests: &mut [(RunAddr, &mut [u8])]) -> Result<(), Unreadable> {
        let mut ranges: Vec<Range<'_>> = requests
            .iter_mut()
            .map(|(address, buffer)| Range::new(*address, buffer))
            .collect();
        self.0.read_bulk(&mut ranges);
        match ranges.iter().find(|range| !range.is_complete()) {
            None => Ok(()),
            Some(range) => Err(Unreadable {
                address: range.address,
                len: range.filled,
            }),
        }
    }
}

fn region(mapping: &Mapping) -> Region {
    let kind = match &mapping.backing {
        Backing::Named(name) => RegionKind::of_name(name),
        _ => RegionKind::Other,
    };
    Region {
        start: mapping.start,
        end: mapping.end,
        readable: mapping.read,
        writable: mapping.write,
        executable: mapping.execute,
        kind,
    }
}
