//! What the tests share: memory made of arrays, and live programs.

pub(super) mod array;
pub(super) mod build;
pub(super) mod process;
pub(super) mod program;
pub(super) mod tables;
pub(super) mod target;
