//! What the command lines of `livepatch` and `livepatch component` have in common. They are programs of their own, since a process
//! that hosts modules must not link a debugger.

#![deny(unsafe_code)]

pub mod children;
mod duration;
pub mod manual;
pub mod output;
pub mod status;

pub use duration::duration;
pub use status::Status;
