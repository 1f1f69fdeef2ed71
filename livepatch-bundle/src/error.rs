//! Why a bundle was refused.

use thiserror::Error;

/// Why a file is no bundle that can be trusted, or could not be written.
#[derive(Debug, Error)]
pub enum BundleError {
    /// Not a bundle, truncated, or inconsistent.
    #[error("malformed bundle: {0}")]
    Malformed(String),
    /// The file could not be read or written.
    #[error("cannot access `{path}`")]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
