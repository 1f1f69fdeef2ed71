//! Why a command on a process failed, with the exit status and what to do next.

use crate::arena::ArenaError;
use crate::commit::CommitError;
use crate::dormant::DormantError;
use crate::exchange::ExchangeError;
use crate::frames::FramesError;
use crate::hooks::HookFailure;
use crate::install::InstallError;
use crate::interrupt::Interrupted;
use crate::plan::{PlanError, Problems};
use crate::process::{Confinement, Pid, TargetError};
use crate::prove::ProveError;
use crate::record::RecordError;
use crate::remote::RemoteError;
use crate::resolve::ResolveError;
use crate::status::Status;
use livepatch_bundle::{BundleError, Phase, RunAddr};
use std::io;
use thiserror::Error;

/// Why a command on a process failed.
#[derive(Debug, Error)]
pub enum Error {
    /// The process cannot be a target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Another livepatch works on it.
    #[error("another livepatch works on process {pid}")]
    InUse {
        /// The process.
        pid: Pid,
        /// What the lock says.
        source: io::Error,
    },
    /// The user thought better of it.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The patch cannot be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Something of the process cannot be read.
    #[error("cannot read {what} of process {pid}")]
    Read {
        /// The process.
        pid: Pid,
        /// What.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The process does not map what the patch is for.
    #[error("process {pid} maps nothing that the patch was made for: {wanted}{found}")]
    NoModule {
        /// The process.
        pid: Pid,
        /// The modules of the patch.
        wanted: String,
        /// What the process has under that name.
        found: String,
    },
    /// The running code is not the old code.
    #[error("the patch does not fit `{module}` in process {pid}{}", on(.patched))]
    Mismatch {
        /// The process.
        pid: Pid,
        /// The module that fits best.
        module: String,
        /// Patches of the same functions that are in force.
        patched: Vec<String>,
        /// Every reason.
        source: Problems<ProveError>,
    },
    /// Several modules have the code.
    #[error("the patch fits several modules of process {pid}: {modules}")]
    SeveralModules {
        /// The process.
        pid: Pid,
        /// Their names.
        modules: String,
    },
    /// References have no certain answer.
    #[error("references of the patch cannot be resolved in process {pid}")]
    Resolve {
        /// The process.
        pid: Pid,
        /// Every reason.
        source: Problems<ResolveError>,
    },
    /// A function that `--quiesce` names has no known extent.
    #[error("the extent of `{0}`, which must be on no stack, is not known in the running program")]
    Quiesce(String),
    /// It cannot be linked or an entry cannot hold the jump.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// It cannot be brought into the process.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// No thread of the process could be borrowed.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// No thread sleeps where a function may be called on it.
    #[error("no thread of process {pid} comes to sleep where functions can be called")]
    NoSafeThread {
        /// The process.
        pid: Pid,
        /// Why, thread by thread.
        source: RemoteError,
    },
    /// A hook said no, crashed or overran.
    #[error("the {phase} hook `{hook}` of `{patch}` in process {pid} {failure}")]
    Hook {
        /// The process.
        pid: Pid,
        /// The patch.
        patch: String,
        /// When it ran.
        phase: Phase,
        /// The hook.
        hook: String,
        /// What happened.
        failure: Box<HookFailure>,
    },
    /// Exceptions would not find their way through the new code.
    #[error("the patch's unwind records cannot be made known in process {pid}, or unknown again")]
    Frames {
        /// The process.
        pid: Pid,
        /// Why.
        source: Box<FramesError>,
    },
    /// There is no memory for shadow variables.
    #[error("process {pid} has no room for the patch's shadow variables")]
    Arena {
        /// The process.
        pid: Pid,
        /// Why.
        source: ArenaError,
    },
    /// An entry is not as expected.
    #[error("the entries in process {pid} are not as expected")]
    Entries {
        /// The process.
        pid: Pid,
        /// Why.
        source: ExchangeError,
    },
    /// What was mapped is not what was linked.
    #[error("the patch does not read back from process {pid} as it was written")]
    ReadBack {
        /// The process.
        pid: Pid,
    },
    /// Old code may go on after the switch and run into the jump.
    #[error("`{name}` at {entry} branches back to its first bytes, which the jump overwrites")]
    LoopsToEntry {
        /// The function.
        name: String,
        /// Where it is.
        entry: RunAddr,
    },
    /// Stacks that only the Go runtime knows may hold old code.
    #[error("process {pid} has goroutines (`{module}` is of Go), whose stacks cannot be checked")]
    Goroutines {
        /// The process.
        pid: Pid,
        /// What the Go linker made.
        module: String,
    },
    /// Stacks that no thread runs on hold forbidden code, or nobody knows.
    #[error(transparent)]
    Dormant(#[from] DormantError),
    /// The switch was not made.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A patch of that name is there, with other contents.
    #[error("process {pid} has another patch named `{name}`")]
    NameTaken {
        /// The process.
        pid: Pid,
        /// The name.
        name: String,
    },
    /// It is confined, and we cannot lift that. Nothing was touched.
    #[error("process {pid} (`{name}`) cannot be patched: {confinement}")]
    Confined {
        /// The process.
        pid: Pid,
        /// Its name.
        name: String,
        /// What confines it.
        confinement: Confinement,
    },
    /// There is no such patch.
    #[error("process {pid} has no patch{}", named(name.as_deref()))]
    NoPatch {
        /// The process.
        pid: Pid,
        /// The name asked for.
        name: Option<String>,
    },
    /// Which patch is meant is not clear.
    #[error("process {pid} has several patches: {names}")]
    SeveralPatches {
        /// The process.
        pid: Pid,
        /// Their names.
        names: String,
    },
    /// A file of ours cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Only some entries of a patch lead to it.
    #[error("`{name}` is in force in part in process {pid}")]
    NotWhole {
        /// The process.
        pid: Pid,
        /// The patch.
        name: String,
    },
    /// A later patch of the same function is on top.
    #[error("`{name}` in process {pid} lies under `{by}`")]
    Covered {
        /// The process.
        pid: Pid,
        /// The patch.
        name: String,
        /// The later patch.
        by: String,
    },
    /// Somebody else changed an entry.
    #[error(
        "the entry at {entry} in process {pid} holds neither the jump of `{name}` nor what was there before"
    )]
    Overwritten {
        /// The process.
        pid: Pid,
        /// The patch.
        name: String,
        /// The entry.
        entry: RunAddr,
    },
    /// A record cannot be trusted.
    #[error("process {pid} has a patch that this livepatch cannot read")]
    Record {
        /// The process.
        pid: Pid,
        /// Why.
        source: RecordError,
    },
    /// The target was changed and could not be changed back.
    #[error("{state}")]
    Broken {
        /// What state the process is in.
        state: String,
        /// What failed.
        #[source]
        source: Box<Error>,
    },
}

fn on(patched: &[String]) -> String {
    match patched {
        [] => String::new(),
        names => format!(": `{}` changed the same functions", names.join("`, `")),
    }
}

fn named(name: Option<&str>) -> String {
    name.map(|name| format!(" named `{name}`"))
        .unwrap_or_default()
}

impl Error {
    /// How the command ends.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Commit(error) if error.is_broken() => Status::Broken,
            Self::Broken { .. } => Status::Broken,
            Self::Commit(error) if error.is_busy() => Status::Busy,
            Self::Interrupted(_) | Self::Commit(CommitError::Interrupted(_)) => Status::Interrupted,
            Self::InUse { .. }
            | Self::NoSafeThread { .. }
            | Self::Dormant(DormantError::Held { .. }) => Status::Busy,
            Self::Hook { failure, .. } if failure.is_broken() => Status::Broken,
            Self::NoModule { .. }
            | Self::Mismatch { .. }
            | Self::SeveralModules { .. }
            | Self::Resolve { .. }
            | Self::Quiesce(_)
            | Self::Plan(_)
            | Self::Entries { .. }
            | Self::LoopsToEntry { .. }
            | Self::NameTaken { .. }
            | Self::Confined { .. }
            | Self::Covered { .. }
            | Self::Dormant(_)
            | Self::Goroutines { .. }
            | Self::NotWhole { .. }
            | Self::Overwritten { .. }
            | Self::Record { .. }
            | Self::Hook { .. }
            | Self::Frames { .. }
            | Self::Commit(CommitError::Vetoed(_))
            | Self::Install(InstallError::Forbidden(_)) => Status::Refused,
            _ => Status::Error,
        }
    }

    /// What to do next, when it is known.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::NoModule { .. } => {
                "make the patch for the build that runs (`patchgen --target`)".into()
            }
            Self::Mismatch { source, .. } if source.0.iter().any(ProveError::is_folded) => {
                "link the program without identical code folding (`--icf=none`), or change all functions alike that share the code"
                    .into()
            }
            Self::Mismatch { patched, .. } if patched.is_empty() => {
                "build the old objects from the source and with the options of the running program; where the patch was made on top of another \
                 one, apply that first"
                    .into()
            }
            Self::Mismatch { patched, .. } => format!(
                "a patch on top of `{0}` is made from the new objects of that one; or one that takes its place, by `patchgen --supersedes \
                 {0}`; or revert `{0}` first",
                patched.last().map_or("", String::as_str)
            ),
            Self::NameTaken { name, .. } => {
                format!("revert `{name}` first, or give the new patch another name")
            }
            Self::NoPatch {
                pid,
                name: Some(name),
            } => {
                let file = std::path::Path::new(name);
                let is_file = file.extension().is_some_and(|it| it == "lpatch") || name.contains('/');
                let stem = file.file_stem().filter(|_| is_file);
                match stem {
                    Some(stem) => format!(
                        "a patch is called by its name and not by its file's: `{}`? `livepatch list --pid {pid}` shows the names",
                        stem.to_string_lossy()
                    ),
                    None => format!("`livepatch list --pid {pid}` shows what it has"),
                }
            }
            Self::SeveralPatches { .. } => {
                "say which one: `livepatch revert --pid PID NAME`".into()
            }
            Self::Confined { .. } => {
                "run livepatch as root on the host, outside of any container or sandbox".into()
            }
            Self::Dormant(DormantError::Held { .. }) => {
                "try again with a longer `--timeout`; a word that is left over from a coroutine that has ended is named by \
                 `--ignore-holder ADDRESS` (RISK: if it is not, old code goes on among new code)"
                    .into()
            }
            Self::Goroutines { .. } => {
                "`--consistency function` does without (RISK: old code may go on among new code)"
                    .into()
            }
            Self::LoopsToEntry { .. } => "apply it without `--consistency function`".into(),
            Self::NotWhole { name, .. } => format!("revert `{name}` first"),
            Self::Covered { by, .. } => format!("revert `{by}` first"),
            Self::Install(InstallError::NoPlace) => {
                "the address space around the module is full; nothing can be done in this process"
                    .into()
            }
            Self::Install(InstallError::Forbidden(_)) => {
                "look for SELinux `execmem`, `vm.memfd_noexec` or a seccomp filter of the target"
                    .into()
            }
            Self::Commit(CommitError::Busy { .. }) => {
                "try again with a longer `--timeout`, or see what keeps the threads there; a function that never returns (an event loop, `main`) \
                 takes `--consistency function` (RISK: a thread may return into old code after it has called new code)"
                    .into()
            }
            Self::Commit(error) if error.is_busy() => {
                "try again with a longer `--timeout`, or see what keeps the threads there".into()
            }
            _ => return None,
        })
    }
}
