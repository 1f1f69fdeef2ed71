//! Page faults before they matter: a version's code is in memory, and mapped, before the pause in which it runs first.

use std::ffi::c_void;
use std::fs;
use std::path::Path;
use std::ptr;

/// Has the kernel map all pages of the libraries in this process, and give the module at `path` its own pages where it writes. Best
/// effort: what is missing comes when it is touched.
pub(crate) fn populate(path: &Path) {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for mapping in maps.lines().filter_map(Mapping::read) {
        let is_ours = Path::new(mapping.path) == path;
        let advice = match (mapping.access.as_bytes(), is_ours) {
            // What is shared is no library: the holes of a memory file would be filled.
            ([b'r', b'-', _, b'p'], _) => libc::MADV_POPULATE_READ,
            ([b'r', b'w', _, b'p'], true) => libc::MADV_POPULATE_WRITE,
            _ => continue,
        };
        // SAFETY: makes pages present that may be touched anyway, and changes none of them; a mapping that is gone meanwhile is an
        // error that is of no harm.
        unsafe { libc::madvise(mapping.start, mapping.length, advice) };
    }
}

/// A line of /proc/self/maps with a file.
#[derive(Debug, PartialEq, Eq)]
struct Mapping<'a> {
    start: *mut c_void,
    length: usize,
    access: &'a str,
    path: &'a str,
}

impl<'a> Mapping<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let number = |digits| usize::from_str_radix(digits, 16).ok();
        let (start, end) = (number(start)?, number(end)?);
        let path = &rest[rest.find('/')?..];
        Some(Self {
            start: ptr::with_exposed_provenance_mut(start),
            length: end.checked_sub(start)?,
            access: rest.split(' ').next()?,
            path,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_files_are_read() {
        let line = "7f00-8f00 r-xp 00001000 fe:00 42      /tmp/a b.so";
        let mapping = Mapping::read(line).expect("a file");
        assert_eq!((mapping.length, mapping.access), (0x1000, "r-xp"));
        assert_eq!(mapping.path, "/tmp/a b.so");
        for other in [
            "7f00-8f00 rw-p 0 00:00 0 [heap]",
            "7f00-8f00 rw-p 0 00:00 0",
            "",
            "x",
        ] {
            assert_eq!(Mapping::read(other), None, "{other:?}");
        }
    }

    #[test]
    fn this_program_can_be_populated() {
        let own = std::env::current_exe().expect("there is one");
        populate(&own);
    }
}
