//! Memory that is protected without looking at its pages: a file in memory (memfd), mapped twice.
//!
//! Where the system gives no huge pages, mprotect(2) changes an entry for each 4 KiB. Here the same pages are mapped a second time,
//! read-only, and mremap(2) puts that mapping where modules have their data, and the writable one aside. Of a range that is aligned, the
//! kernel moves whole pages of its page tables: an entry for each 2 MiB, or one for each 1 GiB where all of that is moved
//! (`CONFIG_HAVE_MOVE_PUD`, Linux 5.11).
//!
//! There are three areas of the same length. *Data* is where modules have their data. *Twin* has the read-only mapping, *aside* is where the
//! writable one is meanwhile. `MREMAP_DONTUNMAP` (for such memory since Linux 5.13) leaves each mapping where it was, only empty, so
//! that there never is a hole that another thread's mmap(2) could be given.
//!
//! Each zone has a file of its own, which is as long as chunks were used: nobody can touch what is beyond, nor can mlockall(2) fill it.
//! Nobody can shorten it (`F_SEAL_SHRINK`). It has no name and goes with the last process that has it.

use super::layout::{CHUNK, CHUNKS, ZONE};
use super::pages::{advise, checked, map, reserve};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{Whence, lseek};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::ptr;
use std::slice::from_ref;

/// Moves a mapping of so many bytes from one address to another; what it leaves is empty.
pub(super) type Move = fn(from: usize, to: usize, length: usize) -> io::Result<()>;

/// The areas, and the files that are mapped there.
#[derive(Debug)]
pub(super) struct Zones {
    data: usize,
    twin: usize,
    aside: usize,
    length: usize,
    files: Vec<Option<File>>,
    pub(super) remap: Move,
}

/// `MFD_NOEXEC_SEAL` of Linux 6.3, whose `vm.memfd_noexec` may ask for it.
const NOEXEC_SEAL: libc::c_uint = 8;
const READ: libc::c_int = libc::PROT_READ;
const READ_WRITE: libc::c_int = libc::PROT_READ | libc::PROT_WRITE;

fn remap(from: usize, to: usize, length: usize) -> io::Result<()> {
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP;
    let [from, to] = [from, to].map(ptr::without_provenance_mut::<libc::c_void>);
    // SAFETY: both are within the reservation, of which nobody holds a Rust reference; whoever exchanges views puts another
    // mapping of the same pages there before modules run.
    match unsafe { libc::mremap(from, length, length, flags, to) } {
        libc::MAP_FAILED => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Lets addresses go to which nothing points.
fn unmap(start: usize, length: usize) {
    let start = ptr::without_provenance_mut(start);
    // SAFETY: of the reservation; what lies there is not used any more, or was not yet.
    let left = unsafe { libc::munmap(start, length) };
    // What stays costs addresses only.
    let _ = checked(left);
}

/// A file in memory that is empty yet.
fn file() -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let noexec = MFdFlags::from_bits_retain(NOEXEC_SEAL);
    let file = match memfd_create(c"livepatch-data", flags | noexec) {
        Err(Errno::EINVAL) => memfd_create(c"livepatch-data", flags),
        other => other,
    }?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

/// Makes a file at least so long.
fn lengthen(file: &File, length: u64) -> io::Result<()> {
    // Whoever this process was copied from may have done so.
    if file.metadata()?.len() >= length {
        return Ok(());
    }
    // Beyond, the system would send SIGXFSZ.
    if getrlimit(Resource::RLIMIT_FSIZE)?.0 < length {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    file.set_len(length)
}

impl Zones {
    /// Areas for so many chunks, in whole zones, and the first zone.
    ///
    /// # Errors
    /// When the system has no addresses or no memory for them, or cannot exchange views.
    pub(super) fn new(chunks: usize) -> io::Result<Self> {
        let length = chunks.next_multiple_of(CHUNKS) * CHUNK;
        let data = map(None, 3 * length + ZONE, libc::PROT_NONE, 0, None)?.next_multiple_of(ZONE);
        let mut zones = Self {
            data,
            twin: data + length,
            aside: data + 2 * length,
            length,
            files: Vec::new(),
            remap,
        };
        zones.files.resize_with(length / ZONE, || None);
        match zones.try_out() {
            Ok(()) => Ok(zones),
            Err(error) => {
                unmap(zones.data, 3 * length);
                Err(error)
            }
        }
    }

    /// Begins the first zone, and exchanges views of it.
    fn try_out(&mut self) -> io::Result<()> {
        self.ready(0)?;
        let first = self.data..self.data + CHUNK;
        self.protect(from_ref(&first))?;
        self.unprotect(from_ref(&first))
    }

    /// Where data lies.
    pub(super) fn addresses(&self) -> Range<usize> {
        self.data..self.data + self.length
    }

    /// Makes sure that a chunk can be used.
    pub(super) fn ready(&mut self, chunk: usize) -> io::Result<()> {
        let zone = chunk / CHUNKS;
        if self.files[zone].is_none() {
            self.begin(zone, file()?)?;
        }
        let file = self.files[zone].as_ref().expect("it was just made");
        lengthen(file, ((chunk % CHUNKS + 1) * CHUNK) as u64)
    }

    /// Maps the file of a new zone.
    fn begin(&mut self, zone: usize, file: File) -> io::Result<()> {
        let (data, twin) = (self.data + zone * ZONE, self.twin + zone * ZONE);
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        let mapped = map(Some(data), ZONE, READ_WRITE, flags, Some((&file, 0)))
            .and_then(|_| map(Some(twin), ZONE, READ, flags, Some((&file, 0))));
        if let Err(error) = mapped {
            // Nothing lies there.
            let _ = reserve(&(data..data + ZONE));
            return Err(error);
        }
        // One of the mappings is enough in a core dump: that at the addresses of data.
        let _ = advise(&(twin..twin + ZONE), libc::MADV_DONTDUMP);
        self.files[zone] = Some(file);
        Ok(())
    }

    /// The same range in the areas beside.
    fn beside(&self, range: &Range<usize>) -> (usize, usize) {
        let offset = range.start - self.data;
        (self.twin + offset, self.aside + offset)
    }

    /// Has data read-only, in ranges of one zone each.
    ///
    /// # Errors
    /// When the system refuses; then all can be written.
    pub(super) fn protect(&self, ranges: &[Range<usize>]) -> io::Result<()> {
        let done = ranges.iter().try_for_each(|range| {
            let (twin, aside) = self.beside(range);
            (self.remap)(range.start, aside, range.len())?;
            (self.remap)(twin, range.start, range.len())?;
            // What RESTART crashes on is in the core dump.
            let _ = advise(range, libc::MADV_DODUMP);
            Ok(())
        });
        done.inspect_err(|_| ranges.iter().for_each(|range| self.mend(range)))
    }

    /// Takes back what [`Self::protect`] did.
    ///
    /// # Errors
    /// When the system refuses; then all can be written, but takes page faults.
    pub(super) fn unprotect(&self, ranges: &[Range<usize>]) -> io::Result<()> {
        let done = ranges.iter().try_for_each(|range| {
            let (twin, aside) = self.beside(range);
            (self.remap)(range.start, twin, range.len())?;
            (self.remap)(aside, range.start, range.len())?;
            let _ = advise(&(twin..twin + range.len()), libc::MADV_DONTDUMP);
            Ok(())
        });
        done.inspect_err(|_| ranges.iter().for_each(|range| self.mend(range)))
    }

    /// Leaves the empty mappings that were left aside out of core dumps.
    pub(super) fn tidy(&self) {
        // They would have the same data a second time.
        let _ = advise(&(self.aside..self.aside + self.length), libc::MADV_DONTDUMP);
    }

    /// Maps the file anew after views could not be exchanged. It is what both are views of, so nothing is lost.
    fn mend(&self, range: &Range<usize>) {
        let (twin, _) = self.beside(range);
        // When the system cannot do this either, the next write to data tells.
        let _ = self.map_anew(range, range.start, READ_WRITE, libc::MAP_SHARED);
        let _ = self.map_anew(range, twin, READ, libc::MAP_SHARED);
        let _ = advise(&(twin..twin + range.len()), libc::MADV_DONTDUMP);
    }

    /// Maps a range of data, which is of one zone, at `at`.
    fn map_anew(
        &self,
        range: &Range<usize>,
        at: usize,
        access: libc::c_int,
        kind: libc::c_int,
    ) -> io::Result<()> {
        let offset = range.start - self.data;
        let Some(file) = &self.files[offset / ZONE] else {
            return Ok(());
        };
        let flags = kind | libc::MAP_FIXED;
        map(
            Some(at),
            range.len(),
            access,
            flags,
            Some((file, offset % ZONE)),
        )
        .map(drop)
    }

    /// Has this process see the data as it is, and write to copies of its pages only: the files are another process's. Not for
    /// ranges of more than a zone.
    pub(super) fn own(&self, range: &Range<usize>, access: libc::c_int) -> io::Result<()> {
        self.map_anew(range, range.start, access, libc::MAP_PRIVATE)
    }

    /// Lets the areas go that are not data.
    pub(super) fn leave(self) {
        unmap(self.twin, 2 * self.length);
    }

    /// The first file.
    #[cfg(test)]
    pub(super) fn file(&self) -> File {
        let first = self.files[0].as_ref().expect("there always is one");
        first.try_clone().expect("there is room")
    }

    /// The read-only mappings of all that is there.
    pub(super) fn twins(&self) -> Vec<Range<usize>> {
        let files = self.files.iter().enumerate();
        let files = files.filter_map(|(zone, file)| Some((zone, file.as_ref()?)));
        files
            .flat_map(|(zone, file)| {
                let twin = self.twin + zone * ZONE;
                let shift = move |it: Range<usize>| twin + it.start..twin + it.end;
                extents(file).into_iter().map(shift)
            })
            .collect()
    }
}

/// Where a file has pages.
fn extents(file: &File) -> Vec<Range<usize>> {
    let seek = |from: usize, whence| {
        let from = libc::off_t::try_from(from).ok()?;
        usize::try_from(lseek(file, from, whence).ok()?).ok()
    };
    let next = |from| {
        let start = seek(from, Whence::SeekData)?;
        Some(start..seek(start, Whence::SeekHole)?)
    };
    std::iter::successors(next(0), |last| next(last.end)).collect()
}
