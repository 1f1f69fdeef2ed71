//! Files that decide whom to believe: keys and configuration. As sshd(8) does with its own (`StrictModes`), they are
//! used only if nobody but root and the user can change them.

use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a file is not believed.
#[derive(Debug, Error)]
pub enum TrustedFileError {
    /// It cannot be read.
    #[error("cannot read `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It belongs to somebody else, or so does a directory above it.
    #[error("`{path}` is not believed: `{culprit}` belongs to user {owner}")]
    Owner {
        /// The file.
        path: PathBuf,
        /// It, or a directory above it.
        culprit: PathBuf,
        /// Whose that is.
        owner: u32,
    },
    /// Others may write to it, or to a directory above it.
    #[error("`{path}` is not believed: others may write to `{culprit}` (mode {mode:04o})")]
    Writable {
        /// The file.
        path: PathBuf,
        /// It, or a directory above it.
        culprit: PathBuf,
        /// The mode of that.
        mode: u32,
    },
    /// It is a directory, a device or the like.
    #[error("`{0}` is not a regular file")]
    NotAFile(PathBuf),
    /// It is too long for what it should be.
    #[error("`{path}` has more than {most} bytes")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The most that are read.
        most: u64,
    },
}

/// Reads a regular file of at most `most` bytes that only root and the user running this can change.
///
/// # Errors
/// When it can be changed by others, is too long, is no regular file or cannot be read.
pub fn read_trusted(path: &Path, most: u64) -> Result<(Vec<u8>, Metadata), TrustedFileError> {
    let failed = |source| TrustedFileError::Io {
        path: path.to_owned(),
        source,
    };
    // Nobody else can exchange it between the check and the opening: every directory above it is checked, too.
    let real = check_trusted(path)?;
    let mut options = OpenOptions::new();
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY;
    let options = options.read(true).custom_flags(flags.bits());
    let file = options.open(&real).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(TrustedFileError::NotAFile(path.to_owned()));
    }
    let mut bytes = Vec::new();
    let mut limited = file.take(most + 1);
    limited.read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        let path = path.to_owned();
        return Err(TrustedFileError::TooLong { path, most });
    }
    Ok((bytes, metadata))
}

/// Checks that only root and the user can change what is at `path`; returns its path without symbolic links.
///
/// # Errors
/// When others can, or it cannot be looked at.
pub fn check_trusted(path: &Path) -> Result<PathBuf, TrustedFileError> {
    let failed = |source| TrustedFileError::Io {
        path: path.to_owned(),
        source,
    };
    let real = fs::canonicalize(path).map_err(failed)?;
    let user = geteuid().as_raw();
    for (depth, place) in real.ancestors().enumerate() {
        let metadata = fs::symlink_metadata(place).map_err(failed)?;
        let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
        let (path, culprit) = (path.to_owned(), place.to_owned());
        if owner != 0 && owner != user {
            return Err(TrustedFileError::Owner {
                path,
                culprit,
                owner,
            });
        }
        // In a sticky directory (`/tmp`) others can add files, but not exchange ours.
        let sticky = depth > 0 && mode & 0o1000 != 0;
        if mode & 0o022 != 0 && !sticky {
            return Err(TrustedFileError::Writable {
                path,
                culprit,
                mode,
            });
        }
    }
    Ok(real)
}
