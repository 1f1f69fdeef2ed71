//! The data of the router, but for its routing table, which is each version's own.

use livepatch_module::{Instant, state};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;

state! {
    /// A network.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub struct Prefix {
        /// Its address.
        pub network: u32,
        /// The length of its mask in bits.
        pub length: u8,
    }
}

impl Prefix {
    /// The network of an address.
    #[must_use]
    pub fn new(address: u32, length: u8) -> Self {
        let length = length.min(32);
        Self {
            network: address & mask(length),
            length,
        }
    }

    /// Its mask.
    #[must_use]
    pub fn mask(self) -> u32 {
        mask(self.length)
    }

    /// Whether the address is of it.
    #[must_use]
    pub fn holds(self, address: u32) -> bool {
        address & self.mask() == self.network
    }
}

fn mask(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.network), self.length)
    }
}

state! {
    /// A route.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Route {
        /// Where it leads.
        pub prefix: Prefix,
        /// How far that is; 16 is not to be reached.
        pub metric: u32,
        /// Of the protocol that it came from.
        pub tag: u16,
        /// The next router; 0 for a network of ours.
        pub gateway: u32,
        /// The interface that leads there.
        pub interface: u32,
        /// When it is too old, or, once that has happened, forgotten; networks of ours never are.
        pub ends: Option<Instant>,
        /// It changed since the last update.
        pub is_changed: bool,
    }
}

state! {
    /// A network interface.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Interface {
        /// Its name.
        pub name: String,
        /// Our address there; 0 before it is known.
        pub address: u32,
        /// The length of its network's mask.
        pub length: u8,
        /// Whether it can be used.
        pub is_up: bool,
        /// Our socket there.
        pub socket: Option<u64>,
    }
}

impl Interface {
    /// Its network.
    #[must_use]
    pub fn prefix(&self) -> Prefix {
        Prefix::new(self.address, self.length)
    }
}

state! {
    /// What the operator has set.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Config {
        /// Interfaces on which RIP is spoken.
        pub networks: BTreeSet<String>,
        /// Interfaces on which nothing is told.
        pub passive: BTreeSet<String>,
        /// Passwords, by interface.
        pub passwords: BTreeMap<String, String>,
        /// Seconds from update to update.
        pub update: u64,
        /// Seconds until a route of which nothing is heard is too old.
        pub timeout: u64,
        /// Seconds until it is forgotten.
        pub garbage: u64,
    }
}

state! {
    /// What happened so far.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Counts {
        /// Responses that were used.
        pub responses: u64,
        /// Requests that were answered.
        pub requests: u64,
        /// Messages that were not used.
        pub bad: u64,
        /// Updates, periodic and triggered.
        pub updates: u64,
    }
}

state! {
    /// All but the routing table.
    #[derive(Clone, Debug)]
    pub struct Common {
        /// What the operator has set.
        pub config: Config,
        /// By their numbers.
        pub interfaces: BTreeMap<u32, Interface>,
        /// The socket for the kernel's routes.
        pub netlink: u64,
        /// The number of the last request there.
        pub sequence: u32,
        /// A triggered update must wait.
        pub is_quiet: bool,
        /// One is wanted.
        pub is_wanted: bool,
        /// Of the random numbers.
        pub seed: u64,
        /// What happened so far.
        pub counts: Counts,
    }
}

impl Common {
    /// The beginning; timers as the RFC has them.
    #[must_use]
    pub fn new(seed: u64, netlink: u64) -> Self {
        Self {
            config: Config {
                networks: BTreeSet::new(),
                passive: BTreeSet::new(),
                passwords: BTreeMap::new(),
                update: 30,
                timeout: 180,
                garbage: 120,
            },
            interfaces: BTreeMap::new(),
            netlink,
            sequence: 0,
            is_quiet: false,
            is_wanted: false,
            seed: seed | 1,
            counts: Counts::default(),
        }
    }

    /// A random number below `bound` (xorshift: routers must not speak at the same time, that is all).
    pub fn random(&mut self, bound: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % bound.max(1)
    }

    /// The password of an interface.
    #[must_use]
    pub fn password(&self, interface: &str) -> Option<&str> {
        self.config.passwords.get(interface).map(String::as_str)
    }
}
