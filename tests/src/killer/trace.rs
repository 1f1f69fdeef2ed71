//! A command under a tracer that kills it after its n-th system call.
//!
//! The tracer follows the command into the processes and threads that it starts. A tracer may itself be traced, so
//! the guardian does its work on the target as ever, only slower.

use super::Victim;
use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

/// How a traced command ended.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// How many system calls of the victim had returned.
    pub calls: usize,
    /// The number of the call after which it was killed, and its first argument; `None` if it came to its end before.
    pub killed_after: Option<(i64, u64)>,
}

/// Runs `command` (a program and its arguments) in `directory` and kills `victim` after its system call number `at`,
/// counted from 1. What it says goes to the file `said` there.
///
/// # Errors
/// When it cannot be started or traced.
pub fn run(command: &[String], directory: &Path, victim: Victim, at: usize) -> Result<Ended> {
    // A tracee obeys one thread, whose other children are not to be mixed up with it.
    let work = || Follower::start(command, directory, victim, at)?.follow();
    std::thread::scope(|scope| {
        let tracer = scope.spawn(work);
        tracer.join().expect("the tracer does not panic")
    })
}

/// Starts a command that waits, stopped, to be looked at first.
///
/// # Errors
/// When it cannot be started.
pub(super) fn start_stopped(command: &[String], directory: &Path) -> Result<Pid> {
    let said = File::create(directory.join("said"))?;
    let shell = Command::new("sh")
        .current_dir(directory)
        .args(["-c", "kill -STOP $$; exec \"$@\"", "sh"])
        .args(command)
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said)
        .spawn()
        .context("cannot run `sh`")?;
    let pid = Pid::from_raw(shell.id().cast_signed());
    let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED))?;
    ensure!(
        stopped == WaitStatus::Stopped(pid, Signal::SIGSTOP),
        "the shell did not stop: {stopped:?}"
    );
    Ok(pid)
}

struct Follower {
    client: Pid,
    victim: Victim,
    at: usize,
    ended: Ended,
    /// The process of each thread.
    processes: HashMap<Pid, Pid>,
}

impl Follower {
    fn start(command: &[String], directory: &Path, victim: Victim, at: usize) -> Result<Self> {
        let client = start_stopped(command, directory)?;
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEEXEC;
        ptrace::seize(client, options).context("cannot trace the command")?;
        kill(client, Signal::SIGCONT)?;
        Ok(Self {
            client,
            victim,
            at,
            ended: Ended::default(),
            processes: HashMap::new(),
        })
    }

    /// Goes on until every process that the command started has ended.
    fn follow(mut self) -> Result<Ended> {
        loop {
            let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
            match waitpid(None, Some(flags)) {
                Ok(WaitStatus::PtraceSyscall(tid)) => {
                    self.at_syscall(tid)?;
                    self.resume(tid, None);
                }
                Ok(WaitStatus::PtraceEvent(tid, ..)) => self.resume(tid, None),
                Ok(WaitStatus::Stopped(tid, signal)) => self.resume(tid, Some(signal)),
                Ok(_) => {}
                Err(Errno::ECHILD) => return Ok(self.ended),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error).context("cannot wait for the command"),
            }
        }
    }

    /// Counts a system call that has returned, and kills.
    fn at_syscall(&mut self, tid: Pid) -> Result<()> {
        if !self.counts(tid) || self.ended.killed_after.is_some() {
            return Ok(());
        }
        // Fails when the thread was killed meanwhile.
        let Ok(info) = ptrace::syscall_info(tid) else {
            return Ok(());
        };
        if info.op != libc_exit() {
            return Ok(());
        }
        self.ended.calls += 1;
        if self.ended.calls == self.at {
            let registers = ptrace::getregs(tid)?;
            self.ended.killed_after = Some((registers.orig_rax.cast_signed(), registers.rdi));
            self.kill(tid)?;
        }
        Ok(())
    }

    fn kill(&mut self, tid: Pid) -> Result<()> {
        if self.victim == Victim::Both {
            kill(self.client, Signal::SIGKILL)?;
        }
        kill(self.process(tid), Signal::SIGKILL).context("cannot kill the victim")
    }

    fn counts(&mut self, tid: Pid) -> bool {
        let of_client = self.process(tid) == self.client;
        of_client == (self.victim == Victim::Client)
    }

    fn process(&mut self, tid: Pid) -> Pid {
        *self.processes.entry(tid).or_insert_with(|| group_of(tid))
    }

    /// Who is not to be killed runs at full speed. A thread that was killed cannot be resumed, and need not.
    fn resume(&mut self, tid: Pid, signal: Option<Signal>) {
        let done = self.ended.killed_after.is_some() || !self.counts(tid);
        let _ = if done {
            ptrace::cont(tid, signal)
        } else {
            ptrace::syscall(tid, signal)
        };
    }
}

/// `PTRACE_SYSCALL_INFO_EXIT` (ptrace(2)).
const fn libc_exit() -> u8 {
    2
}

/// The process of a thread; itself when it is gone.
fn group_of(tid: Pid) -> Pid {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    let number = line.and_then(|text| text.trim().parse().ok());
    number.map_or(tid, Pid::from_raw)
}
