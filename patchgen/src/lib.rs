//! patchgen
