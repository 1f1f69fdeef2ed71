//! The memory that a process has written, piece by piece.

use super::areas::Areas;
use super::pages::{Pages, Which};
use super::{AddressRange, Incomplete};
use crate::process::{self, Mapping, ProcessMemory, Range};
use crate::sys::pagescan::PageRun;
use livepatch_bundle::RunAddr;
use std::io;
use std::ops::ControlFlow;

/// How much is read at once.
const CHUNK: usize = 1 << 20;

/// What takes the pieces: bytes and where they lie.
pub(crate) type Visit<'v> = dyn FnMut(&[u8], RunAddr) -> ControlFlow<()> + 'v;

/// The memory of a process without that of a patch.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(super) memory: &'a ProcessMemory,
    pub(super) pages: Pages,
    pub(super) areas: Areas,
}

impl<'a> Source<'a> {
    /// Everything but `patch`.
    ///
    /// # Errors
    /// When `/proc` does not tell what there is.
    pub(crate) fn open(
        memory: &'a ProcessMemory,
        patch: &[AddressRange],
    ) -> Result<Self, Incomplete> {
        let pages = Pages::open(memory.pid()).map_err(|source| Incomplete::Proc {
            what: "`pagemap`",
            source,
        })?;
        let areas = Areas::new(maps(memory)?, patch);
        Ok(Self {
            memory,
            pages,
            areas,
        })
    }

    /// The mappings as they were last read.
    pub(crate) fn maps(&self) -> &[Mapping] {
        self.areas.maps()
    }

    /// All pages that can hold a pointer.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub(crate) fn populated(&self) -> Result<Vec<PageRun>, Incomplete> {
        self.select(Which::Populated)
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

    /// Shows the runs to `visit` piece by piece until that breaks off; pieces of a run overlap by a word less one byte. Returns
    /// the pages that could not be read.
    pub(crate) fn read(&self, runs: &[PageRun], visit: &mut Visit<'_>) -> Vec<PageRun> {
        let mut reader = Reader {
            memory: self.memory,
            buffer: vec![0; CHUNK],
            unread: Vec::new(),
        };
        let _ = runs
            .iter()
            .try_for_each(|run| reader.read_run(*run, &mut *visit));
        reader.unread
    }
}

struct Reader<'a> {
    memory: &'a ProcessMemory,
    buffer: Vec<u8>,
    unread: Vec<PageRun>,
}

impl Reader<'_> {
    fn read_run(&mut self, run: PageRun, visit: &mut Visit<'_>) -> ControlFlow<()> {
        let mut start = run.start;
        while start < run.end {
            let len = (run.end - start).min(CHUNK as u64) as usize;
            let filled = self.fill(start, len);
            visit(&self.buffer[..filled], RunAddr(start))?;
            if filled < len {
                let part = PageRun {
                    start: (start + filled as u64) & !4095,
                    end: start + len as u64,
                    ..run
                };
                self.read_pages(part, visit)?;
            }
            start += len as u64;
            if start < run.end {
                start -= size_of::<u64>() as u64 - 1;
            }
        }
        ControlFlow::Continue(())
    }

    /// Reads page by page where reading at once failed: pages may be gone, others not.
    fn read_pages(&mut self, run: PageRun, visit: &mut Visit<'_>) -> ControlFlow<()> {
        for start in (run.start..run.end).step_by(4096) {
            let end = (start + 4096).min(run.end);
            let len = (end - start) as usize;
            if self.fill(start, len) == len {
                visit(&self.buffer[..len], RunAddr(start))?;
            } else {
                self.unread.push(PageRun { start, end, ..run });
            }
        }
        ControlFlow::Continue(())
    }

    fn fill(&mut self, start: u64, len: usize) -> usize {
        let mut range = [Range::new(RunAddr(start), &mut self.buffer[..len])];
        self.memory.read_bulk(&mut range);
        range[0].filled
    }
}

/// How many bytes the runs have.
pub(crate) fn total(runs: &[PageRun]) -> u64 {
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
