//! A command that is stopped before each of its steps.

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What the command does to others, or tells: system calls of these numbers are its steps.
const STEPS: [i64; 11] = [
    libc::SYS_connect,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_close,
    libc::SYS_symlink,
    libc::SYS_symlinkat,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_exit_group,
];

/// The command, traced; it stops before each of its steps.
pub(crate) struct Traced {
    /// Waited for by its number, as tracing needs it.
    _child: Child,
    pid: Pid,
    has_connected: bool,
}

impl Traced {
    /// Starts `livepatch-component upgrade` with these arguments.
    pub(crate) fn upgrade(directory: &Path, arguments: &[&str]) -> Self {
        let child = Command::new("sh")
            .args(["-c", "kill -STOP $$; exec \"$@\"", "sh"])
            .arg(env!("CARGO_BIN_EXE_livepatch-component"))
            .args(["upgrade", "--directory"])
            .arg(directory)
            .args(arguments)
            .stdout(Stdio::null())
            .spawn();
        let child = child.expect("a shell is there");
        let pid = Pid::from_raw(child.id().cast_signed());
        let status = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).expect("our child");
        assert_eq!(status, WaitStatus::Stopped(pid, Signal::SIGSTOP));
        let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL;
        ptrace::seize(pid, options).expect("our child");
        kill(pid, Signal::SIGCONT).expect("our child");
        Self {
            _child: child,
            pid,
            has_connected: false,
        }
    }

    /// Lets it go on until it is about to do the next step; false when it has ended.
    fn step(&mut self) -> bool {
        loop {
            let status = waitpid(self.pid, Some(WaitPidFlag::__WALL)).expect("our child");
            let mut pass_on = None;
            match status {
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return false,
                WaitStatus::Stopped(_, signal) => pass_on = Some(signal),
                WaitStatus::PtraceSyscall(_) if self.is_at_a_step() => return true,
                _ => {}
            }
            self.go_on(pass_on);
        }
    }

    /// Lets it go on until it is about to do the step of this number, counted from 1; false when it has ended before.
    pub(crate) fn steps(&mut self, number: usize) -> bool {
        for before in 1..=number {
            if !self.step() {
                return false;
            }
            if before < number {
                self.go_on(None);
            }
        }
        true
    }

    fn is_at_a_step(&mut self) -> bool {
        let registers = ptrace::getregs(self.pid).expect("it is stopped");
        // What the kernel has there before the system call.
        let is_before = registers.rax.cast_signed() == -i64::from(Errno::ENOSYS as i32);
        let number = registers.orig_rax.cast_signed();
        self.has_connected |= number == libc::SYS_connect;
        is_before && self.has_connected && STEPS.contains(&number)
    }

    fn go_on(&self, signal: Option<Signal>) {
        ptrace::syscall(self.pid, signal).expect("it is stopped");
    }

    /// Lets it go on to its end.
    pub(crate) fn finish(&self) -> WaitStatus {
        ptrace::detach(self.pid, None).expect("it is stopped");
        waitpid(self.pid, None).expect("our child")
    }

    pub(crate) fn kill(&self) -> WaitStatus {
        kill(self.pid, Signal::SIGKILL).expect("our child");
        waitpid(self.pid, None).expect("our child")
    }
}
