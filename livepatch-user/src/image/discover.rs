//! Finding the images among the mappings.
//!
//! An image begins where a file's first page is mapped and is an ELF header, and where the kernel and the
//! dynamic loader say that one begins (then the page may be anonymous: text copied to huge pages). It counts
//! only if its executable segments are mapped where they belong: tools also map ELF files as data.

use super::context::Context;
use super::headers::{self, FileHeader, PAGE, Segment};
use super::image::{Image, ImageId, Namespace, Role, Space};
use super::notes;
use crate::install::NAME_PREFIX;
use crate::process::{Backing, Mapping, find_mapping};
use goblin::elf64::program_header::PT_NOTE;
use livepatch_bundle::{BuildId, RunAddr};
use std::cell::Cell;
use std::ffi::OsString;
use std::ops::Range;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes beyond which a segment of notes is not read.
const MAX_NOTES: u64 = 1 << 16;
/// How many mappings behind its first an image's program headers are looked for in.
const MAX_SEARCHED: usize = 4096;
const VDSO: &str = "[vdso]";

/// What the search reads.
pub(super) struct Search<'a, 'm> {
    pub(super) mappings: &'a [Mapping],
    pub(super) space: Space<'m>,
    pub(super) context: Arc<Context>,
    /// How many mappings all images together may still span. Images do not overlap, so that each mapping is in one; a process
    /// whose headers claim otherwise would make us copy all its mappings for each of them.
    pub(super) budget: Cell<usize>,
}

/// How many mappings the images of a process may span together.
pub(super) fn budget(mappings: &[Mapping]) -> Cell<usize> {
    Cell::new(2 * mappings.len() + 1024)
}

impl<'m> Search<'_, 'm> {
    /// Where the mappings and the kernel say that images may begin, ascending.
    pub(super) fn candidates(&self) -> Vec<RunAddr> {
        let is_first = |mapping: &&Mapping| {
            let image = is_file(mapping) && !is_patch(mapping) || mapping.is_named(VDSO);
            mapping.offset == 0 && image
        };
        let files = self.mappings.iter().filter(is_first);
        let mut found: Vec<RunAddr> = files.map(|mapping| mapping.start).collect();
        let auxv = &self.context.auxv;
        let kernel = [libc::AT_SYSINFO_EHDR, libc::AT_BASE];
        found.extend(kernel.iter().filter_map(|&tag| auxv.get(tag)).map(RunAddr));
        let table = auxv.get(libc::AT_PHDR);
        let header = table.and_then(|table| table.checked_sub(FileHeader::SIZE as u64));
        found.extend(header.map(RunAddr));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The image whose ELF header lies at `header`. Its number and namespace are set later.
    pub(super) fn image_at(&self, header: RunAddr) -> Option<Image<'m>> {
        let first = find_mapping(self.mappings, header)?;
        let file = FileHeader::parse(&self.read(header, FileHeader::SIZE as u64)?)?;
        let table = self.table_address(header, first, &file)?;
        let segments = Segment::parse_table(&self.read(table, file.segments_size() as u64)?);
        let bias = headers::bias(&file, &segments, header.0)?;
        let extent = headers::extent(&segments)?;
        let span = extent.start.at(bias)..extent.end.at(bias);
        let mappings = self.overlapping(&span)?;
        let origin = origin(first, &mappings);
        if !is_loaded(&segments, bias, origin, &mappings) {
            return None;
        }
        let (path, deleted) = self.path(origin, &segments, bias);
        let mut image = Image {
            id: ImageId(0),
            space: self.space,
            context: Arc::clone(&self.context),
            header,
            bias,
            span,
            executable: executable(&segments, bias, &mappings),
            role: self.role(first, &segments, bias, path.as_deref()),
            segments,
            mappings,
            path,
            deleted,
            namespace: Namespace::Unlisted,
            build_id: None,
            dynamic: Default::default(),
            linkage: Default::default(),
            gnu_hash: Default::default(),
            dynamic_symbols: Default::default(),
            relocations: Default::default(),
            function_starts: Default::default(),
            sources: Default::default(),
        };
        image.build_id = build_id(&image);
        Some(image)
    }

    /// The mappings in a span; `None` when the images have used up what they may have.
    fn overlapping(&self, span: &Range<RunAddr>) -> Option<Vec<Mapping>> {
        let start = self.mappings.partition_point(|map| map.end <= span.start);
        let end = self.mappings.partition_point(|map| map.start < span.end);
        let found = self.mappings.get(start..end)?;
        self.budget.set(self.budget.get().checked_sub(found.len())?);
        Some(found.to_vec())
    }

    /// Reads headers: at most 64 KiB (`headers` bounds the number of segments).
    fn read(&self, address: RunAddr, len: u64) -> Option<Vec<u8>> {
        let len = usize::try_from(len).ok()?;
        self.space.0.read_vec(address, len).ok()
    }

    /// Where the program headers lie. patchelf(1) puts them at the end of the file, in a segment of their own.
    fn table_address(
        &self,
        header: RunAddr,
        first: &Mapping,
        file: &FileHeader,
    ) -> Option<RunAddr> {
        let end = file
            .segments_at
            .checked_add(file.segments_size() as u64)?
            .checked_add(header.0)?;
        if end <= first.end.0 {
            return Some(RunAddr(end - file.segments_size() as u64));
        }
        let start = self.mappings.partition_point(|map| map.start < first.start);
        let near = self.mappings[start..].iter().take(MAX_SEARCHED);
        let after = near.filter(|map| same_file(map, first));
        let mut holding = after.filter_map(|map| {
            let offset = file.segments_at.checked_sub(map.offset)?;
            let address = map.start.0.checked_add(offset)?;
            (address < map.end.0).then_some(RunAddr(address))
        });
        holding.next()
    }

    fn role(&self, first: &Mapping, segments: &[Segment], bias: u64, path: Option<&Path>) -> Role {
        let auxv = &self.context.auxv;
        if first.is_named(VDSO) || auxv.get(libc::AT_SYSINFO_EHDR) == Some(first.start.0) {
            return Role::Vdso;
        }
        let main = match auxv.get(libc::AT_PHDR) {
            Some(table) => holds(segments, bias, RunAddr(table)),
            None => path.is_some() && path == self.executable_path().as_deref(),
        };
        if main { Role::Main } else { Role::Library }
    }

    /// `/proc/PID/exe`, without the mark of a deleted file.
    fn executable_path(&self) -> Option<PathBuf> {
        let link = self.context.proc_dir.as_ref()?.join("exe");
        let path = std::fs::read_link(link).ok()?.into_os_string().into_vec();
        let bare = path.strip_suffix(b" (deleted)").map(<[u8]>::to_vec);
        Some(PathBuf::from(OsString::from_vec(bare.unwrap_or(path))))
    }

    fn path(&self, origin: &Mapping, segments: &[Segment], bias: u64) -> (Option<PathBuf>, bool) {
        if let Backing::File { path, deleted } = &origin.backing {
            return (Some(path.clone()), *deleted);
        }
        let table = self.context.auxv.get(libc::AT_PHDR);
        let main = table.is_some_and(|table| holds(segments, bias, RunAddr(table)));
        (self.executable_path().filter(|_| main), false)
    }
}

/// The mapping that tells the image's file: the first one, unless it became anonymous.
fn origin<'a>(first: &'a Mapping, mappings: &'a [Mapping]) -> &'a Mapping {
    let mut files = mappings.iter().filter(|mapping| is_file(mapping));
    if first.is_named(VDSO) || is_file(first) {
        first
    } else {
        files.next().unwrap_or(first)
    }
}

/// Whether every executable segment, and at least one, is mapped executable where it belongs.
fn is_loaded(segments: &[Segment], bias: u64, origin: &Mapping, mappings: &[Mapping]) -> bool {
    let mut code = segments
        .iter()
        .filter(|segment| segment.is_load() && segment.is_executable() && segment.memory_size > 0)
        .peekable();
    code.peek().is_some()
        && code.all(|segment| {
            let address = segment.address.at(bias);
            let offset = |map: &Mapping| (address.0 - map.start.0).checked_add(map.offset);
            let from_file =
                |map: &Mapping| same_file(map, origin) && offset(map) == Some(segment.offset);
            let holding = mappings.iter().find(|map| map.contains(address));
            holding.is_some_and(|map| map.execute && (!is_file(map) || from_file(map)))
        })
}

fn executable(segments: &[Segment], bias: u64, mappings: &[Mapping]) -> Vec<Range<RunAddr>> {
    let mut ranges: Vec<Range<RunAddr>> = Vec::new();
    for map in mappings.iter().filter(|map| map.execute) {
        for segment in segments.iter().filter(|s| s.is_load() && s.is_executable()) {
            let first = segment.address.at(bias).0;
            let end = (first + segment.memory_size).next_multiple_of(PAGE);
            let (start, end) = (map.start.0.max(first & !(PAGE - 1)), map.end.0.min(end));
            match ranges.last_mut() {
                Some(last) if start < end && last.end.0 >= start => {
                    last.end = RunAddr(last.end.0.max(end));
                }
                _ if start < end => ranges.push(RunAddr(start)..RunAddr(end)),
                _ => {}
            }
        }
    }
    ranges
}

fn build_id(image: &Image<'_>) -> Option<BuildId> {
    notes_of(image).find_map(|(notes, align)| notes::build_id(&notes, align))
}

/// Whether the Go linker made it.
pub(super) fn is_go(image: &Image<'_>) -> bool {
    notes_of(image).any(|(notes, align)| notes::is_go(&notes, align))
}

/// The notes and their alignment.
fn notes_of(image: &Image<'_>) -> impl Iterator<Item = (Vec<u8>, u64)> {
    let segments = image.segments.iter().filter(|s| s.kind == PT_NOTE);
    segments.filter_map(|segment| {
        let len = segment.memory_size.min(MAX_NOTES);
        let notes = image.table(image.run(segment.address), len)?;
        Some((notes.to_vec(), segment.align))
    })
}

fn holds(segments: &[Segment], bias: u64, address: RunAddr) -> bool {
    let link = address.unbias(bias);
    segments
        .iter()
        .any(|segment| segment.is_load() && segment.contains(link))
}

/// Whether it has a file behind it.
pub(super) fn is_file(mapping: &Mapping) -> bool {
    matches!(mapping.backing, Backing::File { .. })
}

/// Whether it is of a patch, which is an ELF image, too, but none of the program's.
fn is_patch(mapping: &Mapping) -> bool {
    mapping.is_memory_file(NAME_PREFIX)
}

/// Whether both are of one file.
pub(super) fn same_file(a: &Mapping, b: &Mapping) -> bool {
    (a.device, a.inode) == (b.device, b.inode)
}
