//! What can go wrong with a build, and the exit status that says so.

use crate::generate::GenerateError;
use crate::input::InputError;
use crate::target::ImageError;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use thiserror::Error;

/// Why no patch came out of two builds.
#[derive(Debug, Error)]
pub enum BuildError {
    /// A file or directory cannot be used.
    #[error("cannot {doing} `{path}`")]
    Io {
        /// What was to be done with it.
        doing: &'static str,
        /// Which it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A system call failed.
    #[error("cannot {doing}")]
    System {
        /// What was to be done.
        doing: &'static str,
        /// Why.
        source: nix::Error,
    },
    /// A program that we need did not do its work.
    #[error("`{program}` failed: {said}")]
    Tool {
        /// Its name.
        program: String,
        /// What it said.
        said: String,
    },
    /// Our own notes about a build cannot be read.
    #[error("cannot read the record of a build")]
    Record(#[from] serde_json::Error),
    /// The scratch directory is inside the source tree.
    #[error("`{0}` is inside the source tree: give another `--work`")]
    Scratch(PathBuf),
    /// The patch does not fit the source.
    #[error("the patch `{patch}` does not apply to the source:\n{said}")]
    Patch {
        /// The patch file.
        patch: PathBuf,
        /// What `patch` said.
        said: String,
    },
    /// The build command failed.
    #[error("the build of the {version} source failed with {status}; its output is above")]
    Build {
        /// Old or new.
        version: &'static str,
        /// How the command ended.
        status: String,
    },
    /// The build linked nothing at all.
    #[error(
        "the build of the {0} source linked nothing: is the tree built already? Give a command that builds \
         everything, as `sh -c 'make clean && make'`"
    )]
    Nothing(&'static str),
    /// The build does not make the target.
    #[error("no program or library that the build links is `{target}`; it links: {}", listed(.linked))]
    NoTarget {
        /// What was looked for.
        target: PathBuf,
        /// What there is.
        linked: Vec<PathBuf>,
    },
    /// Several things changed, or are called like the target.
    #[error("the patch changes several programs or libraries: choose one of these with `--link`, or give `--target`: {}", listed(.0))]
    Several(Vec<PathBuf>),
    /// An archive cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The target is no ELF image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The objects cannot be compared.
    #[error(transparent)]
    Generate(#[from] GenerateError),
}

fn listed(paths: &[PathBuf]) -> String {
    let names = paths.iter().map(|path| format!("`{}`", path.display()));
    names.collect::<Vec<_>>().join(", ")
}

impl BuildError {
    /// The exit status of `patchgen build`: 5 the patch does not apply, 6 the build fails, 7 the build does not make the
    /// target, 1 anything else.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Self::Patch { .. } => 5,
            Self::Build { .. } => 6,
            Self::Nothing(_) | Self::NoTarget { .. } | Self::Several(_) => 7,
            _ => 1,
        }
    }

    /// For `map_err`: what was to be done with which file.
    pub(super) fn io(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }

    /// For `map_err`: what was to be done.
    pub(super) fn system(doing: &'static str) -> impl FnOnce(nix::Error) -> Self {
        move |source| Self::System { doing, source }
    }

    pub(super) fn build(version: &'static str, status: ExitStatus) -> Self {
        Self::Build {
            version,
            status: status.to_string(),
        }
    }
}
