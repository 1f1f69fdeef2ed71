//! Components: services whose logic is a module that is upgraded while they run.
//!
//! The main task (`livepatch component run`) owns one event loop, one queue, and everything that must outlive a module: sockets,
//! timers, signals and the module's data. Module and main task know each other by `livepatch_module.h`
//! ([`livepatch_module`]). An upgrade holds the old module, gives its data to the new one and goes on; whatever fails on the way, the
//! old module goes on instead, and the events that came meanwhile wait in the queue.
//!
//! [`cli`] is the command line; [`ask`] asks a running component.

mod begun;
pub mod cli;
mod clock;
mod component;
mod control;
mod decision;
mod history;
mod module;
mod queue;
mod services;
mod sockets;
mod streams;
mod supervisor;
mod sys;
mod timers;

pub use control::client::{Client, ClientError, ask, socket_path};
pub use control::protocol::{How, Reply, Request, Shown, ShownQueue, ShownSocket, Upgrade};
pub use history::{Phases, Record, Transfer};
pub use livepatch_cli::Status;
pub use module::mapper::{Symbol, Symbols};
pub use sockets::Traffic;
