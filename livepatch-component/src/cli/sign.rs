//! `sign`: a signature at the end of a module.

use super::options::Sign;
use super::output::fail_as;
use livepatch_bundle::{KeyError, PrivateKey, sign_bytes};
use livepatch_cli::Status;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tempfile::NamedTempFile;
use thiserror::Error;

/// Why a module was not signed.
#[derive(Debug, Error)]
enum SignError {
    #[error("cannot use the key")]
    Key(#[from] KeyError),
    #[error("cannot read `{}`", .0.display())]
    Read(PathBuf, #[source] io::Error),
    #[error("cannot write `{}`", .0.display())]
    Write(PathBuf, #[source] io::Error),
}

/// `livepatch component sign`.
pub(super) fn sign(options: &Sign) -> ExitCode {
    match sign_module(&options.key, &options.module) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail_as(false, Status::Error, &error),
    }
}

fn sign_module(key: &Path, module: &Path) -> Result<(), SignError> {
    let key = PrivateKey::read(key)?;
    let bytes = fs::read(module).map_err(|error| SignError::Read(module.to_owned(), error))?;
    let signed = sign_bytes(bytes, &key);
    replace(module, &signed).map_err(|error| SignError::Write(module.to_owned(), error))
}

/// Replaces a file as a whole: whoever has the old one mapped keeps it.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let mut file = NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    fs::set_permissions(file.path(), fs::metadata(path)?.permissions())?;
    file.persist(path)?;
    Ok(())
}
