//! The working directory of `patchgen build` goes, however that ends.
//!
//! A signal ends `patchgen build` at once, as it ends any program. So another process waits for its end, which a pipe
//! tells, and removes what is left.

use super::{CleanUp, DONE};
use anyhow::{Context, ensure};
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How such directories are called; nothing else is removed.
const PREFIX: &str = "patchgen-";
/// How long processes of a build that was killed may go on to write.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// A working directory, and the process that removes it unless it is kept.
pub(super) struct Scratch {
    directory: PathBuf,
    cleaner: Option<Child>,
}

impl Scratch {
    /// Makes the directory in `parent`, which goes with this process unless `keep`.
    ///
    /// # Errors
    /// When that, or the process, cannot be made.
    pub(super) fn new(parent: &Path, keep: bool) -> anyhow::Result<Self> {
        let made = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent);
        let made =
            made.with_context(|| format!("cannot make a directory in `{}`", parent.display()))?;
        if keep {
            let directory = made.keep();
            return Ok(Self {
                directory,
                cleaner: None,
            });
        }
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("clean-up")
            .arg(made.path())
            // Ctrl-C is not for it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let cleaner = command.spawn().context("cannot run `patchgen clean-up`")?;
        Ok(Self {
            directory: made.keep(),
            cleaner: Some(cleaner),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(cleaner) = &mut self.cleaner {
            drop(cleaner.stdin.take());
            // What it cannot remove, we cannot either.
            let _ = cleaner.wait();
        }
    }
}

/// Waits until whoever has the other end of the standard input has ended, and removes the directory.
pub(super) fn run(arguments: &CleanUp) -> anyhow::Result<u8> {
    let directory = &arguments.directory;
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    ensure!(
        name.starts_with(PREFIX),
        "`{}` is no working directory of `patchgen build`",
        directory.display()
    );
    io::copy(&mut io::stdin(), &mut io::sink())?;
    let end = Instant::now() + PATIENCE;
    while fs::remove_dir_all(directory).is_err() && directory.exists() && Instant::now() < end {
        std::thread::sleep(PAUSE);
    }
    Ok(DONE)
}
