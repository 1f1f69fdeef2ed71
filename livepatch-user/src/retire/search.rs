//! The part of a search that runs while the target does.

use super::areas::Areas;
use super::needles::{Found, Needles};
use super::pages::{Pages, Which};
use super::tracking::{RemoteSyscall, Tracking};
use super::{AddressRange, Incomplete};
use crate::memory::Memory;
use crate::process::{self, Mapping, ProcessMemory, Range};
use crate::sys::pagescan::PageRun;
use livepatch_bundle::RunAddr;
use std::io;

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
    pub(super) memory: &'a ProcessMemory,
    pub(super) patch: PatchAddresses,
    pub(super) limits: Limits,
    pub(super) needles: Needles,
    pub(super) pages: Pages,
    pub(super) tracking: Tracking,
    pub(super) areas: Areas,
    /// Whether everything was looked at once.
    pub(super) has_looked: bool,
    /// Words that pointed into the patch when they were seen.
    pub(super) known: Vec<Found>,
    /// Pages that were there but could not be read.
    pub(super) unread: Vec<PageRun>,
    /// Room for the copies, made beforehand.
    pub(super) room: Vec<u8>,
}

/// How much is read at once.
const CHUNK: usize = 1 << 20;
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
        let failed = |source| Incomplete::Proc {
            what: "`pagemap`",
            source,
        };
        let pages = Pages::open(pid).map_err(failed)?;
        let maps = maps(memory)?;
        let tracking = Tracking::start(pid, &pages, &maps, remote);
        let room = usize::try_from(limits.in_stop).unwrap_or(usize::MAX);
        Ok(Self {
            memory,
            needles: Needles::new(&without(&patch.ranges, &patch.unwind), &guards),
            areas: Areas::new(maps, &patch.ranges),
            patch,
            limits,
            pages,
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
        let maps = maps(self.memory)?;
        self.tracking.extend(&maps);
        self.areas = Areas::new(maps, &self.patch.ranges);
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
        let selected = self.select(which)?;
        let bytes = total(&selected);
        if bytes > self.limits.running {
            let limit = self.limits.running;
            return Err(Incomplete::TooMuch { bytes, limit });
        }
        let mut buffer = vec![0; CHUNK];
        for run in &selected {
            self.read_run(*run, &mut buffer);
            if self.known.len() > MOST_KNOWN {
                return Err(Incomplete::TooManyHolders { limit: MOST_KNOWN });
            }
        }
        self.known.sort_unstable_by_key(|found| found.at);
        self.known.dedup_by_key(|found| found.at);
        self.has_looked = true;
        Ok(self.summary(bytes))
    }

    /// The pages to read, adjacent ones joined: a word may straddle them.
    pub(super) fn select(&self, which: Which) -> Result<Vec<PageRun>, Incomplete> {
        let mut selected: Vec<PageRun> = Vec::new();
        let mut parts = Vec::new();
        for run in self.pages.runs(which, self.areas.maps())? {
            let detail = |part: &PageRun| self.pages.detail(part);
            self.areas.select(&run, detail, &mut parts)?;
            for part in parts.drain(..) {
                match selected.last_mut() {
                    Some(last) if last.end == part.start => last.end = part.end,
                    _ => selected.push(part),
                }
            }
        }
        Ok(selected)
    }

    /// Reads a run piece by piece; pieces overlap by a word less one byte.
    fn read_run(&mut self, run: PageRun, buffer: &mut [u8]) {
        let mut start = run.start;
        while start < run.end && self.known.len() <= MOST_KNOWN {
            let len = (run.end - start).min(buffer.len() as u64);
            let bytes = &mut buffer[..len as usize];
            let filled = self.read_piece(start, bytes);
            self.needles
                .find(&bytes[..filled], RunAddr(start), &mut self.known);
            if filled < bytes.len() {
                let at = start + filled as u64;
                self.read_pages(
                    PageRun {
                        start: at & !4095,
                        end: start + len,
                        ..run
                    },
                    buffer,
                );
            }
            start += len;
            if start < run.end {
                start -= size_of::<u64>() as u64 - 1;
            }
        }
    }

    /// Reads page by page where reading at once failed: pages may be gone, others not.
    fn read_pages(&mut self, run: PageRun, buffer: &mut [u8]) {
        for start in (run.start..run.end).step_by(4096) {
            let end = (start + 4096).min(run.end);
            let bytes = &mut buffer[..(end - start) as usize];
            let filled = self.read_piece(start, bytes);
            if filled == bytes.len() {
                self.needles.find(bytes, RunAddr(start), &mut self.known);
            } else {
                self.unread.push(PageRun { start, end, ..run });
            }
        }
    }

    fn read_piece(&self, start: u64, bytes: &mut [u8]) -> usize {
        let mut range = [Range::new(RunAddr(start), bytes)];
        self.memory.read_bulk(&mut range);
        range[0].filled
    }
}

/// How many bytes the runs have.
pub(super) fn total(runs: &[PageRun]) -> u64 {
    runs.iter().map(|run| run.end - run.start).sum()
}

/// The target's mappings.
pub(super) fn maps(memory: &ProcessMemory) -> Result<Vec<Mapping>, Incomplete> {
    let failed = |source| Incomplete::Proc {
        what: "`maps`",
        source,
    };
    let maps = process::maps(memory.pid()).map_err(failed)?;
    if maps.is_empty() {
        return Err(failed(io::Error::other("the process has ended")));
    }
    Ok(maps)
}

/// glibc's pointer guard (`tcbhead_t::pointer_guard`, `sysdeps/x86_64/nptl/tls.h`). With another C library it is some
/// other word, which does no harm: no word of the program is disguised with it.
fn guard(memory: &ProcessMemory, thread_pointer: RunAddr) -> Option<u64> {
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
