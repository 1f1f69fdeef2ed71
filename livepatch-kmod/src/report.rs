// SPDX-License-Identifier: GPL-2.0
//! What is told to whoever wrote a command: one line of words, and after `:` a sentence for people.
//!
//! ```text
//! done functions=2 stops=1 tasks=63
//! busy pid=412 comm=dd: `dd` is inside code that changes
//! error taken: another user of ftrace redirects `f`
//! ```
#![forbid(unsafe_code)]

use crate::policy::{Done, Error};
use crate::walk::{Blocker, Cause};
use core::fmt;

/// The result of a command, as text.
#[derive(Clone, Copy, Debug)]
pub struct Report(pub Result<Done, Error>);

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(Done {
                functions,
                stops,
                tasks,
            }) => {
                writeln!(f, "done functions={functions} stops={stops} tasks={tasks}")
            }
            Err(Error::Busy(blocker)) => blocked(f, "busy", blocker),
            Err(Error::Draining(blocker)) => blocked(f, "draining", blocker),
            Err(error) => writeln!(f, "error {error}"),
        }
    }
}

fn blocked(f: &mut fmt::Formatter<'_>, word: &str, blocker: &Blocker) -> fmt::Result {
    let Blocker { task, cause } = blocker;
    // The name of a command may hold anything.
    write!(f, "{word} pid={} comm={:?}: ", task.pid, task.comm)?;
    match cause {
        Cause::InUse(address) => writeln!(f, "at {address:#x}, in code that may be on no stack"),
        Cause::Unreliable => writeln!(f, "its stack cannot be followed to its end"),
        Cause::Unknown => writeln!(
            f,
            "the idle task of a processor that was never idle is not known"
        ),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bad(bad) => write!(f, "command: {bad:?}"),
            Self::Exists => f.write_str("exists: a patch of this name is in force"),
            Self::NoPatch => f.write_str("nopatch: no patch of this name is in force"),
            Self::Full => f.write_str("full: too many patches or functions are in force"),
            Self::NoModule(module) => {
                write!(
                    f,
                    "nomodule: `{module}` is not loaded, or was before the companion"
                )
            }
            Self::Outside(symbol) => write!(
                f,
                "outside: the new code of `{symbol}` is not in the module"
            ),
            Self::NoEntry(symbol) => {
                write!(f, "noentry: no function begins where `{symbol}` is said to")
            }
            Self::Taken(symbol) => write!(f, "taken: somebody else redirects `{symbol}`"),
            Self::Hook(symbol, errno) => write!(
                f,
                "hook: `{symbol}` can have no redirect (error {})",
                errno.0
            ),
            Self::Busy(_) => f.write_str("busy"),
            Self::Draining(_) => f.write_str("draining"),
            Self::Stop(errno) => write!(
                f,
                "stop: the machine could not be stopped (error {})",
                errno.0
            ),
            Self::Unhook(symbol, errno) => write!(
                f,
                "unhook: the redirect of `{symbol}` stays (error {})",
                errno.0
            ),
        }
    }
}
