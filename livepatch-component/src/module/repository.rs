//! The software repository: a directory of modules, `libNAME_VERSION.so`.

use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why there is no such module.
#[derive(Debug, Error)]
pub(crate) enum RepositoryError {
    #[error("there is no `{file}` in `{}`; there are: {there}", directory.display())]
    NotFound {
        file: String,
        directory: PathBuf,
        there: String,
    },
    #[error(
        "the component has no repository; name the module's file, or run it with `--repository DIR`"
    )]
    None,
    #[error("`{0}` is no version")]
    NotAVersion(String),
}

/// The file of a version; what holds a `/` is a path already.
///
/// # Errors
/// When there is none.
pub(crate) fn find(
    repository: Option<&Path>,
    name: &str,
    version: &str,
) -> Result<PathBuf, RepositoryError> {
    if version.contains('/') {
        return Ok(version.into());
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._+~-".contains(c);
    if version.is_empty() || version.starts_with('.') || !version.chars().all(is_plain) {
        return Err(RepositoryError::NotAVersion(version.to_owned()));
    }
    let directory = repository.ok_or(RepositoryError::None)?;
    let file = format!("lib{name}_{version}.so");
    let path = directory.join(&file);
    match path.is_file() {
        true => Ok(path),
        false => Err(RepositoryError::NotFound {
            file,
            directory: directory.to_owned(),
            there: versions(directory, name),
        }),
    }
}

/// The versions that are there, for a message.
fn versions(directory: &Path, name: &str) -> String {
    let prefix = format!("lib{name}_");
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut versions: Vec<String> = files
        .filter_map(|file| {
            let file = file.file_name().into_string().ok()?;
            let version = file.strip_prefix(&prefix)?.strip_suffix(".so")?;
            Some(version.to_owned())
        })
        .take(100)
        .collect();
    versions.sort();
    match versions.is_empty() {
        true => "no versions of it".to_owned(),
        false => versions.join(", "),
    }
}
