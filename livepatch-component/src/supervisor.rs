//! The supervisor: the process that was started; the main task is its child and is started again when it crashes.

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getppid};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use thiserror::Error;

/// The exit status of a copy that was not needed: a trial, or a standby.
pub(crate) const LEFT_ON_PURPOSE: u8 = 77;
/// Tells the main task how often it was started.
pub(crate) const RESTARTS: &str = "LIVEPATCH_COMPONENT_RESTARTS";
/// Tells the main task which signal ended the one before.
const ENDED_BY: &str = "LIVEPATCH_COMPONENT_ENDED_BY";
/// Tells the main task whose child it should be.
const SUPERVISOR: &str = "LIVEPATCH_COMPONENT_SUPERVISOR";
/// So many crashes within [`PATIENCE`] are the last.
const CRASHES_MAX: usize = 5;
const PATIENCE: Duration = Duration::from_secs(60);

/// What the children have come to.
enum Children {
    Run,
    Ended(u8),
    Crashed,
}

/// It is not started again.
#[derive(Debug, Error)]
#[error("it crashed {CRASHES_MAX} times within a minute")]
pub(crate) struct TooManyCrashes;

/// Runs the main task, `arguments` of this program, until it ends by itself.
///
/// # Errors
/// When it cannot be started or waited for.
pub(crate) fn supervise(arguments: &[String]) -> io::Result<Result<ExitCode, TooManyCrashes>> {
    set_child_subreaper(true)?;
    let mut signals = SigSet::empty();
    for signal in [
        Signal::SIGCHLD,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
    ] {
        signals.add(signal);
    }
    signals.thread_block()?;
    let mut crashes = VecDeque::new();
    let mut restarts = 0;
    start(arguments, restarts, None)?;
    let mut crashed = None;
    loop {
        let signal = signals.wait()?;
        if signal != Signal::SIGCHLD {
            pass_on(signal);
            continue;
        }
        match look(&mut crashed)? {
            Children::Run => {}
            Children::Ended(status) => return Ok(Ok(ExitCode::from(status))),
            Children::Crashed => {
                crashes.push_back(Instant::now());
                crashes.retain(|crash| crash.elapsed() < PATIENCE);
                if crashes.len() >= CRASHES_MAX {
                    return Ok(Err(TooManyCrashes));
                }
                restarts += 1;
                start(arguments, restarts, crashed.take())?;
            }
        }
    }
}

/// Tells whoever reads. There may be nobody, or no room: what is supervised goes on all the same.
fn log(text: &str) {
    let _ = writeln!(io::stderr(), "livepatch-component: {text}");
}

fn start(arguments: &[String], restarts: u64, ended_by: Option<Signal>) -> io::Result<()> {
    let mut command = Command::new("/proc/self/exe");
    command
        .args(arguments)
        .env(RESTARTS, restarts.to_string())
        .env(ENDED_BY, ended_by.map_or("", Signal::as_str))
        .env(SUPERVISOR, std::process::id().to_string());
    // Its signals are blocked as ours are; it unblocks them (`begin`). It is waited for with all others.
    command.spawn().map(drop)
}

/// Takes the statuses of all children that have ended.
fn look(crashed: &mut Option<Signal>) -> io::Result<Children> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return Ok(Children::Run),
            Ok(WaitStatus::Exited(_, status)) if status == i32::from(LEFT_ON_PURPOSE) => {}
            Ok(WaitStatus::Exited(_, status)) => {
                let status = u8::try_from(status).unwrap_or(1);
                return Ok(Children::Ended(status));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) => {
                log(&format!("process {pid} was ended by {signal}"));
                *crashed = Some(signal);
            }
            Ok(_) => {}
            // A copy has taken over as long as there is a child.
            Err(nix::errno::Errno::ECHILD) => return Ok(Children::Crashed),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Gives a signal to all our children.
fn pass_on(signal: Signal) {
    let me = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/self/task/{me}/children"));
    let children = children.unwrap_or_default();
    for child in children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
    {
        // A child of ours, and not waited for: the number is its own.
        let _ = kill(Pid::from_raw(child), signal);
    }
}

/// What was before this main task.
#[derive(Debug, Default)]
pub(crate) struct Before {
    /// How often it was started anew.
    pub(crate) restarts: u64,
    /// The signal that ended the one before.
    pub(crate) ended_by: Option<String>,
}

/// What the main task does first: it takes signals again, and ends with its supervisor.
pub(crate) fn begin() -> io::Result<Before> {
    SigSet::all().thread_unblock()?;
    nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
    // It may have ended before that.
    if std::env::var(SUPERVISOR).is_ok_and(|pid| pid != getppid().to_string()) {
        return Err(io::Error::other("the supervisor has ended"));
    }
    let restarts = std::env::var(RESTARTS).unwrap_or_default();
    let ended_by = std::env::var(ENDED_BY).ok();
    Ok(Before {
        restarts: restarts.parse().unwrap_or(0),
        ended_by: ended_by.filter(|signal| !signal.is_empty()),
    })
}
