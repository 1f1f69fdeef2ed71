//! The process that touches the target is not the one that the user can interrupt.
//!
//! `livepatch apply` and `revert` start themselves once more as the *guardian*: in its own session, with the
//! signals of terminals and job control blocked, and last on the OOM killer's list. The command waits for it, hands on what should
//! interrupt it ([`interrupt`]) and exits with its status. When the command dies, the guardian finishes and the target goes on in the old or the new
//! version, never half-way. When the guardian dies, the command starts another one, which takes back what the first left half done.

use crate::interrupt;
use crate::status::Status;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use thiserror::Error;

/// Set in the guardian's environment.
const MARK: &str = "LIVEPATCH_GUARDIAN";
/// Everything that a user, a terminal or a closed pipe may send; SIGKILL and SIGSTOP cannot be blocked (signal(7)).
const BLOCKED: [Signal; 10] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGPIPE,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGALRM,
    // A write beyond a limit then fails, as others do.
    Signal::SIGXFSZ,
];

/// Why the guardian could not do its work.
#[derive(Debug, Error)]
pub enum GuardianError {
    /// It could not be started.
    #[error("cannot start the guardian process")]
    Start(#[source] io::Error),
    /// Something killed it.
    #[error("the guardian process was killed by signal {signal}: {}; `livepatch list --pid` tells", left(*.made_good))]
    Killed {
        /// By what.
        signal: i32,
        /// Whether another one has taken back what it left half done.
        made_good: bool,
    },
}

fn left(made_good: bool) -> &'static str {
    match made_good {
        true => "the patch is in force or not, and what was half done was taken back",
        false => {
            "the patch may be in force, or some of it may be left, which the next `apply` or `revert` takes back"
        }
    }
}

/// What a guardian is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// What the command line says.
    Work,
    /// To take back what another one left half done that was killed at it.
    MakeGood,
}

impl Task {
    fn name(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::MakeGood => "make-good",
        }
    }
}

/// What this process is to do, if it is a guardian.
#[must_use]
pub fn task() -> Option<Task> {
    let name = std::env::var_os(MARK)?;
    [Task::Work, Task::MakeGood]
        .into_iter()
        .find(|task| name == task.name())
}

/// Runs this very command again as the guardian and waits for it; if it dies, another one makes good. Where a signal made it stop before
/// anything was changed, this process ends by that signal.
///
/// # Errors
/// When it cannot be started or dies.
pub fn run() -> Result<u8, GuardianError> {
    let (status, interrupted) = start(Task::Work).map_err(GuardianError::Start)?;
    match (status.code(), status.signal()) {
        (Some(code), _) => {
            let code = u8::try_from(code).unwrap_or(Status::Error.code());
            if let (Some(signal), true) = (interrupted, code == Status::Interrupted.code()) {
                interrupt::end_by(signal);
            }
            Ok(code)
        }
        (None, signal) => Err(GuardianError::Killed {
            signal: signal.unwrap_or(0),
            made_good: start(Task::MakeGood).is_ok_and(|(status, _)| status.success()),
        }),
    }
}

/// Starts a guardian and waits for it; also tells which signal came meanwhile.
fn start(task: Task) -> io::Result<(ExitStatus, Option<Signal>)> {
    let held = interrupt::hold()?;
    let mut guardian = Command::new("/proc/self/exe")
        .args(std::env::args_os().skip(1))
        .env(MARK, task.name())
        .spawn()?;
    interrupt::hand_on(&held, &mut guardian)
}

/// Takes leave of the terminal, as far as the system allows: protection from the OOM killer needs a privilege.
pub fn settle() {
    let blocked: SigSet = BLOCKED.into_iter().collect();
    // A signal set made of valid signals cannot be refused (sigprocmask(2)).
    let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&blocked), None);
    // A session leader already: then there is nothing to leave.
    let _ = nix::unistd::setsid();
    let _ = std::fs::write("/proc/self/oom_score_adj", "-1000");
}
