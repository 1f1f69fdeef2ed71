//! Changing running processes: find the code, prove it, place the patch, switch, and undo.
//!
//! Decisions live in modules that take bytes and return values ([`unwind`], [`link`], [`place`], [`record`]); only
//! [`sys`], [`process`], [`stop`] and [`remote`] touch a process. All `unsafe` is in [`sys`].

pub mod entry;
pub mod exchange;
pub mod guardian;
pub mod image;
pub mod install;
// INSTALLED
pub mod link;
pub mod memory;
pub mod place;
pub mod plan;
pub mod process;
pub mod prove;
pub mod record;
pub mod remote;
pub mod resolve;
pub mod retire;
pub mod status;
pub mod stop;
pub mod sys;
pub mod unwind;
