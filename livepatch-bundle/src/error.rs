//! Why a bundle was refused.

use crate::problem::printable;
use crate::{Problem, SCHEMA, format};
use std::fmt;
use std::path::PathBuf;
use thiserror::Error;

/// Why a file is no bundle that can be trusted, or could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The magic number is missing.
    #[error("not an ELF file")]
    NotElf,
    /// An ELF file of another class, byte order, machine or type.
    #[error("an ELF file with {field} {found}, but a live patch for x86-64 has {wanted}")]
    WrongTarget {
        /// The header's field, as `e_machine`.
        field: &'static str,
        /// What it has.
        found: u64,
        /// What it must have.
        wanted: u64,
    },
    /// The file ends before what its headers promise.
    #[error("truncated: {what} reaches to byte {needed:#x}, the file has {len:#x}")]
    Truncated {
        /// What is cut off.
        what: String,
        /// Where it should end.
        needed: u64,
        /// The file's length.
        len: u64,
    },
    /// A sound relocatable file without a manifest.
    #[error(
        "an ELF file, but not a live patch: it has no section `{}`",
        format::MANIFEST
    )]
    NotABundle,
    /// A patch for the kernel, where one for processes is wanted.
    #[error("a patch for the kernel, not for a process (`livepatch kernel load`)")]
    ForKernel,
    /// A patch for processes, where one for the kernel is wanted.
    #[error("a patch for a process, not for the kernel (`livepatch apply`)")]
    NotForKernel,
    /// Written by another version of the tools.
    #[error("the manifest has schema version {found}, this tool reads version {SCHEMA}")]
    UnsupportedSchema {
        /// The version in the file.
        found: u64,
    },
    /// The manifest is not the JSON that the schema asks for.
    #[error("malformed manifest")]
    Manifest {
        /// Where and why.
        source: JsonError,
    },
    /// The ELF structures are not those of a bundle.
    #[error("malformed bundle: {0}")]
    Malformed(String),
    /// Well-formed, but rules of the model are broken: all of them.
    #[error("{}", list(.0))]
    Inconsistent(Vec<Problem>),
    /// The file would be, or is, too large.
    #[error(
        "{size:#x} bytes, more than the {:#x} that a bundle may have",
        format::MAX_SIZE
    )]
    TooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// The ELF writer gave up.
    #[error("cannot encode the bundle")]
    Encode {
        /// Why.
        source: object::write::Error,
    },
    /// The file could not be read or written.
    #[error("cannot access `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `path` is a device, a directory or the like.
    #[error("`{path}` exists and is not a regular file")]
    NotAFile {
        /// The path as given.
        path: PathBuf,
    },
    /// What was written reads back as something else.
    #[error("what was written for `{path}` does not read back the same")]
    ReadBack {
        /// The file, which was left as it was.
        path: PathBuf,
        /// Why it could not be decoded; `None` when it decodes to another bundle.
        source: Option<Box<BundleError>>,
    },
}

/// What the JSON reader says about a manifest. It quotes the file, so it is escaped and shortened when shown.
#[derive(Debug)]
pub struct JsonError(serde_json::Error);

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0.to_string()))
    }
}

impl std::error::Error for JsonError {}

impl BundleError {
    pub(crate) fn malformed(text: impl Into<String>) -> Self {
        Self::Malformed(text.into())
    }
}

fn list(problems: &[Problem]) -> String {
    use fmt::Write;
    if let [problem] = problems {
        return format!("inconsistent bundle: {problem}");
    }
    let mut text = format!("inconsistent bundle, {} problems:", problems.len());
    for problem in problems {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {problem}");
    }
    text
}
