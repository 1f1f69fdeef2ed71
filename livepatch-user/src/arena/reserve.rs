//! Reserving address space for an arena, so that no kill leaves any of which nobody knows.

use super::layout::{Header, LEN};
use super::{ArenaError, arena_error, thread_number};
use crate::error::Error;
use crate::hands::{Loan, borrow};
use crate::install::Hands;
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
    let mut mapped = Err(io::Error::from_raw_os_error(libc::ENOMEM));
    for size in SIZES {
        for place in place::anywhere(&taken, size).into_iter().take(PLACES) {
            mapped = map_at(&mut hands, place, size).map(|announced| (place, size, announced));
            if mapped.is_ok() {
                break;
            }
        }
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
    // From here on the header tells whose it is. Should the file stay, the next run closes it.
    if written.is_ok() {
        close(&mut hands, announced);
    }
    if let Err(error) = written {
        // Its first page is all that it costs, and nobody knows of it.
        hands
            .syscall(libc::SYS_munmap, [address.0, size, 0, 0, 0, 0])
            .ok();
        close(&mut hands, announced);
        return Err(error);
    }
    hands.give_back()?;
    Ok((header, address))
}

/// Maps memory at a free place, after a memory file's name has told the next run of it: until it has a header, nothing else would. Returns
/// that file's descriptor, if the process could open it.
fn map_at(hands: &mut Loan<'_>, place: RunAddr, size: u64) -> io::Result<Option<u64>> {
    let (start, end) = (place.0, place.0 + size);
    let announced = hands
        .announce(&format!("{ARENA_NAME}{start:x}-{end:x}"))
        .ok();
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags =
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
    let numbers = [protection, flags].map(|number| u64::from(number.unsigned_abs()));
    let arguments = [start, size, numbers[0], numbers[1], u64::MAX, 0];
    let outcome = match hands.syscall(libc::SYS_mmap, arguments) {
        Ok(address) if address == start => return Ok(announced),
        // A kernel before 4.17 takes the place for a hint (mmap(2)).
        Ok(address) => hands
            .syscall(libc::SYS_munmap, [address, size, 0, 0, 0, 0])
            .and(Err(io::Error::from_raw_os_error(libc::EEXIST))),
        Err(error) => Err(error),
    };
    close(hands, announced);
    outcome
}

/// Nobody else knows the descriptor.
fn close(hands: &mut Loan<'_>, descriptor: Option<u64>) {
    if let Some(descriptor) = descriptor {
        hands
            .syscall(libc::SYS_close, [descriptor, 0, 0, 0, 0, 0])
            .ok();
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
