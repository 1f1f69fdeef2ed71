//! Putting a bundle on disk: whole and checked, or not at all.

use crate::{Bundle, BundleError, PrivateKey, format, read, read_kernel, sign, write};
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Writes a bundle to a temporary file beside `path`, decodes it again, compares, and renames it into place.
///
/// Whoever reads `path` meanwhile sees the old file or the new one. It is not flushed to disk: like what a compiler writes it can
/// be made again, and what a crash of the machine leaves of it is no bundle. A symbolic link at `path` stays and its
/// target is replaced.
///
/// # Errors
/// When encoding, comparing or the file system fails, or `path` is no regular file; `path` is then as it was and
/// no temporary file is left.
pub fn write_file(bundle: &Bundle, path: &Path) -> Result<(), BundleError> {
    put(bundle, &write(bundle)?, path)
}

/// Writes a bundle as [`write_file`] does, signed.
///
/// # Errors
/// As [`write_file`].
pub fn write_signed_file(
    bundle: &Bundle,
    key: &PrivateKey,
    path: &Path,
) -> Result<(), BundleError> {
    put(bundle, &sign(bundle, key)?, path)
}

/// Writes a patch for the kernel as [`write_file`] does; `bytes` are the module's, with its manifest.
///
/// # Errors
/// When the bytes have no manifest that can be read, or as [`write_file`].
pub fn write_kernel_file(bytes: &[u8], path: &Path) -> Result<(), BundleError> {
    let failed = |source| BundleError::Io {
        path: path.to_owned(),
        source,
    };
    read_kernel(bytes)?;
    let target = target(path)?;
    let mut temporary = beside(&target).map_err(failed)?;
    let written = store(&mut temporary, bytes).map_err(failed)?;
    if written != bytes {
        return Err(BundleError::ReadBack {
            path: path.to_owned(),
            source: None,
        });
    }
    temporary
        .persist(&target)
        .map_err(|error| failed(error.error))?;
    Ok(())
}

/// Finds out whether [`write_file`] could write here, before work is done for it. Nothing is left.
///
/// # Errors
/// Why not.
pub fn check_writable(path: &Path) -> Result<(), BundleError> {
    beside(&target(path)?).map_err(|source| BundleError::Io {
        path: path.to_owned(),
        source,
    })?;
    Ok(())
}

/// Reads a bundle's bytes; no more than a bundle may have, and only from a regular file, so that no pipe is waited for.
///
/// # Errors
/// When it cannot be read, is too large or no regular file.
pub fn read_file(path: &Path) -> Result<Vec<u8>, BundleError> {
    let failed = |source| BundleError::Io {
        path: path.to_owned(),
        source,
    };
    let mut options = OpenOptions::new();
    let flags = nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_NOCTTY;
    let options = options.read(true).custom_flags(flags.bits());
    let file = options.open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(BundleError::NotAFile {
            path: path.to_owned(),
        });
    }
    let size = usize::try_from(metadata.len().min(format::MAX_SIZE)).unwrap_or_default();
    let mut bytes = Vec::with_capacity(size + 1);
    let mut limited = file.take(format::MAX_SIZE + 1);
    limited.read_to_end(&mut bytes).map_err(failed)?;
    let size = bytes.len() as u64;
    if size > format::MAX_SIZE {
        return Err(BundleError::TooLarge { size });
    }
    Ok(bytes)
}

fn put(bundle: &Bundle, bytes: &[u8], path: &Path) -> Result<(), BundleError> {
    let failed = |source| BundleError::Io {
        path: path.to_owned(),
        source,
    };
    let target = target(path)?;
    let mut temporary = beside(&target).map_err(failed)?;
    let written = store(&mut temporary, bytes).map_err(failed)?;
    compare(bundle, bytes, &written, path)?;
    temporary
        .persist(&target)
        .map_err(|error| failed(error.error))?;
    Ok(())
}

/// The file to replace, symbolic links followed.
fn target(path: &Path) -> Result<PathBuf, BundleError> {
    let failed = |source| BundleError::Io {
        path: path.to_owned(),
        source,
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => fs::canonicalize(path).map_err(failed),
        Ok(_) => Err(BundleError::NotAFile {
            path: path.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        Err(error) => Err(failed(error)),
    }
}

/// A new file in the directory of `path`, with the permissions that `open` would give; removed when dropped.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    tempfile::Builder::new()
        .prefix(".livepatch-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)
}

/// Writes and reads back.
fn store(file: &mut NamedTempFile, bytes: &[u8]) -> io::Result<Vec<u8>> {
    file.write_all(bytes)?;
    file.rewind()?;
    let mut written = Vec::with_capacity(bytes.len());
    file.read_to_end(&mut written)?;
    Ok(written)
}

fn compare(bundle: &Bundle, bytes: &[u8], written: &[u8], path: &Path) -> Result<(), BundleError> {
    let failed = |source| BundleError::ReadBack {
        path: path.to_owned(),
        source,
    };
    let decoded = read(written).map_err(|source| failed(Some(Box::new(source))))?;
    if written != bytes || decoded != *bundle {
        return Err(failed(None));
    }
    Ok(())
}
