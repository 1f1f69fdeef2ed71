//! Why a command on the kernel failed, with the exit status and what to do next.

use super::transition::Blocker;
use crate::plan::Problems;
use crate::status::Status;
use livepatch_bundle::BundleError;
use livepatch_kernel::kallsyms::KallsymsError;
use nix::errno::Errno;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// Why a command on the kernel failed.
#[derive(Debug, Error)]
pub enum KernelError {
    /// The file is no patch for the kernel.
    #[error("cannot use the patch `{}`", path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
        /// Why.
        source: BundleError,
    },
    /// Modules are loaded by root.
    #[error("patching the kernel needs root (CAP_SYS_MODULE)")]
    NotRoot,
    /// Something that the kernel shows of itself cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel's symbols cannot be read.
    #[error("cannot tell where the kernel's functions are")]
    Symbols(#[from] KallsymsError),
    /// The patch does not fit, for these reasons.
    #[error("patch `{patch}` does not fit the running kernel: {reasons}")]
    Misfit {
        /// Its name.
        patch: String,
        /// All of them.
        reasons: Problems<Misfit>,
    },
    /// The kernel does not take the module.
    #[error("the kernel does not take module `{module}`: {}{}", errno.desc(), said(.log))]
    Insert {
        /// The module.
        module: String,
        /// What the system call says.
        errno: Errno,
        /// What the kernel's log says of it.
        log: Vec<String>,
    },
    /// Tasks would not leave old code (or new code, in a revert) in time; it was taken back.
    #[error("{} did not go over to the other code within {} s; nothing changed{}", tasks(.blockers), timeout.as_secs(), stacks(.blockers))]
    Busy {
        /// The tasks.
        blockers: Vec<Blocker>,
        /// How long was waited.
        timeout: Duration,
    },
    /// The companion says that a task was in the way until the deadline.
    #[error("the machine could not be switched: {0}")]
    InTheWay(String),
    /// The companion refuses.
    #[error("the companion module refuses: {0}")]
    Companion(String),
    /// The companion is not loaded.
    #[error("the companion module is not there: {0}")]
    NoCompanion(String),
    /// Another patch is in transition.
    #[error("another patch, `{0}`, is in transition")]
    OtherTransition(String),
    /// No such patch.
    #[error("no patch `{0}` of the kernel is in force")]
    NoPatch(String),
    /// The switch could be neither made nor taken back.
    #[error("patch `{patch}` is half in force: {what}")]
    HalfWay {
        /// The patch.
        patch: String,
        /// What state the kernel is in.
        what: String,
    },
    /// A patch that was forced cannot be unloaded.
    #[error("patch `{patch}` is out of force, but its module stays: {}", errno.desc())]
    Stays {
        /// The patch.
        patch: String,
        /// Why.
        errno: Errno,
    },
    /// systemd says no.
    #[error("`{command}` failed: {said}")]
    Service {
        /// What was run.
        command: String,
        /// What it said.
        said: String,
    },
}

/// One reason why a patch does not fit the running kernel.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Misfit {
    /// It was made without a kernel to go by.
    #[error("it was made without a kernel to check against (`patchgen --kernel-object`)")]
    NoRelease,
    /// It is for another release.
    #[error("it is for release `{wanted}`, and `{found}` runs")]
    Release {
        /// The patch's.
        wanted: String,
        /// The running one.
        found: String,
    },
    /// It is for another build.
    #[error("it is for {object} with build ID {wanted}, and {found} runs")]
    BuildId {
        /// The kernel or a module.
        object: String,
        /// The patch's.
        wanted: String,
        /// The running one.
        found: String,
    },
    /// The kernel cannot do it.
    #[error("this kernel has no livepatch support (CONFIG_LIVEPATCH)")]
    NoLivepatch,
    /// A module of its name is loaded.
    #[error("module `{0}` is loaded already")]
    Loaded(String),
    /// It has to be signed.
    #[error("it is not signed, and the kernel takes signed modules only ({0})")]
    Unsigned(String),
    /// The function is not there.
    #[error("{object} has no function `{name}`")]
    NoFunction {
        /// The kernel or a module.
        object: String,
        /// The function.
        name: String,
    },
    /// Several functions have the name, and the patch expects one.
    #[error("{object} has {count} functions `{name}`, and the patch expects one")]
    Ambiguous {
        /// The kernel or a module.
        object: String,
        /// The function.
        name: String,
        /// How many.
        count: usize,
    },
    /// The running code is not the old code.
    #[error(
        "`{name}` of {object} is not the code that the patch was made from: at +{offset:#x} runs {found}, expected {wanted}"
    )]
    Code {
        /// The kernel or a module.
        object: String,
        /// The function.
        name: String,
        /// The first offset that differs.
        offset: usize,
        /// Bytes that run, as hex.
        found: String,
        /// Bytes expected, as hex.
        wanted: String,
    },
    /// The running code cannot be read.
    #[error("the running code of `{name}` cannot be read: {why}")]
    Unreadable {
        /// The function.
        name: String,
        /// Why.
        why: String,
    },
    /// The patch has no such new code.
    #[error("the patch has no function `{0}`, which its manifest names")]
    NoNewCode(String),
    /// It cannot be switched at once.
    #[error("`--atomic` {0}")]
    Atomic(String),
}

impl KernelError {
    /// How the command ends.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Misfit { .. } | Self::Companion(_) => Status::Refused,
            Self::Insert { errno, .. } => match errno {
                Errno::EKEYREJECTED | Errno::ENOKEY | Errno::EBADMSG | Errno::EPERM => {
                    Status::Refused
                }
                Errno::EBUSY => Status::Busy,
                _ => Status::Error,
            },
            Self::Busy { .. } | Self::OtherTransition(_) | Self::InTheWay(_) => Status::Busy,
            Self::HalfWay { .. } | Self::Stays { .. } => Status::Broken,
            Self::Bundle { .. }
            | Self::NotRoot
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::Symbols(_)
            | Self::NoCompanion(_)
            | Self::NoPatch(_)
            | Self::Service { .. } => Status::Error,
        }
    }

    /// What to do next, when it is known.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Busy { .. } => Some(
                "try again, wait for as long as it takes with `--wait`, or end the tasks; `--force` switches them where they stand".into(),
            ),
            Self::Insert {
                errno: Errno::ENOKEY | Errno::EKEYREJECTED,
                ..
            } => Some(
                "sign it with a key that the kernel trusts, or have the kernel trust the key (`mokutil --import`)".into(),
            ),
            Self::NoCompanion(_) => Some(
                "build livepatch-kmod for this kernel (`dkms install livepatch-kmod/0.1.0`) and load it with `modprobe livepatch_kmod`".into(),
            ),
            Self::Misfit { reasons, .. } => reasons.0.iter().find_map(|reason| match reason {
                Misfit::Unsigned(_) => Some("sign it with a key that the kernel trusts: `/usr/src/linux-headers-$(uname -r)/scripts/sign-file`".into()),
                Misfit::NoLivepatch => Some("the companion module can do without: `--atomic`".into()),
                Misfit::Release { .. } | Misfit::BuildId { .. } | Misfit::NoRelease => {
                    Some("make it for this kernel: `patchgen --kernel $(uname -r) old.o new.o -o fix.kpatch`".into())
                }
                _ => None,
            }),
            _ => None,
        }
    }
}

fn said(log: &[String]) -> String {
    if log.is_empty() {
        return String::new();
    }
    format!(" (its log: {})", log.join("; "))
}

fn tasks(blockers: &[Blocker]) -> String {
    match blockers {
        [] => "a task".into(),
        [one] => format!("{one}"),
        several => {
            let names: Vec<_> = several.iter().take(5).map(ToString::to_string).collect();
            let more = several.len().saturating_sub(names.len());
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            format!("{}{more}", names.join(", "))
        }
    }
}

fn stacks(blockers: &[Blocker]) -> String {
    let shown = blockers.iter().take(5).filter(|one| !one.stack.is_empty());
    shown
        .map(|one| {
            format!(
                "\n  kernel stack of {one}:\n    {}",
                one.stack.join("\n    ")
            )
        })
        .collect()
}
