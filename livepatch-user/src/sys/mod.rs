//! Thin, safe wrappers of system calls; the only `unsafe` of this crate.
