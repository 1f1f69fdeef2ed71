//! Changing running processes: find the code, prove it, place the patch, switch, and undo.
//!
//! Decisions live in modules that take bytes and return values ([`unwind`], `resolve`, `link`, `record`); only
//! [`sys`], [`process`], [`stop`] and [`remote`] touch a process. All `unsafe` is in [`sys`].

pub mod image;
pub mod memory;
pub mod process;
pub mod remote;
pub mod retire;
pub mod stop;
pub mod sys;
pub mod unwind;
