//! Changing running processes: find the code, prove it, place the patch, switch, and undo.
//!
//! Decisions live in modules that take bytes and return values ([`unwind`], [`link`], [`place`], [`record`]); only
//! [`sys`], [`process`], [`stop`] and [`remote`] touch a process. All `unsafe` is in [`sys`].

pub mod apply;
pub mod arena;
pub mod calls;
pub mod cli;
pub mod commit;
pub mod crew;
pub mod dormant;
pub mod entry;
pub mod error;
pub mod exchange;
pub mod fit;
pub mod frames;
pub mod guardian;
pub mod hands;
pub mod hooks;
pub mod image;
pub mod install;
pub mod installed;
pub mod interrupt;
pub mod kernel;
pub mod leftovers;
pub mod link;
pub mod list;
pub mod lock;
pub mod memory;
pub mod place;
pub mod placed;
pub mod plan;
pub mod printable;
pub mod process;
pub mod program;
pub mod prove;
pub mod record;
pub mod release;
pub mod remote;
pub mod repair;
pub mod report;
pub mod resolve;
pub mod rests;
pub mod retire;
pub(crate) mod reversal;
pub mod revert;
pub mod select;
pub mod session;
pub mod stack;
pub mod stop;
pub mod supersede;
pub mod symbols;
pub mod sys;
#[cfg(test)]
mod testing;
pub mod trust;
pub mod unwind;
pub mod watch;
pub mod watchdog;
mod whole_file;

pub use livepatch_cli::status;
