//! Which pages of a process are populated and which were written: `PAGEMAP_SCAN` (Linux 6.7, `linux/fs.h`),
//! asynchronous write protection by `userfaultfd(2)` (Linux 6.7, `linux/userfaultfd.h`), and the older
//! `/proc/PID/pagemap` is plain file reading and needs nothing from here.

use super::checked;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::from_mut;

/// `PAGE_IS_WPALLOWED`: the mapping is write-protected asynchronously.
pub const WP_ALLOWED: u64 = 1 << 0;
/// `PAGE_IS_WRITTEN`: written since it was last write-protected, or never protected.
pub const WRITTEN: u64 = 1 << 1;
/// `PAGE_IS_FILE`: a page of a file or of shared memory, not the process's own copy.
pub const FILE: u64 = 1 << 2;
/// `PAGE_IS_PRESENT`: in memory.
pub const PRESENT: u64 = 1 << 3;
/// `PAGE_IS_SWAPPED`: swapped out.
pub const SWAPPED: u64 = 1 << 4;
/// `PAGE_IS_PFNZERO`: the kernel's page of zeroes.
pub const ZERO: u64 = 1 << 5;

/// `PAGE_IS_SOFT_DIRTY`: written since the soft-dirty bits were cleared.
pub const SOFT_DIRTY: u64 = 1 << 7;

/// `PM_SCAN_WP_MATCHING`: write-protect what matches.
const PROTECT: u64 = 1 << 0;

/// `struct page_region`: a run of pages in the same categories.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageRun {
    /// First byte.
    pub start: u64,
    /// Byte after the last.
    pub end: u64,
    /// Their categories, as far as they were asked for.
    pub categories: u64,
}

/// What to look for in a range of pages.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    /// First byte, on a page boundary.
    pub start: u64,
    /// Byte after the last, on a page boundary.
    pub end: u64,
    /// Pages must be in all of these categories.
    pub all_of: u64,
    /// Pages must be in one of these categories.
    pub any_of: u64,
    /// The categories to report.
    pub report: u64,
    /// Write-protect the pages that match, at the moment when they are found.
    pub protect: bool,
}

/// `struct pm_scan_arg`.
#[repr(C)]
struct ScanArgument {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct uffdio_api`.
#[repr(C)]
struct ApiArgument {
    api: u64,
    features: u64,
    ioctls: u64,
}

/// `struct uffdio_register`.
#[repr(C)]
struct RegisterArgument {
    start: u64,
    len: u64,
    mode: u64,
    ioctls: u64,
}

const PAGEMAP_SCAN: u64 = read_write::<ScanArgument>(b'f', 16);
const UFFDIO_API: u64 = read_write::<ApiArgument>(0xaa, 0x3f);
const UFFDIO_REGISTER: u64 = read_write::<RegisterArgument>(0xaa, 0x00);

/// `_IOWR(group, number, T)` of `asm-generic/ioctl.h`.
const fn read_write<T>(group: u8, number: u8) -> u64 {
    3 << 30 | (size_of::<T>() as u64) << 16 | (group as u64) << 8 | number as u64
}

/// An `ioctl` whose argument is one `T`, read and filled by the kernel.
fn ioctl<T>(fd: BorrowedFd<'_>, request: u64, argument: &mut T) -> io::Result<i64> {
    // SAFETY: `argument` is valid, writable and outlives the call; the callers below pair each request with the
    // structure whose size it encodes. The addresses in them point to memory that the callers keep alive.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), request, from_mut(argument)) };
    checked(i64::from(result))
}

/// Finds runs of pages in the process of `pagemap` (an open `/proc/PID/pagemap`), as many as fit `runs`.
/// Returns how many there are and where the search ended: at `query.end`, or before when `runs` was full.
///
/// # Errors
/// `ENOTTY` before Linux 6.7, `EINVAL` for a range off the page boundaries or beyond user space.
pub fn scan(
    pagemap: BorrowedFd<'_>,
    query: &Query,
    runs: &mut [PageRun],
) -> io::Result<(usize, u64)> {
    let mut argument = ScanArgument {
        size: size_of::<ScanArgument>() as u64,
        flags: if query.protect { PROTECT } else { 0 },
        start: query.start,
        end: query.end,
        walk_end: 0,
        vec: runs.as_mut_ptr().expose_provenance() as u64,
        vec_len: runs.len() as u64,
        max_pages: 0,
        category_inverted: 0,
        category_mask: query.all_of,
        category_anyof_mask: query.any_of,
        return_mask: query.report,
    };
    let count = ioctl(pagemap, PAGEMAP_SCAN, &mut argument)?;
    let count = usize::try_from(count).map_err(io::Error::other)?;
    Ok((count.min(runs.len()), argument.walk_end))
}

/// Copies a descriptor out of another process (`pidfd_getfd(2)`, Linux 5.6).
///
/// # Errors
/// `EPERM` when forbidden, `EBADF` when there is no such descriptor, `ESRCH` when the process is gone.
pub fn copy_descriptor(process: BorrowedFd<'_>, number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the call takes numbers only.
    let result =
        unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0_u32) };
    let raw = RawFd::try_from(checked(result)?).map_err(io::Error::other)?;
    // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Opens the interface of a new userfaultfd with asynchronous write protection of any kind of memory.
///
/// # Errors
/// `EINVAL` when the kernel has not all the features (before Linux 6.7).
pub fn enable_protection(userfault: BorrowedFd<'_>) -> io::Result<()> {
    const PAGEFAULT_FLAG_WP: u64 = 1 << 0;
    const WP_HUGETLBFS_SHMEM: u64 = 1 << 12;
    const WP_UNPOPULATED: u64 = 1 << 13;
    const WP_ASYNC: u64 = 1 << 15;
    let mut argument = ApiArgument {
        api: 0xaa,
        features: PAGEFAULT_FLAG_WP | WP_HUGETLBFS_SHMEM | WP_UNPOPULATED | WP_ASYNC,
        ioctls: 0,
    };
    ioctl(userfault, UFFDIO_API, &mut argument).map(drop)
}

/// Lets the pages from `start` to `end` be write-protected. Nothing is protected yet.
///
/// # Errors
/// `EPERM` for shared memory that must never be written, `EBUSY` when another userfaultfd has it, `EINVAL` for
/// special memory and ranges with nothing mapped, `ENOMEM`, or `ESRCH` when the address space is gone.
pub fn allow_protection(userfault: BorrowedFd<'_>, start: u64, end: u64) -> io::Result<()> {
    const MODE_WP: u64 = 1 << 1;
    let mut argument = RegisterArgument {
        start,
        len: end.saturating_sub(start),
        mode: MODE_WP,
        ioctls: 0,
    };
    ioctl(userfault, UFFDIO_REGISTER, &mut argument).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_numbers_are_those_of_the_headers() {
        // As printed by a C program that includes linux/fs.h and linux/userfaultfd.h.
        assert_eq!(PAGEMAP_SCAN, 0xc060_6610);
        assert_eq!(UFFDIO_API, 0xc018_aa3f);
        assert_eq!(UFFDIO_REGISTER, 0xc020_aa00);
    }
}
