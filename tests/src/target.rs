//! A process that a test patches: started, asked over pipes, and killed with the test.

use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A command whose process dies with the thread that starts it, so that no test leaves one behind.
///
/// `setpriv(1)` of util-linux becomes the program itself: the process id is the program's.
#[must_use]
pub fn dying(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// A running process that answers questions (`tests/harness/main.c`).
#[derive(Debug)]
pub struct Target {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    started: Identity,
}

/// What tells a process from another that later has the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Process id.
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`, in clock ticks since boot.
    pub start_time: u64,
}

impl Identity {
    /// The identity of a running process.
    ///
    /// # Errors
    /// When there is no such process, or it is a zombie.
    pub fn of(pid: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
            .with_context(|| format!("process {pid} is gone"))?;
        // The command's name may hold blanks and parentheses: fields follow the last parenthesis.
        let (_, rest) = stat.rsplit_once(") ").context("malformed stat")?;
        let fields: Vec<_> = rest.split(' ').collect();
        ensure!(fields[0] != "Z", "process {pid} is a zombie");
        let start_time = fields[19].parse()?;
        Ok(Self { pid, start_time })
    }
}

impl Target {
    /// Starts a program (made by [`dying`]) and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started or says anything but `ready`.
    pub fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let stdin = child.stdin.take().expect("stdin is piped");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let started = Identity::of(child.id())?;
        let mut target = Self {
            child,
            stdin,
            stdout,
            started,
        };
        let ready = target.read_line()?;
        ensure!(ready == "ready", "the target said `{ready}`");
        Ok(target)
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process id as an argument.
    #[must_use]
    pub fn pid_text(&self) -> String {
        self.pid().to_string()
    }

    /// Puts a question and waits for the answer.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn ask(&mut self, question: &str) -> Result<String> {
        self.tell(question)?;
        self.read_line()
    }

    /// Puts a question without waiting; [`Target::read_line`] has the answer.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn tell(&mut self, question: &str) -> Result<()> {
        writeln!(self.stdin, "{question}").context("the target is gone")
    }

    /// The next line that the process says.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn read_line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            let status = self.child.wait()?;
            bail!("the target is gone: {status}");
        }
        Ok(line.trim_end().to_owned())
    }

    /// Fails unless this is the same process, untraced, and no sleeper of it saw an EINTR.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check_undisturbed(&mut self) -> Result<()> {
        let now = Identity::of(self.pid())?;
        ensure!(now == self.started, "the process was restarted");
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        ensure!(status.contains("TracerPid:\t0\n"), "a tracer stayed");
        let spurious = self.ask("eintr")?;
        ensure!(spurious == "0", "sleeping threads saw {spurious} EINTR");
        Ok(())
    }

    /// Waits for the process to end by itself after its stdin is closed.
    ///
    /// # Errors
    /// When it ends with anything but success.
    pub fn end(mut self) -> Result<()> {
        let Self { child, stdin, .. } = &mut self;
        // Closing the only writer ends the process's loop.
        let (_, replacement) = std::io::pipe()?;
        drop(std::mem::replace(stdin, into_stdin(replacement)));
        let status = child.wait()?;
        ensure!(status.success(), "the target ended with {status}");
        Ok(())
    }
}

/// The children of all threads of a process.
///
/// # Errors
/// When the process is gone.
pub fn children(pid: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    for task in tasks.with_context(|| format!("process {pid} is gone"))? {
        // A thread may end meanwhile.
        let list = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
        children.extend(
            list.split_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
    }
    Ok(children)
}

fn into_stdin(writer: std::io::PipeWriter) -> ChildStdin {
    ChildStdin::from(std::os::fd::OwnedFd::from(writer))
}

impl Drop for Target {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
