//! The kernel's memory, as `/proc/kcore` shows it: an ELF core file whose segments are ranges of addresses.

use object::LittleEndian;
use object::elf::{FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The headers lie in the first bytes; there are as many segments as ranges of memory.
const HEADERS: usize = 64 << 10;

/// The kernel's memory.
#[derive(Debug)]
pub struct Kcore {
    file: File,
    segments: Vec<Segment>,
    /// The first bytes, with the notes.
    headers: Vec<u8>,
}

/// A range of addresses and where it is in the file.
#[derive(Clone, Copy, Debug)]
struct Segment {
    address: u64,
    size: u64,
    offset: u64,
}

impl Kcore {
    /// Opens `/proc/kcore`.
    ///
    /// # Errors
    /// When it is not there, may not be read (lockdown), or is no core file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut headers = vec![0; HEADERS];
        let length = read_up_to(&file, &mut headers)?;
        headers.truncate(length);
        let segments = segments(&headers).map_err(io::Error::other)?;
        Ok(Self {
            file,
            segments,
            headers,
        })
    }

    /// The kernel's notes for crash dumps (`VMCOREINFO`), lines of text; `None` if there are none.
    #[must_use]
    pub fn notes(&self) -> Option<String> {
        let data = self.headers.as_slice();
        let header = FileHeader64::<LittleEndian>::parse(data).ok()?;
        let endian = header.endian().ok()?;
        let all = header.program_headers(endian, data).ok()?.iter();
        let mut notes = all.filter_map(|one| one.notes(endian, data).ok().flatten());
        let mut notes = notes.next()?;
        while let Ok(Some(note)) = notes.next() {
            if note.name() == b"VMCOREINFO" {
                return Some(String::from_utf8_lossy(note.desc()).into_owned());
            }
        }
        None
    }

    /// Reads bytes from an address on.
    ///
    /// # Errors
    /// When no segment has all of them.
    pub fn read(&self, address: u64, length: usize) -> io::Result<Vec<u8>> {
        let offset = self.segments.iter().find_map(|segment| {
            let within = address.checked_sub(segment.address)?;
            let end = within.checked_add(length as u64)?;
            (end <= segment.size).then(|| segment.offset.checked_add(within))?
        });
        let offset =
            offset.ok_or_else(|| io::Error::other(format!("nothing is at {address:#x}")))?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

fn read_up_to(file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < bytes.len() {
        match file.read_at(&mut bytes[length..], length as u64)? {
            0 => break,
            count => length += count,
        }
    }
    Ok(length)
}

fn segments(headers: &[u8]) -> Result<Vec<Segment>, object::read::Error> {
    let header = FileHeader64::<LittleEndian>::parse(headers)?;
    let endian = header.endian()?;
    let all = header.program_headers(endian, headers)?.iter();
    let loaded = all.filter(|one| one.p_type(endian) == PT_LOAD);
    Ok(loaded
        .map(|one| Segment {
            address: one.p_vaddr(endian),
            size: one.p_memsz(endian),
            offset: one.p_offset(endian),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A core file with one segment: `contents` at address 0xffff_0000.
    fn core(contents: &[u8]) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        let mut put = |bytes: &[u8]| file.extend_from_slice(bytes);
        put(&[4, 0, 62, 0, 1, 0, 0, 0]);
        put(&[0; 8]);
        put(&64_u64.to_le_bytes());
        put(&[0; 12]);
        put(&[64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        put(&[1, 0, 0, 0, 5, 0, 0, 0]);
        for word in [
            120,
            0xffff_0000,
            0,
            contents.len() as u64,
            contents.len() as u64,
            4096,
        ] {
            put(&u64::to_le_bytes(word));
        }
        put(contents);
        file
    }

    fn open(bytes: &[u8]) -> io::Result<Kcore> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), bytes)?;
        Kcore::open(file.path())
    }

    #[test]
    fn bytes_are_found_by_their_address() {
        let core = open(&core(b"0123456789")).expect("well-formed");
        assert_eq!(core.read(0xffff_0002, 3).expect("there"), b"234");
        for (address, length) in [(0xffff_0008, 3), (0xfffe_ffff, 1), (u64::MAX, 2)] {
            assert!(core.read(address, length).is_err());
        }
    }

    #[test]
    fn a_cut_file_is_an_error() {
        let whole = core(b"0123456789");
        for length in 0..120 {
            assert!(open(&whole[..length]).is_err(), "{length}");
        }
    }
}
