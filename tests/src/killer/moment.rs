//! Kills at a moment in time, not at a system call: also in the middle of one.

use super::Victim;
use super::trace::start_stopped;
use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Runs a command to its end and tells how long that took.
///
/// # Errors
/// When it cannot be started.
pub fn measure(command: &[String], directory: &Path) -> Result<Duration> {
    let client = start_stopped(command, directory)?;
    let begin = Instant::now();
    kill(client, Signal::SIGCONT)?;
    waitpid(client, None)?;
    Ok(begin.elapsed())
}

/// Runs a command, kills `victim` after `delay`, and waits until all is over. `None` if there was nothing to kill any more.
///
/// # Errors
/// When it cannot be started.
pub fn run(
    command: &[String],
    directory: &Path,
    victim: Victim,
    delay: Duration,
) -> Result<Option<()>> {
    let client = start_stopped(command, directory)?;
    kill(client, Signal::SIGCONT)?;
    thread::sleep(delay);
    let guardian = child_of(client);
    let mut victims = Vec::new();
    if victim != Victim::Guardian {
        victims.push(client);
    }
    if victim != Victim::Client {
        victims.extend(guardian);
    }
    let struck = victims
        .iter()
        .filter(|victim| kill(**victim, Signal::SIGKILL).is_ok())
        .count();
    waitpid(client, None)?;
    if let Some(guardian) = guardian {
        await_end(guardian)?;
    }
    Ok((struck > 0).then_some(()))
}

/// A cgroup (version 2) of its own, so that a command and all that it starts can be killed at once.
#[derive(Debug)]
pub struct Group(PathBuf);

impl Group {
    /// Makes one.
    ///
    /// # Errors
    /// When no file system of that kind is mounted, or it may not be written.
    pub fn make() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let mounted = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ');
            let path = fields.nth(1)?;
            (fields.next()? == "cgroup2").then_some(path)
        });
        let top = PathBuf::from(mounted.context("no cgroup2 file system is mounted")?);
        let path = top.join(format!("livepatch-kill-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make `{}`", path.display()))?;
        let group = Self(path);
        let killer = group.0.join("cgroup.kill");
        ensure!(
            killer.exists(),
            "`{}` is missing (Linux 5.14)",
            killer.display()
        );
        Ok(group)
    }

    /// Runs a command in the group, kills the group after `delay`, and waits until it is empty.
    ///
    /// # Errors
    /// When it cannot be started or killed.
    pub fn run(&self, command: &[String], directory: &Path, delay: Duration) -> Result<()> {
        let client = start_stopped(command, directory)?;
        fs::write(self.0.join("cgroup.procs"), client.to_string())?;
        kill(client, Signal::SIGCONT)?;
        thread::sleep(delay);
        fs::write(self.0.join("cgroup.kill"), "1")?;
        waitpid(client, None)?;
        while !fs::read_to_string(self.0.join("cgroup.procs"))?.is_empty() {
            thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // An empty directory of the kernel's that costs nothing, should it stay.
        let _ = fs::remove_dir(&self.0);
    }
}

fn child_of(client: Pid) -> Option<Pid> {
    let children = fs::read_to_string(format!("/proc/{client}/task/{client}/children")).ok()?;
    children
        .split_whitespace()
        .next()?
        .parse()
        .ok()
        .map(Pid::from_raw)
}

/// Waits for the end of a process that is not our child, whoever is to bury it: of all its threads.
fn await_end(pid: Pid) -> Result<()> {
    let ended = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
        let dead = stat.contains(") Z ") || stat.contains(") X ");
        stat.is_empty() || (dead && threads <= 1)
    };
    while !ended() {
        match kill(pid, None) {
            Err(Errno::ESRCH) => break,
            _ => thread::sleep(Duration::from_micros(200)),
        }
    }
    Ok(())
}
