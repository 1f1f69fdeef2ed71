//! Looks: which are due, and what comes of them.

use super::journal::Level;
use super::look::{Look, Tried, look};
use super::schedule::Cause;
use super::{Looking, Watch};
use crate::crew;
use crate::process::Pid;
use crate::status::Status;
use crate::sys::identity::{FileIdentity, identity};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a refusal of a process that has just started or loaded something may be because it is not finished.
const GRACE: Duration = Duration::from_secs(3);

impl Watch {
    /// Starts workers for the processes whose time has come.
    pub(super) fn start_looks(&mut self) {
        let now = Instant::now();
        for pid in self.schedule.due(now, &self.busy()) {
            if self.looking.len() >= self.options.at_once {
                return;
            }
            let cause = self.schedule.cause(pid);
            let program = executable(pid);
            let is_other = |program| cause == Cause::Exec && self.others.contains(&program);
            if program.is_none_or(is_other) {
                self.schedule.forget(pid);
                continue;
            }
            let work = |_| look(pid, cause, &self.bundles, &self.options.apply);
            match crew::start(0, &work) {
                Ok(worker) => self.looking.push(Looking {
                    pid,
                    since: now,
                    worker,
                }),
                Err(error) => {
                    self.log.problem(
                        Level::Error,
                        &format!("cannot start a worker process: {error}"),
                    );
                    self.schedule.busy(pid, now);
                }
            }
        }
    }

    /// A worker has ended: what next for its process?
    pub(super) fn finish(&mut self, index: usize) {
        let Looking { pid, since, worker } = self.looking.swap_remove(index);
        let now = Instant::now();
        let result = worker.finish::<Look>();
        // What happened meanwhile asks for another look anyway.
        let again = self.schedule.triggered_after(pid, since);
        match result {
            Ok(Look::NotReady) if !again => drop(self.schedule.not_ready(pid, now)),
            Ok(Look::NotMeant) if !again => self.schedule.forget(pid),
            Ok(Look::Other(program)) if !again => {
                self.others.insert(program);
                self.schedule.forget(pid);
            }
            Ok(Look::NotReady | Look::NotMeant | Look::Other(_)) => {}
            Ok(Look::Tried(tried)) => self.settle(pid, &tried, again, now),
            Err(error) => {
                self.log.problem(
                    Level::Error,
                    &format!(
                        "process {pid}: {error}; `livepatch list --pid {pid}` tells its state"
                    ),
                );
                self.schedule.forget(pid);
            }
        }
    }

    fn settle(&mut self, pid: Pid, tried: &[Tried], again: bool, now: Instant) {
        let worst = tried
            .iter()
            .map(|one| one.status)
            .max()
            .unwrap_or(Status::Done);
        let unfinished = matches!(worst, Status::Refused | Status::Error);
        if unfinished && self.schedule.is_young(pid, GRACE, now) && !again {
            for one in tried.iter().filter(|one| one.status == Status::Done) {
                self.tell(one);
            }
            self.schedule.not_ready(pid, now);
            return;
        }
        tried.iter().for_each(|one| self.tell(one));
        match worst {
            _ if again => {}
            Status::Busy => self.schedule.busy(pid, now),
            _ => self.schedule.forget(pid),
        }
    }

    /// Counts and logs a result.
    pub(super) fn tell(&mut self, tried: &Tried) {
        if tried.result == "already-applied" {
            return;
        }
        self.metrics.count(&tried.patch, &tried.result);
        let level = match tried.status {
            Status::Done | Status::Interrupted => Level::Notice,
            Status::Busy => Level::Warning,
            _ => Level::Error,
        };
        self.log.result(level, tried);
    }
}

/// What the process runs; `None` when it has ended, or is a thread of the kernel.
pub(super) fn executable(pid: Pid) -> Option<FileIdentity> {
    identity(Path::new(&format!("/proc/{pid}/exe"))).ok()
}
