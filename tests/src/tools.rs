//! Running the built tools, and every other command, with a deadline.

use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsStr;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a tool may take. Generous: it is a guard against hanging, not a measurement.
const DEADLINE: Duration = Duration::from_secs(120);

/// The build directory that the running test binary lies in (`target`).
#[must_use]
pub fn target_directory() -> PathBuf {
    // target/debug/deps/cases-0123, target/debug/livepatch-bench
    let binary = std::env::current_exe().expect("Linux has /proc/self/exe");
    binary
        .ancestors()
        .find(|directory| directory.join("CACHEDIR.TAG").exists())
        .unwrap_or(Path::new("target"))
        .to_path_buf()
}

/// The directory `tests` of the source tree.
#[must_use]
pub fn tests_directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The path of `patchgen` or `livepatch`: in `$LIVEPATCH_BIN`, else the release build.
///
/// # Errors
/// When it has not been built.
pub fn tool(name: &str) -> Result<PathBuf> {
    let directory = std::env::var_os("LIVEPATCH_BIN")
        .map_or_else(|| target_directory().join("release"), PathBuf::from);
    let path = directory.join(name);
    ensure!(
        path.exists(),
        "`{}` is missing: run `cargo build --release` first",
        path.display()
    );
    Ok(path)
}

/// What a finished command left behind.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The command line, for messages.
    pub command: String,
    /// Exit status; 128 plus the signal's number when a signal ended it.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Finished {
    /// Fails unless the exit status is `status`.
    ///
    /// # Errors
    /// With everything that the command said.
    pub fn expect(self, status: i32) -> Result<Self> {
        ensure!(self.status == status, "wanted exit status {status}: {self}");
        Ok(self)
    }

    /// Fails unless the exit status is `status` and standard error says `text`.
    ///
    /// # Errors
    /// With everything that the command said.
    pub fn expect_error(self, status: i32, text: &str) -> Result<Self> {
        let finished = self.expect(status)?;
        ensure!(
            !finished.stderr.trim().is_empty(),
            "failed without a message: {finished}"
        );
        ensure!(
            finished.stderr.contains(text),
            "the message lacks `{text}`: {finished}"
        );
        Ok(finished)
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            command,
            status,
            stdout,
            stderr,
        } = self;
        write!(f, "`{command}` exited {status}\n{stdout}{stderr}")
    }
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started, or runs longer than two minutes (it is killed then).
pub fn run(command: &mut Command) -> Result<Finished> {
    finish(spawn(command)?)
}

/// A command that runs.
#[derive(Debug)]
pub struct Running {
    child: std::process::Child,
    name: String,
    readers: [thread::JoinHandle<String>; 2],
    started: Instant,
}

impl Running {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

/// Starts a command with its output collected in the background.
///
/// # Errors
/// When it cannot be started.
pub fn spawn(command: &mut Command) -> Result<Running> {
    let name = show(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{name}`"))?;
    let stdout = collect(child.stdout.take().expect("stdout is piped"));
    let stderr = collect(child.stderr.take().expect("stderr is piped"));
    Ok(Running {
        child,
        name,
        readers: [stdout, stderr],
        started: Instant::now(),
    })
}

/// Waits for a command's end.
///
/// # Errors
/// When it runs longer than two minutes (it is killed then).
pub fn finish(mut running: Running) -> Result<Finished> {
    use std::os::unix::process::ExitStatusExt;
    let status = loop {
        if let Some(status) = running.child.try_wait()? {
            break status;
        }
        if running.started.elapsed() > DEADLINE {
            running.child.kill()?;
            running.child.wait()?;
            bail!("`{}` hung and was killed", running.name);
        }
        thread::sleep(Duration::from_millis(2));
    };
    let [stdout, stderr] = running
        .readers
        .map(|reader| reader.join().expect("a reader does not panic"));
    let signal = || 128 + status.signal().unwrap_or(0);
    Ok(Finished {
        command: running.name,
        status: status.code().unwrap_or_else(signal),
        stdout,
        stderr,
    })
}

fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // An error ends the text; the exit status tells the rest.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn show(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs `patchgen` with these arguments.
///
/// # Errors
/// When it cannot be run.
pub fn patchgen<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Result<Finished> {
    run(Command::new(tool("patchgen")?).args(arguments))
}

/// Runs `livepatch` with these arguments.
///
/// # Errors
/// When it cannot be run.
pub fn livepatch<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Result<Finished> {
    run(Command::new(tool("livepatch")?).args(arguments))
}
