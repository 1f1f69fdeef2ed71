//! `sign`: a signature at the end of a module.

use super::options::Sign;
use super::output::{fail_as, say};
use crate::module::file;
use crate::module::note::{About, NoteError};
use livepatch_bundle::{KeyError, PrivateKey, sign_bytes};
use livepatch_cli::Status;
use serde::Serialize;
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
    #[error("`{}` is no module that can be used", .0.display())]
    Unfit(PathBuf, #[source] NoteError),
    #[error("cannot write `{}`", .0.display())]
    Write(PathBuf, #[source] io::Error),
}

/// What was signed.
#[derive(Debug, Serialize)]
struct Signed {
    result: Status,
    status: u8,
    file: PathBuf,
    name: String,
    version: String,
    key: String,
}

/// `livepatch component sign`.
pub(super) fn sign(options: &Sign) -> ExitCode {
    let signed = match sign_module(&options.key, &options.module) {
        Ok(signed) => signed,
        Err(error) => return fail_as(options.json, Status::Error, &error),
    };
    say(&match options.json {
        true => serde_json::to_string(&signed).expect("what was signed is plain data"),
        false => {
            let (file, name) = (signed.file.display(), &signed.name);
            let (version, key) = (&signed.version, &signed.key);
            format!("`{file}` ({name} {version}) is signed with key {key}")
        }
    });
    ExitCode::SUCCESS
}

/// Signs what could be loaded, and nothing else: the signature is written into the file.
fn sign_module(key: &Path, module: &Path) -> Result<Signed, SignError> {
    let key = PrivateKey::read(key)?;
    let at = || module.to_owned();
    let bytes = file::read(module).map_err(|error| SignError::Read(at(), error))?;
    let about = About::read(&bytes).map_err(|error| SignError::Unfit(at(), error))?;
    let signed = sign_bytes(bytes, &key);
    replace(module, &signed).map_err(|error| SignError::Write(at(), error))?;
    Ok(Signed {
        result: Status::Done,
        status: Status::Done.code(),
        file: at(),
        name: about.name,
        version: about.version,
        key: key.public().id().to_string(),
    })
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
