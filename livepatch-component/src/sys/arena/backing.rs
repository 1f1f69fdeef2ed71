//! What memory the arena is made of.

use super::layout::{CHUNK, CHUNKS};
use super::pages::{advise, checked, map};
use super::zones::Zones;
use clap::ValueEnum;
use std::fs;
use std::io;
use std::ptr;

/// Bytes of a page.
const PAGE: usize = 4096;

/// A kind of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backing {
    /// `anonymous` where the system gives huge pages, or has no `memfd`.
    #[default]
    Auto,
    /// Private to the process; without huge pages, protecting it takes time for each page.
    Anonymous,
    /// Files in memory (memfd), in pages of 4 KiB; protecting it takes the same time whatever its size.
    Memfd,
}

impl Backing {
    /// Its name, as the command line has it.
    pub(crate) fn name(self) -> String {
        let named = self.to_possible_value();
        named.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Files for at most so many chunks; `None` for anonymous memory.
    pub(super) fn zones(self, chunks: usize) -> io::Result<Option<Zones>> {
        // One more: it is open while all others are protected.
        let zones = || Zones::new(chunks + CHUNKS);
        match self {
            Self::Anonymous => Ok(None),
            Self::Memfd => zones().map(Some),
            // Where memory is not overcommitted, a file that gets none ends the process (SIGBUS).
            Self::Auto if overcommits() && !gives_huge_pages() => Ok(zones().ok()),
            Self::Auto => Ok(None),
        }
    }
}

fn overcommits() -> bool {
    let mode = fs::read_to_string("/proc/sys/vm/overcommit_memory");
    mode.is_ok_and(|mode| mode.trim() != "2")
}

/// Whether the system gives a huge page, to this process and now. When that cannot be known it is taken to.
fn gives_huge_pages() -> bool {
    let Ok(start) = map(None, 2 * CHUNK, libc::PROT_READ | libc::PROT_WRITE, 0, None) else {
        return true;
    };
    let chunk = start.next_multiple_of(CHUNK);
    let _ = advise(&(chunk..chunk + CHUNK), libc::MADV_HUGEPAGE);
    let place: *mut u8 = ptr::with_exposed_provenance_mut(chunk);
    // SAFETY: the first byte of a writable mapping that was just made and is nobody else's.
    unsafe { place.write_volatile(1) };
    let mut there = [0_u8; CHUNK / PAGE];
    // SAFETY: a byte for each page of the range.
    let told = unsafe { libc::mincore(place.cast(), CHUNK, there.as_mut_ptr()) };
    let is_known = checked(told).is_ok();
    // SAFETY: the mapping that was made above.
    unsafe { libc::munmap(ptr::without_provenance_mut(start), 2 * CHUNK) };
    // One byte was touched.
    !is_known || there.iter().all(|page| page & 1 == 1)
}
