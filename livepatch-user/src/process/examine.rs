//! Whether a process can be a target at all.

use super::{Obstacle, Pid, ProcessMemory, Stat, Status, Tid};
use crate::sys::{poll, task};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use thiserror::Error;

/// A process that can be patched as far as `/proc` tells.
#[derive(Debug)]
pub struct Target {
    /// Its number.
    pub pid: Pid,
    /// Its name (`comm`).
    pub name: String,
    /// Its executable in its own mount namespace; `/proc/PID/exe` opens it from ours even when deleted.
    pub executable: PathBuf,
    /// When it started, in clock ticks since boot: with the number, its identity.
    pub start_time: u64,
    /// Its seccomp mode: 0 none, 1 strict, 2 filters.
    pub seccomp: u32,
    handle: Option<OwnedFd>,
}

/// Why a process cannot be a target.
#[derive(Debug, Error)]
pub enum TargetError {
    /// Nothing has this number.
    #[error("there is no process {0}")]
    NoSuchProcess(Pid),
    /// It ended and waits to be reaped.
    #[error("process {pid} (`{name}`) has ended and only waits for its parent to notice")]
    Dead {
        /// The process.
        pid: Pid,
        /// Its name.
        name: String,
    },
    /// Its main thread ended, so that its memory cannot be reached by its number.
    #[error(
        "the main thread of process {pid} (`{name}`) has ended; livepatch cannot reach the memory of the others"
    )]
    LeaderExited {
        /// The process.
        pid: Pid,
        /// Its name.
        name: String,
    },
    /// It is part of the kernel.
    #[error("{pid} (`{name}`) is a thread of the kernel; `livepatch kernel` patches kernels")]
    KernelThread {
        /// The thread.
        pid: Pid,
        /// Its name.
        name: String,
    },
    /// It is not a 64-bit program.
    #[error(
        "process {pid} (`{name}`) runs a {kind} program; livepatch patches 64-bit x86-64 programs"
    )]
    WrongArchitecture {
        /// The process.
        pid: Pid,
        /// Its name.
        name: String,
        /// What it runs.
        kind: &'static str,
    },
    /// Somebody traces it.
    #[error(
        "process {pid} (`{name}`) is traced by process {tracer} (`{tracer_name}`); end that first"
    )]
    Traced {
        /// The process.
        pid: Pid,
        /// Its name.
        name: String,
        /// Who traces it.
        tracer: Pid,
        /// The tracer's name.
        tracer_name: String,
    },
    /// The kernel does not let us.
    #[error("no permission to trace process {pid} (`{name}`): {obstacle}")]
    Forbidden {
        /// The process.
        pid: Pid,
        /// Its name.
        name: String,
        /// What stands in the way.
        obstacle: Obstacle,
    },
    /// It is livepatch itself.
    #[error("process {0} is livepatch itself")]
    Ourselves(Pid),
    /// The number is a thread's.
    #[error("{tid} is a thread of process {leader}; give that number")]
    Thread {
        /// What was given.
        tid: Tid,
        /// The process.
        leader: Pid,
    },
    /// `/proc` could not be read.
    #[error("cannot examine process {pid}")]
    Unreadable {
        /// The process.
        pid: Pid,
        /// Why.
        source: io::Error,
    },
}

impl Target {
    /// Whether this very process still runs, and not another one with its number.
    #[must_use]
    pub fn is_running(&self) -> bool {
        Stat::read(&directory(self.pid))
            .is_ok_and(|stat| stat.start_time == self.start_time && !stat.is_dead())
    }

    /// Whether the process has ended, with all its threads, noticed by its parent or not.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        match self.handle() {
            Some(handle) => poll::is_readable(handle),
            None => !self.is_running(),
        }
    }

    /// A descriptor of the process (becomes readable when it ends); none before Linux 5.3.
    #[must_use]
    pub fn handle(&self) -> Option<BorrowedFd<'_>> {
        self.handle.as_ref().map(AsFd::as_fd)
    }
}

/// Looks at a process from outside and says whether it can be a target.
///
/// # Errors
/// One error for each reason why it cannot.
pub fn examine(pid: Pid) -> Result<Target, TargetError> {
    let (target, status) = examine_status(pid)?;
    refuse_traced(pid, &target.name, &status)?;
    Ok(target)
}

/// The same for one that is only to be looked into: a tracer is in nobody's way.
///
/// # Errors
/// As [`examine`].
pub fn examine_to_read(pid: Pid) -> Result<Target, TargetError> {
    examine_status(pid).map(|(target, _)| target)
}

fn examine_status(pid: Pid) -> Result<(Target, Status), TargetError> {
    if pid.0 == std::process::id().cast_signed() {
        return Err(TargetError::Ourselves(pid));
    }
    // Opened first: whatever is read below belongs to this process or is caught by `start_time` at the end.
    let handle = task::pidfd_open(pid).ok();
    let (status, stat) = facts(pid)?;
    let name = stat.comm.clone();
    refuse_by_kind(pid, &status, &stat)?;
    refuse_forbidden(pid, &name, &status)?;
    refuse_architecture(pid, &name)?;
    let executable =
        std::fs::read_link(directory(pid).join("exe")).map_err(|error| unreadable(pid, error))?;
    let start_time = stat.start_time;
    let seccomp = status.seccomp;
    let target = Target {
        pid,
        name,
        executable,
        start_time,
        seccomp,
        handle,
    };
    if target.is_running() {
        Ok((target, status))
    } else {
        Err(TargetError::NoSuchProcess(pid))
    }
}

fn directory(pid: Pid) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

fn unreadable(pid: Pid, source: io::Error) -> TargetError {
    match source.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH) => TargetError::NoSuchProcess(pid),
        _ => TargetError::Unreadable { pid, source },
    }
}

fn facts(pid: Pid) -> Result<(Status, Stat), TargetError> {
    let directory = directory(pid);
    let status = Status::read(&directory).map_err(|error| unreadable(pid, error))?;
    let stat = Stat::read(&directory).map_err(|error| unreadable(pid, error))?;
    Ok((status, stat))
}

fn refuse_by_kind(pid: Pid, status: &Status, stat: &Stat) -> Result<(), TargetError> {
    let name = stat.comm.clone();
    if status.tgid != pid.0 {
        let (tid, leader) = (pid.leader(), Pid(status.tgid));
        return Err(TargetError::Thread { tid, leader });
    }
    if stat.is_kernel_thread() {
        return Err(TargetError::KernelThread { pid, name });
    }
    match (stat.is_dead(), status.threads) {
        (false, _) => Ok(()),
        (true, 0 | 1) => Err(TargetError::Dead { pid, name }),
        (true, _) => Err(TargetError::LeaderExited { pid, name }),
    }
}

fn refuse_traced(pid: Pid, name: &str, status: &Status) -> Result<(), TargetError> {
    if status.tracer == 0 {
        return Ok(());
    }
    let (tracer, tracer_name) = tracer(status);
    Err(TargetError::Traced {
        pid,
        name: name.into(),
        tracer,
        tracer_name,
    })
}

/// The process that traces a thread with this status, and its name.
pub(crate) fn tracer(status: &Status) -> (Pid, String) {
    // The kernel names the tracing thread.
    let thread = Status::read(&directory(Pid(status.tracer)));
    let tracer = Pid(thread.map_or(status.tracer, |thread| thread.tgid));
    let name = Stat::read(&directory(tracer)).map_or_else(|_| "?".into(), |stat| stat.comm);
    (tracer, name)
}

/// Opening `/proc/PID/mem` asks for the same right as attaching does (`PTRACE_MODE_ATTACH`), Yama included.
fn refuse_forbidden(pid: Pid, name: &str, status: &Status) -> Result<(), TargetError> {
    let Err(error) = ProcessMemory::of(pid) else {
        return Ok(());
    };
    match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => {
            let obstacle = Obstacle::find(status);
            Err(TargetError::Forbidden {
                pid,
                name: name.into(),
                obstacle,
            })
        }
        _ => Err(unreadable(pid, error)),
    }
}

fn refuse_architecture(pid: Pid, name: &str) -> Result<(), TargetError> {
    let mut header = [0; 20];
    File::open(directory(pid).join("exe"))
        .and_then(|mut file| file.read_exact(&mut header))
        .map_err(|error| unreadable(pid, error))?;
    match foreign(&header) {
        None => Ok(()),
        Some(kind) => Err(TargetError::WrongArchitecture {
            pid,
            name: name.into(),
            kind,
        }),
    }
}

/// What an ELF file is, if not a 64-bit x86-64 program (`e_ident[EI_CLASS]`, `e_machine`).
fn foreign(header: &[u8; 20]) -> Option<&'static str> {
    const CLASS_32: u8 = 1;
    const CLASS_64: u8 = 2;
    const X86_64: u16 = 62;
    let machine = u16::from_le_bytes([header[18], header[19]]);
    match (header.starts_with(b"\x7fELF"), header[4], machine) {
        (true, CLASS_64, X86_64) => None,
        (true, CLASS_32, X86_64) => Some("x32"),
        (true, CLASS_32, _) => Some("32-bit"),
        _ => Some("foreign"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(class: u8, machine: u8) -> [u8; 20] {
        let mut header = [0; 20];
        header[..4].copy_from_slice(b"\x7fELF");
        header[4] = class;
        header[18] = machine;
        header
    }

    #[test]
    fn architectures_are_told_apart() {
        assert_eq!(foreign(&header(2, 62)), None);
        assert_eq!(foreign(&header(1, 62)), Some("x32"));
        assert_eq!(foreign(&header(1, 3)), Some("32-bit"));
        assert_eq!(foreign(&header(2, 183)), Some("foreign"));
        assert_eq!(foreign(&[0; 20]), Some("foreign"));
    }

    #[test]
    fn hopeless_numbers_are_named() {
        let own = Pid(std::process::id().cast_signed());
        assert!(matches!(examine(own), Err(TargetError::Ourselves(_))));
        assert!(matches!(
            examine(Pid(0)),
            Err(TargetError::NoSuchProcess(_))
        ));
        assert!(matches!(
            examine(Pid(-1)),
            Err(TargetError::NoSuchProcess(_))
        ));
        assert!(matches!(
            examine(Pid(i32::MAX)),
            Err(TargetError::NoSuchProcess(_))
        ));
    }
}
