//! End-to-end tests of `patchgen` and `livepatch`: what the test binaries under `tests/` share.
//!
//! A case (`tests/cases/NAME`) is C code with its expectations in comments ([`directives`]). It is
//! compiled into a running, many-threaded process ([`program`], [`target`]) and patched with the
//! built tools ([`tools`]); [`snapshot`] tells whether the process is byte for byte as it was.
//! [`servers`] does the same to programs that nobody here wrote. Nothing here links the tools'
//! libraries: the tests see what a user sees.

#![forbid(unsafe_code)]

pub mod case;
mod compile;
pub mod directives;
pub mod form;
pub mod killer;
pub mod matrix;
pub mod program;
pub mod qemu;
pub mod random;
pub mod servers;
pub mod snapshot;
pub mod synth;
pub mod target;
pub mod tools;
pub mod watch;

/// An error and what caused it, a line each.
#[must_use]
pub fn explain(error: &anyhow::Error) -> String {
    let causes: Vec<_> = error.chain().map(ToString::to_string).collect();
    causes.join("\n  caused by: ")
}
