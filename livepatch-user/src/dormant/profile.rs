//! The tables of gprof's profiler (`gcc -pg`), which remember by its return address which function was called.
//!
//! ```text
//! tostruct (glibc, sys/gmon.h):     0 selfpc, +8 count, +16 link (2 bytes, and 6 of padding, which are zero)
//! the call:                         ff 15 <disp32>  call *mcount@GOTPCREL(%rip)
//!                                   e8 <rel32>      call mcount, or its PLT entry: [endbr64] [bnd] jmp *slot(%rip)
//! ```
//!
//! `selfpc` looks like what a stack inside the function holds, which was suspended in the profiler. That calls nothing back.

use crate::image::Images;
use crate::memory::Memory;
use crate::retire::Found;
use crate::unwind::AddressSpace;
use livepatch_bundle::RunAddr;

/// What compilers call at the entry of functions.
const NAMES: [&str; 3] = ["mcount", "_mcount", "__fentry__"];
/// More calls than any program makes; pointers are larger.
const COUNT_MAX: u64 = 1 << 40;
const LINK_MAX: u64 = u16::MAX as u64;

/// The profiler's functions that a program has.
pub(crate) struct Profilers(Vec<RunAddr>);

impl Profilers {
    pub(crate) fn of(images: &Images<'_>) -> Self {
        let found = NAMES
            .iter()
            .filter_map(|name| images.lookup_global(name, None));
        Self(found.filter_map(|found| found.address).collect())
    }

    /// Whether the word is an entry of the profiler's table.
    pub(super) fn is_counted(&self, word: &Found, space: &dyn AddressSpace) -> bool {
        let field = |offset| Memory::read_u64(space, word.at.offset(offset)).ok();
        field(8).is_some_and(|count| count < COUNT_MAX)
            && field(16).is_some_and(|link| link <= LINK_MAX)
            && called_before(word.value, space).is_some_and(|called| self.0.contains(&called))
    }
}

/// What the call right before an address leads to.
fn called_before(address: RunAddr, space: &dyn AddressSpace) -> Option<RunAddr> {
    let bytes = space.read_vec(address.offset(-6), 6).ok()?;
    match bytes[..] {
        [0xff, 0x15, a, b, c, d] => loaded(address, [a, b, c, d], space),
        [_, 0xe8, a, b, c, d] => {
            let target = relative(address, [a, b, c, d]);
            Some(through_plt(target, space).unwrap_or(target))
        }
        _ => None,
    }
}

fn through_plt(entry: RunAddr, space: &dyn AddressSpace) -> Option<RunAddr> {
    let bytes = space.read_vec(entry, 16).ok()?;
    let skip = usize::from(bytes.starts_with(&[0xf3, 0x0f, 0x1e, 0xfa])) * 4;
    let skip = skip + usize::from(bytes[skip] == 0xf2);
    match bytes[skip..] {
        [0xff, 0x25, a, b, c, d, ..] => loaded(entry.offset(skip as i64 + 6), [a, b, c, d], space),
        _ => None,
    }
}

fn relative(end: RunAddr, distance: [u8; 4]) -> RunAddr {
    end.offset(i32::from_le_bytes(distance).into())
}

fn loaded(end: RunAddr, distance: [u8; 4], space: &dyn AddressSpace) -> Option<RunAddr> {
    let word = Memory::read_u64(space, relative(end, distance));
    word.ok().map(RunAddr)
}
