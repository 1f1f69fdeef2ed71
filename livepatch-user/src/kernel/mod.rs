//! Patches of the running kernel.
//!
//! A `.kpatch` is a livepatch module. The kernel checks much of it, but not that it was made for this very build, nor that the
//! functions it replaces are the ones that run. That is proved here first ([`check`](mod@check)), from what the running kernel shows of
//! itself ([`running`]); then the module is loaded, and the transition of all tasks to new code followed to its end or taken
//! back ([`transition`]). With `--atomic` the companion module ([`companion`]) makes the switch instead.

pub mod check;
pub mod companion;
pub mod elf;
mod error;
pub mod kcore;
pub mod list;
pub mod load;
mod locate;
mod log;
pub mod persist;
pub mod pieces;
pub mod plain;
pub mod prove;
pub mod report;
pub mod revert;
pub mod running;
pub mod transition;

pub use error::{KernelError, Misfit};
