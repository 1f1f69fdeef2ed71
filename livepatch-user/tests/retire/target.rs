//! The process that is searched: `target.c`, compiled once, driven by letters.

use livepatch_bundle::RunAddr;
use livepatch_user::process::{Pid, ProcessMemory, Target, examine, maps};
use livepatch_user::remote::{Borrowed, RemoteError};
use livepatch_user::retire::{AddressRange, PatchAddresses, RemoteSyscall, ThreadState};
use livepatch_user::stop::{Roster, Stopped, stop};
use livepatch_user::sys::ptrace;
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const KEY: u64 = 0x5bd1_e995_a5a5_c3c3;

/// A running target; killed when dropped.
pub(crate) struct Program {
    child: RefCell<Child>,
    commands: File,
    answers: File,
    pub(crate) target: Target,
    pub(crate) memory: ProcessMemory,
    patch: RunAddr,
}

fn binary() -> &'static Path {
    static BINARY: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = BINARY.get_or_init(|| {
        let directory = TempDir::new().expect("a temporary directory");
        let path = directory.path().join("target");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/retire/target.c");
        let status = Command::new("cc")
            .args(["-O2", "-pthread", "-o"])
            .args([&path, &source])
            .status()
            .expect("`cc` is needed for this test (apt install gcc)");
        assert!(status.success());
        (directory, path)
    });
    path
}

impl Program {
    pub(crate) fn start(threads: usize) -> Self {
        let mut child = Command::new(binary())
            .arg(threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it was just compiled");
        let commands = OwnedFd::from(child.stdin.take().expect("it is a pipe"));
        let answers = OwnedFd::from(child.stdout.take().expect("it is a pipe"));
        let (commands, mut answers) = (File::from(commands), File::from(answers));
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            answers
                .read_exact(&mut byte)
                .expect("the target prints a line");
            line.push(byte[0]);
        }
        let text = String::from_utf8(line).expect("hexadecimal");
        let hidden = u64::from_str_radix(text.trim(), 16).expect("hexadecimal");
        let target = examine(Pid(child.id().cast_signed())).expect("we may trace our child");
        let memory = ProcessMemory::open(&target).expect("as before");
        Self {
            child: RefCell::new(child),
            commands,
            answers,
            target,
            memory,
            patch: RunAddr(hidden ^ KEY),
        }
    }

    /// Gives commands, one letter each, and waits until they are done.
    pub(crate) fn tell(&self, commands: &str) {
        let (mut input, mut output) = (&self.commands, &self.answers);
        input
            .write_all(commands.as_bytes())
            .expect("the target reads");
        let mut answers = vec![0; commands.len()];
        output.read_exact(&mut answers).expect("the target answers");
    }

    pub(crate) fn patch(&self) -> PatchAddresses {
        let whole = AddressRange {
            start: self.patch,
            end: self.patch.offset(16 * 4096),
        };
        PatchAddresses {
            unwind: vec![],
            ranges: vec![whole],
            code: vec![whole],
            entries: Vec::new(),
        }
    }

    pub(crate) fn kill(&self) {
        let mut child = self.child.borrow_mut();
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
    }

    /// Stops all threads.
    pub(crate) fn stop(&self) -> Stopped {
        let roster = Roster::take(&self.target).expect("it runs");
        let deadline = Instant::now() + Duration::from_secs(10);
        let outcome = stop(roster, &self.memory, deadline, |_, _| {
            ControlFlow::<()>::Continue(())
        });
        match outcome.expect("it stops") {
            ControlFlow::Continue(stopped) => stopped,
            ControlFlow::Break(()) => unreachable!("the check never breaks"),
        }
    }

    /// Borrows a thread for system calls.
    pub(crate) fn borrow(&self) -> Loan<'_> {
        let maps = maps(self.target.pid).expect("it runs");
        let deadline = Instant::now() + Duration::from_secs(10);
        let thread = Borrowed::new(&self.target, &self.memory, &maps, deadline);
        Loan(thread.expect("the main thread sleeps"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let child = self.child.get_mut();
        child.kill().ok();
        child.wait().ok();
    }
}

/// A borrowed thread.
pub(crate) struct Loan<'a>(pub(crate) Borrowed<'a>);

impl RemoteSyscall for Loan<'_> {
    fn syscall(&mut self, number: i64, arguments: [u64; 6]) -> io::Result<i64> {
        match self.0.syscall(number, arguments) {
            Ok(value) => Ok(value.cast_signed()),
            Err(RemoteError::Failed { source, .. }) => Err(source),
            Err(other) => Err(io::Error::other(other)),
        }
    }
}

/// What a search wants to know of stopped threads.
pub(crate) fn states(stopped: &Stopped) -> Vec<ThreadState> {
    stopped
        .threads()
        .iter()
        .map(|thread| {
            let mut extended = vec![0; 16 << 10];
            let size = ptrace::extended_registers(thread.tid, &mut extended).expect("it stands");
            extended.truncate(size);
            ThreadState {
                tid: thread.tid,
                registers: thread.registers,
                extended,
                // No thread of the target ever runs the patch.
                walked: Some(AddressRange {
                    start: RunAddr(thread.registers.rsp),
                    end: RunAddr(u64::MAX),
                }),
            }
        })
        .collect()
}
