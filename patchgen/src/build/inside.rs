//! Working on a copy of a source tree as if it were the tree: in a mount namespace of our own, the copy lies over it.
//!
//! `patchgen` starts itself again for this (`patchgen inside JOB`), so that its own view of the file system never changes.

use super::error::BuildError;
use super::record::Record;
use super::recorder::Recorder;
use super::trace;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{getegid, geteuid};
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// What is to be done in a copy.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// The copy.
    pub copy: PathBuf,
    /// The tree that it stands for.
    pub source: PathBuf,
    /// What to do.
    pub action: Action,
}

/// What is done in a copy.
#[derive(Debug, Serialize, Deserialize)]
pub enum Action {
    /// Build, and write down how.
    Build {
        /// The build command.
        command: Vec<String>,
        /// Where linked objects are kept.
        store: PathBuf,
        /// Where the record goes.
        record: PathBuf,
    },
    /// Compile again, each on its own; what fails makes no object.
    Compile(Vec<Again>),
}

/// A compilation to be repeated.
#[derive(Debug, Serialize, Deserialize)]
pub struct Again {
    /// The compiler.
    pub program: PathBuf,
    /// Its arguments, the first of which is its name.
    pub arguments: Vec<String>,
    /// Where it runs.
    pub directory: PathBuf,
    /// Its environment, as `NAME=value`.
    pub environment: Vec<String>,
}

impl Again {
    /// Whether the build asked for bytecode, which the linker optimises.
    pub(super) fn has_link_time_optimisation(&self) -> bool {
        self.arguments.iter().any(|word| word.starts_with("-flto"))
    }
}

/// Does the job in this process's own mount namespace; returns how the build command ended.
///
/// # Errors
/// When the namespace cannot be made, or the build cannot be followed.
pub fn run(job: &Job) -> Result<ExitStatus, BuildError> {
    lay_over(&job.copy, &job.source)?;
    // With its `patchgen` the build ends, too: nobody would take what it makes.
    set_pdeathsig(Signal::SIGKILL).map_err(BuildError::system("end with `patchgen`"))?;
    std::env::set_current_dir(&job.source).map_err(BuildError::io("enter", &job.source))?;
    match &job.action {
        Action::Build {
            command,
            store,
            record,
        } => {
            let mut recorder = Recorder::new(store);
            let status = trace::run(command, |started| recorder.see(started))?;
            if let Some(error) = recorder.error {
                return Err(error);
            }
            write_record(&recorder.record, record)?;
            Ok(status)
        }
        Action::Compile(all) => {
            all.iter().for_each(compile);
            Ok(ExitStatus::from_raw(0))
        }
    }
}

fn write_record(record: &Record, path: &Path) -> Result<(), BuildError> {
    fs::write(path, serde_json::to_vec(record)?).map_err(BuildError::io("write", path))
}

/// A compiler that fails leaves no object, which is all that its caller asks.
fn compile(again: &Again) {
    let environment = again
        .environment
        .iter()
        .filter_map(|entry| entry.split_once('='));
    let mut command = Command::new(&again.program);
    if let Some((name, arguments)) = again.arguments.split_first() {
        command.arg0(name).args(arguments);
    }
    let _ = command
        .current_dir(&again.directory)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

fn lay_over(copy: &Path, source: &Path) -> Result<(), BuildError> {
    let (user, group) = (geteuid(), getegid());
    if user.is_root() {
        unshare(CloneFlags::CLONE_NEWNS).map_err(BuildError::system("make a mount namespace"))?;
    } else {
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
            .map_err(BuildError::system("make a user and mount namespace"))?;
        for (file, text) in [
            ("/proc/self/setgroups", "deny".to_owned()),
            ("/proc/self/uid_map", format!("{user} {user} 1")),
            ("/proc/self/gid_map", format!("{group} {group} 1")),
        ] {
            fs::write(file, text).map_err(BuildError::io("write", file))?;
        }
    }
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(BuildError::system("keep mounts to ourselves"))?;
    mount(Some(copy), source, none, MsFlags::MS_BIND, none)
        .map_err(BuildError::system("lay the copy over the source tree"))
}
