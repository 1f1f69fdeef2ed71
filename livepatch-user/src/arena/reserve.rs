//! Reserving address space for an arena, so that no kill leaves any of which nobody knows.

use super::layout::{Header, LEN};
use super::{ArenaError, arena_error, thread_number};
use crate::error::Error;
use crate::hands::{Loan, borrow};
use crate::install::{Hands, Place, map_exactly};
use crate::installed::Installed;
use crate::place::{self, PAGE};
use crate::process::{Backing, Mapping};
use crate::session::Session;
use livepatch_bundle::RunAddr;
use std::io;

/// The memory file that announces where an arena is about to be mapped: `START-END` follows, hexadecimal.
pub const ARENA_NAME: &str = "livepatch-arena:";
/// Address space to reserve, most first; pages are used when values are attached. No program maps just as much.
pub(super) const SIZES: [u64; 3] = [(64 << 20) + ODD, (8 << 20) + ODD, (1 << 20) + ODD];
const ODD: u64 = 5 * PAGE;
/// Free places that are tried for a size.
const PLACES: usize = 4;

/// Maps a new arena.
pub(super) fn map(session: &Session) -> Result<(Header, RunAddr), Error> {
    let mut hands = borrow(session)?;
    let number_at = thread_number(session, hands.thread_pointer(), hands.tid());
    let taken = session.taken();
    let places = SIZES.iter().flat_map(|&size| {
        let places = place::anywhere(&taken, size).into_iter().take(PLACES);
        places.map(move |place| (place, size))
    });
    let mut mapped = Err(io::Error::from_raw_os_error(libc::ENOMEM));
    for (place, size) in places {
        mapped = map_at(&mut hands, place, size).map(|announced| (place, size, announced));
        if mapped.is_ok() {
            break;
        }
    }
    let (address, size, announced) =
        mapped.map_err(|error| arena_error(session, ArenaError::Map(error)))?;
    debug_assert!(LEN < size, "the smallest size holds the header");
    let header = Header::new(size, number_at);
    let written = session
        .memory
        .write_forced(address, &header.encode(), None)
        .map_err(|error| arena_error(session, error.into()));
    if written.is_err() {
        // Its first page is all that it costs, and nobody knows of it.
        hands
            .syscall(libc::SYS_munmap, [address.0, size, 0, 0, 0, 0])
            .ok();
    }
    // From here on the header tells whose it is.
    hands.retract(announced);
    written?;
    hands.give_back()?;
    Ok((header, address))
}

/// Maps memory at a free place, after a memory file's name has told the next run of it: until it has a header, nothing else would. Returns
/// that file's descriptor, if the process could open it.
fn map_at(hands: &mut Loan<'_>, place: RunAddr, size: u64) -> io::Result<Option<u64>> {
    let name = format!("{ARENA_NAME}{:x}-{:x}", place.0, place.0 + size);
    let announced = hands.announce(&name).ok();
    let place = Place {
        address: place,
        len: size,
        protection: libc::PROT_READ | libc::PROT_WRITE,
    };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    match map_exactly(hands, place, flags, (u64::MAX, 0)) {
        Ok(()) => Ok(announced),
        Err(error) => {
            hands.retract(announced);
            Err(error)
        }
    }
}

/// The arena that a memory file of this name announces, if it was mapped and no patch uses it. `name`: behind [`ARENA_NAME`].
#[must_use]
pub fn announced(session: &Session, patches: &[Installed], name: &str) -> Option<(RunAddr, u64)> {
    let mut numbers = name.split(['-', ' ']);
    let mut number = || u64::from_str_radix(numbers.next()?, 16).ok();
    let (start, end) = (number()?, number()?);
    let is_it = |mapping: &&Mapping| {
        let place = (mapping.start.0, mapping.end.0) == (start, end);
        let kind = mapping.write && !mapping.execute && !mapping.shared;
        place && kind && mapping.backing == Backing::Anonymous && SIZES.contains(&mapping.len())
    };
    let mapping = session.mappings.iter().find(is_it)?;
    let arenas = patches
        .iter()
        .filter_map(|patch| patch.record.arena.as_ref());
    let used = arenas
        .into_iter()
        .any(|arena| arena.address == mapping.start);
    (!used).then_some((mapping.start, mapping.len()))
}
