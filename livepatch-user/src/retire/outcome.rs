//! What a search says.

use crate::process::Tid;
use livepatch_bundle::RunAddr;
use std::fmt;
use std::io;
use thiserror::Error;

/// Whether the patch's memory can be given back.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing points into it.
    Free,
    /// Something does.
    Held {
        /// What, at most 32, registers first, then by address.
        holders: Vec<Holder>,
        /// How many there are in all.
        count: usize,
    },
    /// Nobody knows, which means no.
    Incomplete(Incomplete),
}

/// Holders that a report names at most.
pub(super) const MAX_REPORTED: usize = 32;

/// Something that points into the patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Where it is.
    pub place: Place,
    /// Where in the patch it points.
    pub value: RunAddr,
}

/// Where a pointer into the patch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In memory.
    Memory {
        /// Its address.
        at: RunAddr,
        /// What the mapping shows in `/proc/PID/maps`; empty for anonymous memory.
        mapping: String,
    },
    /// Kept by the kernel for the process.
    Kernel {
        /// As what, such as ``the data of an event of epoll descriptor 5``.
        what: String,
    },
    /// In a register.
    Register {
        /// The thread.
        tid: Tid,
        /// The register; `xstate` for any of the extended ones.
        name: &'static str,
    },
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Memory { at, mapping } if mapping.is_empty() => {
                write!(f, "the word at {at} points to {}", self.value)
            }
            Place::Memory { at, mapping } => {
                write!(
                    f,
                    "the word at {at} in `{mapping}` points to {}",
                    self.value
                )
            }
            Place::Kernel { what } => write!(f, "{what} points to {}", self.value),
            Place::Register { tid, name } => {
                write!(f, "`{name}` of thread {tid} points to {}", self.value)
            }
        }
    }
}

/// Why a search could not be completed.
#[derive(Debug, Error)]
pub enum Incomplete {
    /// A file of `/proc/PID` could not be used.
    #[error("cannot read {what} of the process")]
    Proc {
        /// Which.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The kernel keeps pointers for the process, and does not tell which.
    #[error("the process has {0}, of which the kernel does not tell what it points to")]
    Hidden(&'static str),
    /// There is too much memory to search at all.
    #[error("the process has {bytes:#x} bytes of memory to search, more than {limit:#x}")]
    TooMuch {
        /// How much.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// Too much to copy within the stop was written since the last look.
    #[error("{bytes:#x} bytes would have to be searched within the stop, more than {limit:#x}")]
    TooMuchInStop {
        /// How much.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The populated pages are too many separate pieces.
    #[error("the process's memory is in more than {limit} pieces")]
    TooScattered {
        /// The limit.
        limit: usize,
    },
    /// So many pointers that they are not all remembered.
    #[error("more than {limit} words point into the patch")]
    TooManyHolders {
        /// The limit.
        limit: usize,
    },
    /// Memory that the process has and that could not be read.
    #[error("memory at {address} could not be read")]
    Unreadable {
        /// Where.
        address: RunAddr,
    },
    /// A mapping that needs no search became another one.
    #[error("the mapping at {address} changed during the search")]
    MapChanged {
        /// Where.
        address: RunAddr,
    },
}
