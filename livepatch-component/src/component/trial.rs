//! A trial of a new version in a copy of the process: what it does there, or to itself, changes nothing here.

use super::Component;
use super::failure::{Operation, OperationError};
use crate::control::protocol::How;
use crate::supervisor::LEFT_ON_PURPOSE;
use crate::sys::fork::{self, ForkError, Side};
use crate::sys::module::{Data, Loaded};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};
use thiserror::Error;

/// The verdict of a trial is no longer, in bytes.
const VERDICT_MAX: u64 = 64 << 10;

/// Why the trial failed.
#[derive(Debug, Error)]
pub(super) enum TrialError {
    #[error(transparent)]
    Fork(#[from] ForkError),
    #[error("the system does not let it be done")]
    System(#[source] io::Error),
    #[error(transparent)]
    Operation(#[from] OperationError),
    #[error("it crashed ({0})")]
    Crashed(Signal),
    #[error("it was not done after {0:?}")]
    Hung(Duration),
    #[error("it ended without a verdict")]
    NoVerdict,
}

impl Component {
    /// Makes the data and has it validated by the new version, in a copy where every service only pretends.
    pub(super) fn try_out(&self, next: &Loaded, from: u64, how: &How) -> Result<(), TrialError> {
        let system = |error: Errno| TrialError::System(error.into());
        let (reads, writes) = pipe2(OFlag::O_CLOEXEC).map_err(system)?;
        match fork::copy()? {
            Side::Copy => {
                let verdict = self.rehearse(next, from, how);
                let verdict = serde_json::to_vec(&verdict).expect("verdicts are plain data");
                // Without a verdict the original knows that something is wrong.
                let _ = File::from(writes).write_all(&verdict);
                fork::leave(LEFT_ON_PURPOSE);
            }
            Side::Original(copy) => {
                drop(writes);
                judge(copy, reads, how.deadline())
            }
        }
    }

    fn rehearse(&self, next: &Loaded, from: u64, how: &How) -> Result<(), OperationError> {
        self.services.stub();
        let mut data = self.data;
        if how.fresh {
            data = self.rehearsed(Operation::Init, next.init(&self.table))?;
        } else if next.schema() != from {
            let made = next.migrate(&self.table, from, self.data);
            data = self.rehearsed(Operation::Migrate, made)?;
        }
        let result = next.validate(&self.table, data);
        OperationError::of(Operation::Validate, result, self.services.take_failure())
    }

    fn rehearsed(
        &self,
        operation: Operation,
        (result, data): (i32, Data),
    ) -> Result<Data, OperationError> {
        OperationError::of(operation, result, self.services.take_failure())?;
        match data {
            Data::NONE => Err(OperationError::NoData(operation)),
            data => Ok(data),
        }
    }
}

/// Waits for the verdict of a copy.
fn judge(copy: Pid, line: OwnedFd, deadline: Duration) -> Result<(), TrialError> {
    let end = Instant::now() + deadline;
    let has_come = loop {
        let left = end.saturating_duration_since(Instant::now());
        let millis = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
        let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
        let mut descriptors = [PollFd::new(line.as_fd(), PollFlags::POLLIN)];
        match poll(&mut descriptors, timeout) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(TrialError::System(error.into())),
            Ok(count) => break count > 0,
        }
    };
    if !has_come {
        // It is our child and not waited for: the number is its own.
        let _ = kill(copy, Signal::SIGKILL);
    }
    let mut verdict = Vec::new();
    let read = File::from(line).take(VERDICT_MAX).read_to_end(&mut verdict);
    let status = waitpid(copy, None).map_err(|error| TrialError::System(error.into()))?;
    if !has_come {
        return Err(TrialError::Hung(deadline));
    }
    if let WaitStatus::Signaled(_, signal, _) = status {
        return Err(TrialError::Crashed(signal));
    }
    read.map_err(TrialError::System)?;
    let verdict = serde_json::from_slice::<Result<(), OperationError>>(&verdict);
    Ok(verdict.map_err(|_| TrialError::NoVerdict)??)
}
