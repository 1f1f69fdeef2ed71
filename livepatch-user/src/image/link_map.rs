//! The dynamic loader's own list of what it loaded (`<link.h>`: `struct r_debug`, `struct link_map`; the
//! interface for debuggers, the same in glibc and musl).
//!
//! ```text
//! r_debug:  +0 int version  +8 link_map *first  +24 int state   +40 r_debug *next (version 2: dlmopen)
//! link_map: +0 l_addr (bias)  +8 char *l_name  +16 l_ld (dynamic section)  +24 l_next  +32 l_prev
//! ```

use super::image::Space;
use livepatch_bundle::RunAddr;
use std::collections::HashSet;

const MAX_ENTRIES: usize = 1 << 14;
const MAX_NAMESPACES: usize = 64;
const RT_CONSISTENT: u32 = 0;

/// An object that the dynamic loader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    /// `l_addr`.
    pub(super) bias: u64,
    /// `l_ld`.
    pub(super) dynamic: RunAddr,
}

/// The loader's lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LinkMaps {
    /// One list per namespace, the base namespace first.
    pub(super) namespaces: Vec<Vec<Entry>>,
    /// No list was being changed, and all could be read to their ends.
    pub(super) consistent: bool,
}

impl LinkMaps {
    /// Follows the lists from `r_debug`.
    pub(super) fn read(space: Space<'_>, r_debug: RunAddr) -> Self {
        let mut maps = Self {
            namespaces: Vec::new(),
            consistent: true,
        };
        let mut next = r_debug;
        let mut seen = HashSet::new();
        while next.0 != 0 && seen.insert(next) && seen.len() <= MAX_NAMESPACES {
            next = maps.add_namespace(space, next).unwrap_or_else(|| {
                maps.consistent = false;
                RunAddr(0)
            });
        }
        maps
    }

    /// Adds one list and returns where the next `r_debug` is.
    fn add_namespace(&mut self, space: Space<'_>, r_debug: RunAddr) -> Option<RunAddr> {
        let version = word(space, r_debug, 0)? & 0xffff_ffff;
        let state = word(space, r_debug, 24)? & 0xffff_ffff;
        self.consistent &= state == u64::from(RT_CONSISTENT);
        let (entries, complete) = entries(space, RunAddr(word(space, r_debug, 8)?));
        self.consistent &= complete;
        self.namespaces.push(entries);
        match version {
            0 => None,
            1 => Some(RunAddr(0)),
            _ => Some(RunAddr(word(space, r_debug, 40)?)),
        }
    }
}

/// The entries of one list, and whether its end was reached.
fn entries(space: Space<'_>, first: RunAddr) -> (Vec<Entry>, bool) {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut at = first;
    while at.0 != 0 {
        let entry = read_entry(space, at);
        let (true, true, Some((entry, next))) = (found.len() < MAX_ENTRIES, seen.insert(at), entry)
        else {
            return (found, false);
        };
        found.push(entry);
        at = next;
    }
    (found, true)
}

fn read_entry(space: Space<'_>, at: RunAddr) -> Option<(Entry, RunAddr)> {
    let mut raw = [0; 32];
    space.0.read(at, &mut raw).ok()?;
    let [bias, _name, dynamic, next] = std::array::from_fn(|index| {
        let bytes = raw[8 * index..][..8].try_into();
        u64::from_le_bytes(bytes.expect("eight bytes"))
    });
    let entry = Entry {
        bias,
        dynamic: RunAddr(dynamic),
    };
    Some((entry, RunAddr(next)))
}

fn word(space: Space<'_>, base: RunAddr, offset: u64) -> Option<u64> {
    space.0.read_u64(RunAddr(base.0.checked_add(offset)?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Memory, Unreadable};

    /// Words from address 0x1000 on.
    struct Words(Vec<u64>);

    impl Memory for Words {
        fn read(&self, address: RunAddr, buffer: &mut [u8]) -> Result<(), Unreadable> {
            let bytes: Vec<u8> = self.0.iter().flat_map(|word| word.to_le_bytes()).collect();
            let start = address.0.checked_sub(0x1000);
            let start = start.and_then(|start| usize::try_from(start).ok());
            let found = start.and_then(|start| bytes.get(start..)?.get(..buffer.len()));
            let len = buffer.len();
            buffer.copy_from_slice(found.ok_or(Unreadable { address, len })?);
            Ok(())
        }
    }

    /// `r_debug` at 0x1000, one entry at 0x1030 whose `l_next` is `next`.
    fn read(version: u64, state: u64, next: u64) -> LinkMaps {
        let r_debug = [version, 0x1030, 0, state, 0, 0];
        let entry = [0x7000, 0, 0x7e00, next];
        let words = Words([&r_debug[..], &entry].concat());
        LinkMaps::read(Space(&words), RunAddr(0x1000))
    }

    #[test]
    fn a_list_at_rest_is_read() {
        let entry = Entry {
            bias: 0x7000,
            dynamic: RunAddr(0x7e00),
        };
        let whole = LinkMaps {
            namespaces: vec![vec![entry]],
            consistent: true,
        };
        assert_eq!(read(1, 0, 0), whole);
        assert_eq!(read(2, 0, 0), whole);
    }

    #[test]
    fn lists_in_motion_and_loops_are_not_consistent() {
        assert!(!read(1, 1, 0).consistent, "a library is being added");
        assert!(
            !read(1, 0, 0x1030).consistent,
            "an entry that follows itself"
        );
        assert!(
            !read(1, 0, 0x9000).consistent,
            "an entry that cannot be read"
        );
        assert!(!read(0, 0, 0).consistent, "not set up yet");
    }
}
