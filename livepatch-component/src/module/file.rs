//! Module files: found, read once, checked, and copied to a place of our own, from where they are loaded.
//!
//! The copy has a path of its own: the C library would give back the old module for the same path, and a file that somebody
//! replaces while it is mapped would change under us.

use super::note::{About, NoteError};
use livepatch_bundle::{KeyId, Policy, SignatureError};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// No module is longer, in bytes.
const FILE_MAX: u64 = 256 << 20;
/// Files are read and written in pieces of so many bytes: many a kernel lets nobody else run before a call is done, and who waits may be
/// the main task.
const PIECE: usize = 64 << 10;

/// Why a module file is not used.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    /// It is not there, or cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The policy does not admit it.
    #[error("`{}` is not trusted", path.display())]
    Untrusted {
        path: PathBuf,
        source: SignatureError,
    },
    /// It is not a module for this component.
    #[error("`{}` cannot be used", path.display())]
    Unfit { path: PathBuf, source: NoteError },
    /// It is another component's.
    #[error("`{}` is a module for `{name}`, not for `{wanted}`", path.display())]
    OtherName {
        path: PathBuf,
        name: String,
        wanted: String,
    },
    /// No copy can be made.
    #[error("cannot make a copy of `{}` in `{}`", path.display(), to.display())]
    Copy {
        path: PathBuf,
        to: PathBuf,
        source: io::Error,
    },
}

/// A module file that was found fit, and our copy of it, which goes with this.
#[derive(Debug)]
pub(crate) struct ModuleFile {
    pub(crate) about: About,
    /// Where it came from.
    pub(crate) origin: PathBuf,
    /// SHA-256 of it, in hexadecimal.
    pub(crate) digest: String,
    /// The trusted key that signed it.
    pub(crate) signer: Option<KeyId>,
    copy: PathBuf,
}

impl ModuleFile {
    /// Reads a module for the component `name`, checks it, and copies it as number `number` into `directory`.
    ///
    /// # Errors
    /// When it may or can not be used; nothing of it has run.
    pub(crate) fn take(
        path: &Path,
        name: &str,
        policy: &Policy,
        directory: &Path,
        number: u64,
    ) -> Result<Self, FileError> {
        let at = path.to_owned();
        let bytes = read(path).map_err(|source| FileError::Read { path: at, source })?;
        let at = path.to_owned();
        let signer = policy.signer(&bytes);
        let signer = signer.map_err(|source| FileError::Untrusted { path: at, source })?;
        let at = path.to_owned();
        let about = About::read(&bytes);
        let about = about.map_err(|source| FileError::Unfit { path: at, source })?;
        if about.name != name {
            return Err(FileError::OtherName {
                path: path.to_owned(),
                name: about.name,
                wanted: name.to_owned(),
            });
        }
        let copy = directory.join(format!("{name}-{number}-{}.so", about.version));
        write(&copy, &bytes).map_err(|source| FileError::Copy {
            path: path.to_owned(),
            to: copy.clone(),
            source,
        })?;
        Ok(Self {
            about,
            origin: path.to_owned(),
            digest: hex::encode(Sha256::digest(&bytes)),
            signer,
            copy,
        })
    }

    /// Our copy.
    pub(crate) fn copy(&self) -> &Path {
        &self.copy
    }
}

impl Drop for ModuleFile {
    fn drop(&mut self) {
        // What is mapped stays mapped; the directory may be gone.
        let _ = fs::remove_file(&self.copy);
    }
}

/// Reads a module.
///
/// # Errors
/// When it is no regular file, or too long.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut options = OpenOptions::new();
    let options = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    let mut file = file.take(FILE_MAX + 1);
    while (&mut file).take(PIECE as u64).read_to_end(&mut bytes)? > 0 {}
    match bytes.len() as u64 > FILE_MAX {
        true => Err(io::Error::other("it is too long for a module")),
        false => Ok(bytes),
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file: File = options
        .write(true)
        .create_new(true)
        .mode(0o700)
        .open(path)?;
    let written = bytes
        .chunks(PIECE)
        .try_for_each(|piece| file.write_all(piece));
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}
