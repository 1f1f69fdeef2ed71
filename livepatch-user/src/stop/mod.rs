//! Stopping all threads of a process and letting them go as if nothing had been.
//!
//! [`Roster::take`] lists the threads while they run and notes which are asleep; [`stop`] stops them, the sleeping
//! ones first, and hands them to the caller's check batch by batch; [`Stopped`] holds them and lets them go, the
//! running ones first. So what a running thread sees of the stop holds only what concerns the running ones.
//!
//! A tracee belongs to the thread that seized it. A thread that cannot be stopped in time cannot be released
//! either; the kernel does it when the tracing thread ends, see [`on_tracer_thread`].

mod error;
mod hold;
mod lone;
mod members;
mod patience;
pub mod restart;
mod roster;
mod timed;
mod timings;
mod tracee;
mod undertaker;
mod unread;

pub use error::{ReleaseError, StopError};
pub use hold::{Stopped, stop};
pub use roster::Roster;
pub use timings::Timings;
pub use tracee::{Cause, StoppedThread};

pub(crate) use lone::Lone;
pub(crate) use tracee::{Arrival, await_stop, is_64_bit};

/// Runs `work` on a thread of its own. When it ends, the kernel releases whatever it still traced: the last
/// resort for threads that could not be stopped, and therefore not be released, in time.
///
/// # Panics
/// When `work` panics.
pub fn on_tracer_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
