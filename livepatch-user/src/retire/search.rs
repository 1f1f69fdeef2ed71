//! The part of a search that runs while the target does.

use super::areas::Areas;
use super::needles::{Found, Needles};
use super::pages::Which;
use super::source::{Source, maps, total};
use super::tracking::{RemoteSyscall, Tracking};
use super::{AddressRange, Incomplete};
use crate::memory::Memory;
use crate::process::ProcessMemory;
use crate::sys::pagescan::PageRun;
use livepatch_bundle::RunAddr;
use std::ops::ControlFlow;

/// Where the patch is.
#[derive(Clone, Debug, Default)]
pub struct PatchAddresses {
    /// Everything that is mapped for it.
    pub ranges: Vec<AddressRange>,
    /// Parts of `ranges` that no pointer of the program's leads to, only those of unwinders.
    pub unwind: Vec<AddressRange>,
    /// Its code, in `ranges`.
    pub code: Vec<AddressRange>,
    /// The first addresses of its functions. Other addresses in `code` can only be return addresses and the like.
    pub entries: Vec<RunAddr>,
}

/// How much may be read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes in one look while the target runs.
    pub running: u64,
    /// Bytes to copy within the stop.
    pub in_stop: u64,
}

impl Default for Limits {
    /// 64 GiB and 8 MiB.
    fn default() -> Self {
        Self {
            running: 64 << 30,
            in_stop: 8 << 20,
        }
    }
}

/// What a look saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Bytes read.
    pub bytes: u64,
    /// Words known to point into the patch, so far; they may have changed since they were seen.
    pub holders: usize,
}

/// A search for pointers into a patch, see [the module](super).
#[derive(Debug)]
pub struct Search<'a> {
    pub(super) source: Source<'a>,
    pub(super) patch: PatchAddresses,
    pub(super) limits: Limits,
    pub(super) needles: Needles,
    pub(super) tracking: Tracking,
    /// Whether everything was looked at once.
    pub(super) has_looked: bool,
    /// Words that pointed into the patch when they were seen.
    pub(super) known: Vec<Found>,
    /// Pages that were there but could not be read.
    pub(super) unread: Vec<PageRun>,
    /// Room for the copies, made beforehand.
    pub(super) room: Vec<u8>,
}

/// Pointers into the patch that are remembered at most.
const MOST_KNOWN: usize = 1 << 20;

impl<'a> Search<'a> {
    /// [Prepares](Self::prepare) and takes the [first look](Self::refresh) at once.
    ///
    /// # Errors
    /// As of these.
    pub fn begin(
        memory: &'a ProcessMemory,
        patch: PatchAddresses,
        thread_pointer: Option<RunAddr>,
        remote: Option<&mut dyn RemoteSyscall>,
        limits: Limits,
    ) -> Result<Self, Incomplete> {
        let mut search = Self::prepare(memory, patch, thread_pointer, remote, limits)?;
        search.refresh()?;
        Ok(search)
    }

    /// Starts to notice writes. This is short; the thread behind `remote` can be given back before the first look.
    ///
    /// `thread_pointer` is the `fs_base` of any thread, where glibc's pointer guard is found; without it disguised
    /// pointers are missed. `remote` makes the two system calls that the best way to notice writes needs; without it
    /// a lesser way is taken.
    ///
    /// # Errors
    /// When the search cannot be complete whatever follows.
    pub fn prepare(
        memory: &'a ProcessMemory,
        patch: PatchAddresses,
        thread_pointer: Option<RunAddr>,
        remote: Option<&mut dyn RemoteSyscall>,
        limits: Limits,
    ) -> Result<Self, Incomplete> {
        let pid = memory.pid();
        let guards: Vec<u64> = thread_pointer
            .and_then(|pointer| guard(memory, pointer))
            .into_iter()
            .collect();
        let source = Source::open(memory, &patch.ranges)?;
        let tracking = Tracking::start(pid, &source.pages, source.maps(), remote);
        let room = usize::try_from(limits.in_stop).unwrap_or(usize::MAX);
        Ok(Self {
            source,
            needles: Needles::new(&without(&patch.ranges, &patch.unwind), &guards),
            patch,
            limits,
            tracking,
            has_looked: false,
            known: Vec::new(),
            unread: Vec::new(),
            // Not zero, so that the pages are there now and not only within the stop.
            room: vec![0xff; room],
        })
    }

    /// Takes a look: the first time at everything, later at what was written since the last look, so that less is left
    /// for the stop. A later one does nothing where writes cannot be told apart by the time they happened.
    ///
    /// # Errors
    /// When the search cannot be complete whatever follows.
    pub fn refresh(&mut self) -> Result<Summary, Incomplete> {
        if !matches!(self.tracking, Tracking::Protection(_)) {
            if self.has_looked {
                return Ok(self.summary(0));
            }
            return self.look(Which::Populated);
        }
        let maps = maps(self.source.memory)?;
        self.tracking.extend(&maps);
        self.source.areas = Areas::new(maps, &self.patch.ranges);
        self.look(Which::Protect)
    }

    /// How writes are noticed.
    #[must_use]
    pub fn tracking(&self) -> &Tracking {
        &self.tracking
    }

    fn summary(&self, bytes: u64) -> Summary {
        Summary {
            bytes,
            holders: self.known.len(),
        }
    }

    fn look(&mut self, which: Which) -> Result<Summary, Incomplete> {
        let selected = self.source.select(which)?;
        let bytes = total(&selected);
        if bytes > self.limits.running {
            let limit = self.limits.running;
            return Err(Incomplete::TooMuch { bytes, limit });
        }
        let (needles, known) = (&self.needles, &mut self.known);
        let mut unread = self.source.read(&selected, &mut |bytes, base| {
            needles.find(bytes, base, known);
            match known.len() > MOST_KNOWN {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        if self.known.len() > MOST_KNOWN {
            return Err(Incomplete::TooManyHolders { limit: MOST_KNOWN });
        }
        self.unread.append(&mut unread);
        self.known.sort_unstable_by_key(|found| found.at);
        self.known.dedup_by_key(|found| found.at);
        self.has_looked = true;
        Ok(self.summary(bytes))
    }
}

/// glibc's pointer guard (`tcbhead_t::pointer_guard`, `sysdeps/x86_64/nptl/tls.h`). With another C library it is some
/// other word, which does no harm: no word of the program is disguised with it.
pub(crate) fn guard(memory: &ProcessMemory, thread_pointer: RunAddr) -> Option<u64> {
    const POINTER_GUARD: i64 = 0x30;
    memory.read_u64(thread_pointer.offset(POINTER_GUARD)).ok()
}

/// What is left of `ranges`.
fn without(ranges: &[AddressRange], taken: &[AddressRange]) -> Vec<AddressRange> {
    let mut left = ranges.to_vec();
    for hole in taken {
        let cut = |range: AddressRange| {
            let below = AddressRange {
                end: range.end.min(hole.start),
                ..range
            };
            let above = AddressRange {
                start: range.start.max(hole.end),
                ..range
            };
            [below, above]
        };
        left = left.into_iter().flat_map(cut).collect();
        left.retain(|range| range.start < range.end);
    }
    left
}
