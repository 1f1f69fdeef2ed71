//! Which pages of the target are populated, and which were written.
//!
//! By the ioctl `PAGEMAP_SCAN` where the kernel has it, which skips holes at once; else from the entries of
//! `/proc/PID/pagemap`, eight bytes for each page of address space (kernel documentation,
//! `admin-guide/mm/pagemap.rst`). Telling a file's pages from copies makes the kernel look at each page and not only
//! at the page tables, which takes ten times as long, so it is asked only where it matters.

use super::Incomplete;
use crate::process::{Mapping, Pid};
use crate::sys::pagescan::{self, PageRun, Query};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

const PAGE: u64 = 4096;
/// The end of the address space that programs get without asking for more (4-level page tables).
const USER_END: u64 = (1 << 47) - PAGE;
/// Runs per system call: few pages of our own memory, which the stop would have to fill first.
const BATCH: usize = 256;
/// Address space for which entries are read at most: 128 MiB of entries.
const MOST_ENTRIES: u64 = 1 << 24;
/// Runs that are listed at most: 96 MiB of them.
const MOST_RUNS: usize = 1 << 22;

/// Which of the populated pages are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// All.
    Populated,
    /// Those written since they were protected, or never protected.
    Written,
    /// The same, and they are protected again in the same moment.
    Protect,
    /// Those whose soft-dirty bit is set.
    SoftDirty,
}

/// A way to list pages.
#[derive(Debug)]
pub(super) struct Pages {
    pagemap: File,
    scans: bool,
}

impl Pages {
    /// Opens `/proc/PID/pagemap` and finds out what the kernel can do.
    pub(super) fn open(pid: Pid) -> io::Result<Self> {
        let pagemap = File::open(format!("/proc/{pid}/pagemap"))?;
        let query = query(Which::Populated, 0, PAGE);
        let scans = pagescan::scan(pagemap.as_fd(), &query, &mut [PageRun::default()]).is_ok();
        Ok(Self { pagemap, scans })
    }

    /// Whether the kernel has `PAGEMAP_SCAN`.
    pub(super) fn scans(&self) -> bool {
        self.scans
    }

    /// Lists pages. `maps` must be up to date where the kernel does not [scan](Self::scans); protection exists only
    /// where it does.
    pub(super) fn runs(&self, which: Which, maps: &[Mapping]) -> Result<Vec<PageRun>, Incomplete> {
        if !self.scans {
            return entries(&self.pagemap, which == Which::SoftDirty, maps);
        }
        let ends = maps.iter().map(|mapping| mapping.end.0);
        let end = ends.filter(|&end| end < 1 << 56).max();
        self.scan(query(which, 0, end.unwrap_or(0).max(USER_END)))
    }

    /// Cuts a run into pages of files, copies of such and pages of zeroes.
    pub(super) fn detail(&self, run: &PageRun) -> Result<Vec<PageRun>, Incomplete> {
        if !self.scans {
            return Ok(vec![*run]);
        }
        self.scan(Query {
            report: pagescan::FILE | pagescan::ZERO,
            ..query(Which::Populated, run.start, run.end)
        })
    }

    fn scan(&self, mut query: Query) -> Result<Vec<PageRun>, Incomplete> {
        let mut runs = Vec::new();
        let mut batch = vec![PageRun::default(); BATCH];
        while query.start < query.end {
            let (count, reached) =
                pagescan::scan(self.pagemap.as_fd(), &query, &mut batch).map_err(failed)?;
            runs.extend_from_slice(&batch[..count]);
            if runs.len() > MOST_RUNS {
                return Err(Incomplete::TooScattered { limit: MOST_RUNS });
            }
            if reached <= query.start {
                let stuck = io::Error::other("the list of pages does not go on");
                return Err(failed(stuck));
            }
            query.start = reached;
        }
        Ok(runs)
    }
}

fn failed(source: io::Error) -> Incomplete {
    Incomplete::Proc {
        what: "`pagemap`",
        source,
    }
}

fn query(which: Which, start: u64, end: u64) -> Query {
    Query {
        start,
        end,
        all_of: match which {
            Which::Populated => 0,
            Which::Written | Which::Protect => pagescan::WRITTEN,
            Which::SoftDirty => pagescan::SOFT_DIRTY,
        },
        any_of: pagescan::PRESENT | pagescan::SWAPPED,
        report: 0,
        protect: which == Which::Protect,
    }
}

/// Reads the entries of all mappings.
fn entries(pagemap: &File, soft_dirty: bool, maps: &[Mapping]) -> Result<Vec<PageRun>, Incomplete> {
    let user = maps.iter().filter(|mapping| mapping.end.0 < 1 << 56);
    let pages: u64 = user.clone().map(|mapping| mapping.len() / PAGE).sum();
    if pages > MOST_ENTRIES {
        let (bytes, limit) = (pages * PAGE, MOST_ENTRIES * PAGE);
        return Err(Incomplete::TooMuch { bytes, limit });
    }
    let mut runs = Vec::new();
    let mut buffer = vec![0; BATCH * 8];
    for mapping in user {
        let mut at = mapping.start.0;
        while at < mapping.end.0 {
            let pages = ((mapping.end.0 - at) / PAGE).min(BATCH as u64);
            let bytes = &mut buffer[..pages as usize * 8];
            pagemap
                .read_exact_at(bytes, at / PAGE * 8)
                .map_err(failed)?;
            decode(bytes, at, soft_dirty, &mut runs);
            at += pages * PAGE;
        }
    }
    Ok(runs)
}

/// Appends the runs that the entries of consecutive pages from `start` on describe.
fn decode(entries: &[u8], start: u64, soft_dirty: bool, runs: &mut Vec<PageRun>) {
    const SOFT_DIRTY: u64 = 1 << 55;
    const SHARED: u64 = 1 << 61;
    const POPULATED: u64 = 0b11 << 62;
    let (entries, _) = entries.as_chunks::<8>();
    for (page, entry) in (start..).step_by(PAGE as usize).zip(entries) {
        let entry = u64::from_le_bytes(*entry);
        if entry & POPULATED == 0 || (soft_dirty && entry & SOFT_DIRTY == 0) {
            continue;
        }
        let categories = if entry & SHARED == 0 {
            0
        } else {
            pagescan::FILE
        };
        match runs.last_mut() {
            Some(last) if last.end == page && last.categories == categories => last.end += PAGE,
            _ => runs.push(PageRun {
                start: page,
                end: page + PAGE,
                categories,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_become_runs() {
        let present = 1_u64 << 63;
        let entries = [
            present,
            present | 1 << 55,
            0,
            1 << 62,
            present | 1 << 61,
            present | 1 << 61 | 1 << 55,
        ];
        let bytes: Vec<u8> = entries
            .iter()
            .flat_map(|entry| entry.to_le_bytes())
            .collect();
        let run = |start, end, categories| PageRun {
            start,
            end,
            categories,
        };
        let mut runs = Vec::new();
        decode(&bytes, 0x1_0000, false, &mut runs);
        let file = pagescan::FILE;
        let all = [
            run(0x1_0000, 0x1_2000, 0),
            run(0x1_3000, 0x1_4000, 0),
            run(0x1_4000, 0x1_6000, file),
        ];
        assert_eq!(runs, all);
        runs.clear();
        decode(&bytes, 0x1_0000, true, &mut runs);
        assert_eq!(
            runs,
            [run(0x1_1000, 0x1_2000, 0), run(0x1_5000, 0x1_6000, file)]
        );
    }

    #[test]
    fn both_ways_of_listing_agree_on_a_quiet_mapping() {
        let own = Pid(std::process::id().cast_signed());
        let bytes = vec![1_u8; 64 * 4096];
        let maps = crate::process::maps(own).expect("our own maps");
        let address = livepatch_bundle::RunAddr(bytes.as_ptr().addr() as u64 + 8192);
        let mapping = crate::process::find_mapping(&maps, address).expect("it is mapped");
        let pages = Pages::open(own).expect("our own pagemap");
        let inside = |runs: &[PageRun]| {
            runs.iter()
                .any(|run| run.start <= address.0 && address.0 + 4096 <= run.end)
        };
        let listed =
            entries(&pages.pagemap, false, std::slice::from_ref(mapping)).expect("readable");
        assert!(inside(&listed));
        if pages.scans() {
            let scanned = pages.runs(Which::Populated, &maps).expect("it did before");
            assert!(inside(&scanned));
        }
    }
}
