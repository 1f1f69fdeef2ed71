//! Which mappings can hold a pointer into a patch.

use super::AddressRange;
use crate::process::{Backing, Mapping, find_mapping};
use crate::sys::pagescan::{self, PageRun};
use livepatch_bundle::RunAddr;
use std::path::Path;

/// Which pages of a mapping are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// All that are populated.
    Every,
    /// Those that are not the file's own any more.
    Copies,
    /// None.
    Nothing,
}

/// Memory behind these names lives in RAM alone, so that even its unmodified pages came from programs.
const VOLATILE: [&str; 4] = ["/memfd:", "/dev/zero", "/dev/shm/", "/SYSV"];

/// Which pages of this mapping are searched.
pub(super) fn treatment(mapping: &Mapping) -> Treatment {
    match &mapping.backing {
        Backing::Named(name) if is_kernels(name) => Treatment::Nothing,
        Backing::Named(_) | Backing::Anonymous => Treatment::Every,
        Backing::File { path, .. } if is_volatile(path) => Treatment::Every,
        Backing::File { .. } if !mapping.shared => Treatment::Copies,
        Backing::File { .. } if mapping.write => Treatment::Every,
        Backing::File { .. } => Treatment::Nothing,
    }
}

/// Pages that the kernel provides and the process cannot write.
fn is_kernels(name: &str) -> bool {
    matches!(name, "[vdso]" | "[vsyscall]" | "[uprobes]") || name.starts_with("[vvar")
}

fn is_volatile(path: &Path) -> bool {
    let path = path.as_os_str().as_encoded_bytes();
    VOLATILE
        .iter()
        .any(|prefix| path.starts_with(prefix.as_bytes()))
}

/// The mappings as they were when the search began, and the patch in them.
#[derive(Debug)]
pub(super) struct Areas {
    maps: Vec<Mapping>,
    patch: Vec<AddressRange>,
}

impl Areas {
    /// `maps` by ascending address; `patch` needs no order.
    pub(super) fn new(maps: Vec<Mapping>, patch: &[AddressRange]) -> Self {
        let mut patch = patch.to_vec();
        patch.sort_unstable();
        Self { maps, patch }
    }

    /// The mappings.
    pub(super) fn maps(&self) -> &[Mapping] {
        &self.maps
    }

    /// Appends the parts of a run of populated pages that are to be searched. Where nothing was mapped when the list
    /// was made, everything is. `detail` cuts a part into pages of files, copies and zeroes.
    pub(super) fn select<E>(
        &self,
        run: &PageRun,
        detail: impl Fn(&PageRun) -> Result<Vec<PageRun>, E>,
        selected: &mut Vec<PageRun>,
    ) -> Result<(), E> {
        let mut start = run.start;
        while start < run.end {
            let (end, treatment) = self.stretch(start, run);
            let part = PageRun { start, end, ..*run };
            match treatment {
                Treatment::Every => self.outside_patch(part, selected),
                Treatment::Copies => {
                    let skipped = pagescan::FILE | pagescan::ZERO;
                    for part in detail(&part)? {
                        if part.categories & skipped == 0 {
                            self.outside_patch(part, selected);
                        }
                    }
                }
                Treatment::Nothing => {}
            }
            start = end;
        }
        Ok(())
    }

    /// How far the run goes on in the same mapping, or outside all, and how that is searched.
    fn stretch(&self, start: u64, run: &PageRun) -> (u64, Treatment) {
        let Some(mapping) = find_mapping(&self.maps, RunAddr(start)) else {
            let next = self
                .maps
                .partition_point(|mapping| mapping.start.0 <= start);
            let end = self.maps.get(next).map_or(run.end, |next| next.start.0);
            return (end.min(run.end), Treatment::Every);
        };
        (mapping.end.0.min(run.end), treatment(mapping))
    }

    fn outside_patch(&self, run: PageRun, selected: &mut Vec<PageRun>) {
        let mut start = run.start;
        for range in &self.patch {
            if range.start.0 >= run.end || range.end.0 <= start {
                continue;
            }
            if start < range.start.0 {
                let end = range.start.0;
                selected.push(PageRun { start, end, ..run });
            }
            start = range.end.0;
        }
        if start < run.end {
            selected.push(PageRun { start, ..run });
        }
    }

    /// A mapping of which pages were left out, and that is another one, or gone, in the newer list.
    pub(super) fn changed(&self, newer: &[Mapping]) -> Option<RunAddr> {
        self.maps
            .iter()
            .filter(|mapping| treatment(mapping) != Treatment::Every)
            .find(|mapping| {
                !newer
                    .binary_search_by_key(&mapping.start, |new| new.start)
                    .is_ok_and(|index| newer[index] == **mapping)
            })
            .map(|mapping| mapping.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::parse_maps;
    use std::convert::Infallible;

    const TEXT: &[u8] = b"\
00010000-00020000 r-xp 00000000 fe:01 10 /bin/daemon
00020000-00030000 rw-p 00010000 fe:01 10 /bin/daemon
00030000-00040000 rw-p 00000000 00:00 0 [heap]
00050000-00060000 r--s 00000000 fe:01 11 /usr/lib/locale/archive
00060000-00070000 rw-s 00000000 fe:01 12 /var/lib/data
00070000-00080000 r--s 00000000 00:01 13 /memfd:x (deleted)
00080000-00090000 r--p 00000000 00:00 0 [vvar]
00090000-000a0000 r-xp 00000000 00:00 0 [vdso]
000a0000-000b0000 r-xp 00000000 00:01 14 /memfd:livepatch (deleted)
";

    fn areas(patch: &[(u64, u64)]) -> Areas {
        let patch: Vec<_> = patch
            .iter()
            .map(|&(start, end)| AddressRange {
                start: RunAddr(start),
                end: RunAddr(end),
            })
            .collect();
        Areas::new(parse_maps(TEXT).expect("well-formed"), &patch)
    }

    fn selected(areas: &Areas, start: u64, end: u64, categories: u64) -> Vec<(u64, u64)> {
        let mut selected = Vec::new();
        let run = PageRun {
            start,
            end,
            categories,
        };
        let detail = |part: &PageRun| Ok::<_, Infallible>(vec![*part]);
        let Ok(()) = areas.select(&run, detail, &mut selected);
        selected.iter().map(|run| (run.start, run.end)).collect()
    }

    #[test]
    fn every_kind_of_mapping_is_told_apart() {
        use Treatment::{Copies, Every, Nothing};
        let maps = parse_maps(TEXT).expect("well-formed");
        let treatments: Vec<_> = maps.iter().map(treatment).collect();
        let expected = [
            Copies, Copies, Every, Nothing, Every, Every, Nothing, Nothing, Every,
        ];
        assert_eq!(treatments, expected);
    }

    #[test]
    fn runs_are_cut_at_mappings_and_around_the_patch() {
        let areas = areas(&[(0xa_0000, 0xb_0000), (0x3_4000, 0x3_5000)]);
        let all = [
            (0x2_0000, 0x3_0000),
            (0x3_0000, 0x3_4000),
            (0x3_5000, 0x4_0000),
        ];
        assert_eq!(selected(&areas, 0x2_0000, 0x4_0000, pagescan::PRESENT), all);
        let file = pagescan::PRESENT | pagescan::FILE;
        assert_eq!(selected(&areas, 0x2_0000, 0x4_0000, file), all[1..]);
        assert_eq!(
            selected(&areas, 0x5_0000, 0x7_0000, file),
            [(0x6_0000, 0x7_0000)]
        );
        assert_eq!(selected(&areas, 0x8_0000, 0xb_0000, file), []);
        assert_eq!(selected(&areas, 0x2_0000, 0x3_0000, pagescan::ZERO), []);
    }

    #[test]
    fn what_is_new_is_searched() {
        let areas = areas(&[]);
        let file = pagescan::PRESENT | pagescan::FILE;
        let parts = [(0x4_0000, 0x5_0000), (0xb_0000, 0xc_0000)];
        assert_eq!(selected(&areas, 0x4_0000, 0x6_0000, file), parts[..1]);
        assert_eq!(selected(&areas, 0xb_0000, 0xc_0000, file), parts[1..]);
    }

    #[test]
    fn a_mapping_that_was_left_out_must_not_change() {
        let areas = areas(&[]);
        let mut newer = parse_maps(TEXT).expect("well-formed");
        assert_eq!(areas.changed(&newer), None);
        newer[2].end = RunAddr(0x4_8000);
        assert_eq!(areas.changed(&newer), None, "the heap may grow");
        newer[3].shared = false;
        assert_eq!(areas.changed(&newer), Some(RunAddr(0x5_0000)));
    }
}
