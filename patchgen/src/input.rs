//! OLD and NEW: object files, archives of them, or directories, as pairs.

use object::read::archive::ArchiveFile;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why the input could not be read.
#[derive(Debug, Error)]
pub enum InputError {
    /// The file system said no.
    #[error("cannot read `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The archive is malformed.
    #[error("cannot read the archive `{path}`")]
    Archive {
        /// The file.
        path: PathBuf,
        /// Why.
        source: object::read::Error,
    },
    /// A thin archive, whose members are elsewhere.
    #[error("`{0}` is a thin archive: pass the directory of its objects instead")]
    Thin(PathBuf),
    /// One is a directory or archive and the other is not.
    #[error("`{old}` is {old_kind} and `{new}` is {new_kind}: they cannot be compared")]
    Unlike {
        /// OLD.
        old: PathBuf,
        /// What it is.
        old_kind: &'static str,
        /// NEW.
        new: PathBuf,
        /// What it is.
        new_kind: &'static str,
    },
    /// Nothing to compare.
    #[error("`{0}` holds no object files (`*.o`)")]
    Empty(PathBuf),
}

/// The bytes of one object file in both versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairBytes {
    /// The path in both directories or archives, or the old file's name.
    pub name: String,
    /// The old version, if there is one.
    pub old: Option<Vec<u8>>,
    /// The new version, if there is one.
    pub new: Option<Vec<u8>>,
}

impl PairBytes {
    /// How many bytes both versions have.
    #[must_use]
    pub fn size(&self) -> usize {
        let versions = [&self.old, &self.new];
        versions.into_iter().flatten().map(Vec::len).sum()
    }
}

/// Object files by name.
pub type Objects = BTreeMap<String, Vec<u8>>;

/// Reads OLD and NEW.
///
/// # Errors
/// When a file cannot be read, or when they are not of one kind.
pub fn read(old: &Path, new: &Path) -> Result<Vec<PairBytes>, InputError> {
    let (old_kind, mut old_objects) = objects(old)?;
    let (new_kind, mut new_objects) = objects(new)?;
    if old_kind != new_kind {
        let (old, new) = (old.to_owned(), new.to_owned());
        return Err(InputError::Unlike {
            old,
            old_kind,
            new,
            new_kind,
        });
    }
    if old_kind == FILE
        && let (Some(old), Some(new)) = (old_objects.pop_first(), new_objects.pop_first())
    {
        let (name, old) = old;
        return Ok(vec![PairBytes {
            name,
            old: Some(old),
            new: Some(new.1),
        }]);
    }
    if old_objects.is_empty() {
        return Err(InputError::Empty(old.to_owned()));
    }
    Ok(paired(old_objects, new_objects))
}

fn paired(old: Objects, new: Objects) -> Vec<PairBytes> {
    let mut pairs: BTreeMap<String, PairBytes> = BTreeMap::new();
    for (name, bytes) in old {
        pairs.entry(name).or_default().old = Some(bytes);
    }
    for (name, bytes) in new {
        pairs.entry(name).or_default().new = Some(bytes);
    }
    pairs
        .into_iter()
        .map(|(name, pair)| PairBytes { name, ..pair })
        .collect()
}

const DIRECTORY: &str = "a directory";
const ARCHIVE: &str = "an archive";
const FILE: &str = "a file";

fn objects(path: &Path) -> Result<(&'static str, Objects), InputError> {
    let io = |source| InputError::Io {
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(io)?.is_dir() {
        let mut found = Objects::new();
        directory(path, "", &mut found)?;
        return Ok((DIRECTORY, found));
    }
    let bytes = fs::read(path).map_err(io)?;
    if bytes.starts_with(b"!<arch>\n") || bytes.starts_with(b"!<thin>\n") {
        return Ok((ARCHIVE, members(path, &bytes)?));
    }
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned();
    Ok((FILE, Objects::from([(name, bytes)])))
}

/// Collects `*.o` below a directory, by path. Links to directories are not followed.
fn directory(path: &Path, prefix: &str, found: &mut Objects) -> Result<(), InputError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| InputError::Io { path, source }
    };
    for entry in fs::read_dir(path).map_err(io(path))? {
        let entry = entry.map_err(io(path))?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let file = entry.path();
        if entry.file_type().map_err(io(&file))?.is_dir() {
            directory(&file, &format!("{name}/"), found)?;
        } else if file.extension().is_some_and(|extension| extension == "o") {
            found.insert(name, fs::read(&file).map_err(io(&file))?);
        }
    }
    Ok(())
}

/// The members of an archive; of several with one name the second is `name#2`.
///
/// # Errors
/// When the archive is malformed, or thin.
pub fn members(path: &Path, bytes: &[u8]) -> Result<Objects, InputError> {
    let wrong = |source| InputError::Archive {
        path: path.to_owned(),
        source,
    };
    let archive = ArchiveFile::parse(bytes).map_err(wrong)?;
    if archive.is_thin() {
        return Err(InputError::Thin(path.to_owned()));
    }
    let mut found = Objects::new();
    for member in archive.members() {
        let member = member.map_err(wrong)?;
        let base = String::from_utf8_lossy(member.name()).into_owned();
        let mut name = base.clone();
        let mut count = 2;
        while found.contains_key(&name) {
            name = format!("{base}#{count}");
            count += 1;
        }
        found.insert(name, member.data(bytes).map_err(wrong)?.to_vec());
    }
    Ok(found)
}

/// The files that a thin archive stands for.
///
/// # Errors
/// When the archive is malformed.
pub fn thin_members(path: &Path, bytes: &[u8]) -> Result<Vec<PathBuf>, InputError> {
    let wrong = |source| InputError::Archive {
        path: path.to_owned(),
        source,
    };
    let directory = path.parent().unwrap_or(Path::new(""));
    let archive = ArchiveFile::parse(bytes).map_err(wrong)?;
    archive
        .members()
        .map(|member| {
            let name = member.map_err(wrong)?.name();
            Ok(directory.join(String::from_utf8_lossy(name).as_ref()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_one_side_are_paired_with_nothing() {
        let side = |names: &[&str]| -> Objects {
            names
                .iter()
                .map(|name| ((*name).to_owned(), vec![1]))
                .collect()
        };
        let pairs = paired(side(&["a.o", "b.o"]), side(&["b.o", "c.o"]));
        let shape: Vec<_> = pairs
            .iter()
            .map(|pair| (pair.name.as_str(), pair.old.is_some(), pair.new.is_some()))
            .collect();
        assert_eq!(
            shape,
            [
                ("a.o", true, false),
                ("b.o", true, true),
                ("c.o", false, true)
            ]
        );
    }
}
