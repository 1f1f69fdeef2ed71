//! Addresses by kind: mixing a link-time with a run-time address is our most likely bug.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The address `delta` bytes further, wrapping as pointers do.
            #[must_use]
            pub fn offset(self, delta: i64) -> Self {
                Self(self.0.wrapping_add_signed(delta))
            }

            /// The signed distance from `other` to `self`.
            #[must_use]
            pub fn distance_from(self, other: Self) -> i64 {
                self.0.wrapping_sub(other.0).cast_signed()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    };
}

address! {
    /// An address as the linker assigned it (`st_value`, `p_vaddr`), before any load bias.
    LinkAddr
}
address! {
    /// An address in a running process.
    RunAddr
}

impl LinkAddr {
    /// Where this address is in a process that maps the module with `bias`.
    #[must_use]
    pub fn at(self, bias: u64) -> RunAddr {
        RunAddr(self.0.wrapping_add(bias))
    }
}

impl RunAddr {
    /// The link-time address in a module that is mapped with `bias`.
    #[must_use]
    pub fn unbias(self, bias: u64) -> LinkAddr {
        LinkAddr(self.0.wrapping_sub(bias))
    }
}
