//! Modules that `livepatch component` runs, and upgrades while they run.
//!
//! A module is a shared library with all the logic of a component; the component's main task owns its sockets, timers, signals,
//! queue and data. `include/livepatch_module.h` is the interface in C ([`abi`] in Rust); [`Module`] and [`export!`] are a safe
//! one over it. A panic never crosses it.
//!
//! Module data is a value of a type that has a [`Schema`], which [`state!`] gives it. Its memory is the component's
//! ([`HostAllocator`]), so that it outlasts the module.

pub mod abi;
mod alloc;
mod event;
mod export;
mod failure;
#[doc(hidden)]
pub mod glue;
mod hook;
mod host;
mod module;
mod schema;

pub use alloc::HostAllocator;
pub use event::{Event, Happened};
pub use failure::{Failure, HostError};
pub use host::{Host, Instant, Level, Policy, SocketId, Udp};
pub use module::{Held, Module, Why};
pub use schema::{Fingerprint, Schema};

/// What [`export!`] expands to; of no use elsewhere.
#[doc(hidden)]
pub mod __private {
    pub use crate::abi;
    pub use crate::glue;
    pub use crate::module::{Callback, Migrations, OldState};
}
