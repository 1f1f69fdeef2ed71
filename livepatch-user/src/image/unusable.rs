//! Why a symbol table or a file is not used.

use livepatch_bundle::BuildId;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why a file, or a table in it, says nothing about the running image.
#[derive(Debug, Error)]
pub enum Unusable {
    /// The image has no file that could be asked.
    #[error("no file is known for it")]
    NoFile,
    /// The file could not be opened.
    #[error("cannot open `{path}`")]
    Open {
        /// The file, as seen by us.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file could not be read where it matters.
    #[error("`{path}` is no readable x86-64 ELF file")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The file is another build than what runs.
    #[error("`{path}` has build ID {}, the running image {}", show(.file), show(.memory))]
    BuildId {
        /// The file.
        path: PathBuf,
        /// Its build ID.
        file: Option<BuildId>,
        /// The running image's.
        memory: Option<BuildId>,
    },
    /// Neither has a build ID, and the code differs.
    #[error("`{path}` has other code than the running image, and neither has a build ID")]
    Text {
        /// The file.
        path: PathBuf,
    },
    /// The file's segments have other addresses.
    #[error("`{path}` is linked for other addresses than the running image")]
    Layout {
        /// The file.
        path: PathBuf,
    },
    /// The file has no such table: it is stripped.
    #[error("`{path}` has no {table}")]
    Absent {
        /// The file.
        path: PathBuf,
        /// The section.
        table: &'static str,
    },
    /// No separate debug file was found.
    #[error("no separate debug file was found")]
    NoDebugFile,
    /// MiniDebugInfo could not be unpacked.
    #[error("cannot unpack `.gnu_debugdata` of `{path}`")]
    Unpack {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The bytes asked for do not come from the file.
    #[error("that range does not come from the file")]
    NotInFile,
}

fn show(build_id: &Option<BuildId>) -> String {
    build_id
        .as_ref()
        .map_or_else(|| "none".to_owned(), BuildId::to_string)
}
