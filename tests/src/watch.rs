//! `livepatch watch`, run by a test.

use crate::target::dying;
use crate::tools::tool;
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// How long to wait for a line of the log. A guard against hanging, not a measurement.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running `livepatch watch`.
#[derive(Debug)]
pub struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    /// Starts it and waits until it watches.
    ///
    /// # Errors
    /// When it does not.
    pub fn start(directory: &Path, options: &[&str]) -> Result<Self> {
        let mut child = dying(tool("livepatch")?)
            .arg("watch")
            .arg(directory)
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (sender, lines) = channel();
        let stdout = child.stdout.take().context("a pipe")?;
        pass_on(stdout, sender.clone());
        pass_on(child.stderr.take().context("a pipe")?, sender);
        let watch = Self { child, lines };
        watch.wait_for("watching;")?;
        Ok(watch)
    }

    /// Waits until a line of the log, or of the standard output, says `text`.
    ///
    /// # Errors
    /// When none does for a minute.
    pub fn wait_for(&self, text: &str) -> Result<String> {
        let (mut seen, end) = (Vec::new(), Instant::now() + DEADLINE);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(text) => return Ok(line),
                Ok(line) => seen.push(line),
                Err(_) => bail!("the log does not say `{text}`: {seen:#?}"),
            }
        }
    }

    /// Waits until it says that `fix` is applied to the process.
    ///
    /// # Errors
    /// As [`Self::wait_for`].
    pub fn wait_until_applied(&self, pid: u32) -> Result<()> {
        self.wait_for(&format!("applied `fix` to process {pid} "))
            .map(drop)
    }

    /// Ends it as systemd does.
    ///
    /// # Errors
    /// When it says that something went wrong.
    pub fn end(self) -> Result<()> {
        self.end_by(Signal::SIGTERM)
    }

    /// Ends it by a signal.
    ///
    /// # Errors
    /// As [`Self::end`].
    pub fn end_by(mut self, signal: Signal) -> Result<()> {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        nix::sys::signal::kill(pid, signal)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "it ended with {status}");
        Ok(())
    }
}

/// Reads lines beside the test.
fn pass_on(stream: impl Read + Send + 'static, sender: Sender<String>) {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        lines.all(|line| sender.send(line).is_ok())
    });
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
