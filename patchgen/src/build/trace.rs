//! Following a build: each program that any process of it starts is seen before its first instruction.
//!
//! The command runs under `ptrace`, stopped only where processes begin and programs start. So nothing that a build does
//! about its compiler (absolute paths, launchers, `libtool`) hides it, and nothing of the compiler is replaced.

use super::error::BuildError;
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

/// A program that was started.
#[derive(Debug)]
pub(super) struct Started {
    pub process: i32,
    pub arguments: Vec<String>,
    /// The program's own file.
    pub program: PathBuf,
    pub directory: PathBuf,
}

impl Started {
    /// Reads what `/proc` says; `None` when the process is gone.
    fn of(process: Pid) -> Option<Self> {
        let place = |name: &str| format!("/proc/{process}/{name}");
        Some(Self {
            process: process.as_raw(),
            arguments: strings(&fs::read(place("cmdline")).ok()?),
            program: fs::read_link(place("exe")).ok()?,
            directory: fs::read_link(place("cwd")).ok()?,
        })
    }

    /// The environment that it was started with.
    pub(super) fn environment(&self) -> Vec<String> {
        let bytes = fs::read(format!("/proc/{}/environ", self.process));
        bytes.map(|bytes| strings(&bytes)).unwrap_or_default()
    }
}

fn strings(bytes: &[u8]) -> Vec<String> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let parts = bytes.split(|byte| *byte == 0);
    parts
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect()
}

/// The shell waits for a line, so that it is followed before it starts the command.
const WAIT: &str = "read -r go && exec \"$@\" </dev/null";

/// Runs a command and tells `seen` of each program that it starts.
///
/// # Errors
/// When the command cannot be run or followed.
pub(super) fn run(
    command: &[String],
    mut seen: impl FnMut(&Started),
) -> Result<ExitStatus, BuildError> {
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", WAIT, "sh"])
        .args(command)
        .stdin(Stdio::piped());
    let mut child = shell.spawn().map_err(BuildError::io("run", "/bin/sh"))?;
    let root = Pid::from_raw(child.id().cast_signed());
    let options = Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(root, options).map_err(BuildError::system("follow the build with ptrace"))?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(b"go\n")
            .map_err(BuildError::io("write to", "/bin/sh"))?;
    }
    loop {
        let status = waitpid(None, Some(WaitPidFlag::__WALL))
            .map_err(BuildError::system("follow the build"))?;
        match status {
            WaitStatus::Exited(process, code) if process == root => {
                return Ok(ExitStatus::from_raw(code << 8));
            }
            WaitStatus::Signaled(process, signal, _) if process == root => {
                return Ok(ExitStatus::from_raw(signal as i32));
            }
            WaitStatus::PtraceEvent(process, _, event) => {
                if event == ptrace::Event::PTRACE_EVENT_EXEC as i32
                    && let Some(started) = Started::of(process)
                {
                    seen(&started);
                }
                go_on(process, None)?;
            }
            WaitStatus::Stopped(process, signal) => go_on(process, Some(signal))?,
            _ => {}
        }
    }
}

/// A process that was killed meanwhile is nobody's trouble.
fn go_on(process: Pid, signal: Option<Signal>) -> Result<(), BuildError> {
    match ptrace::cont(process, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(BuildError::System {
            doing: "follow the build",
            source: error,
        }),
    }
}

/// The processes that a process descends from, itself first.
pub(super) fn ancestors(process: i32) -> Vec<i32> {
    /// No build nests deeper.
    const DEPTH_MAX: usize = 64;
    let mut found = vec![process];
    while let Some(parent) = found
        .last()
        .and_then(|last| parent(*last))
        .filter(|_| found.len() < DEPTH_MAX)
    {
        found.push(parent);
    }
    found
}

fn parent(process: i32) -> Option<i32> {
    let stat = match fs::read_to_string(format!("/proc/{process}/stat")) {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        other => other.ok()?,
    };
    // pid (name) state ppid …, where the name may hold anything
    let (_, rest) = stat.rsplit_once(')')?;
    let parent = rest.split_whitespace().nth(1)?.parse().ok()?;
    (parent > 1).then_some(parent)
}
