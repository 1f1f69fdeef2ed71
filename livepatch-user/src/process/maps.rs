//! `/proc/PID/maps`, see proc_pid_maps(5).

use super::Pid;
use livepatch_bundle::RunAddr;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// What a mapping shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backing {
    /// A file, or what looks like one (`/memfd:NAME`, `/dev/zero`).
    File {
        /// Its path in the target's mount namespace, as it was when last looked up.
        path: PathBuf,
        /// Whether that name no longer leads to it.
        deleted: bool,
    },
    /// Memory of the process's own, without a name.
    Anonymous,
    /// Anything the kernel names otherwise, such as `[heap]`, `[vdso]`, `[anon:NAME]`.
    Named(String),
}

/// One line of `/proc/PID/maps`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "these are the four independent letters of `rwxp`"
)]
pub struct Mapping {
    /// First byte.
    pub start: RunAddr,
    /// Byte after the last.
    pub end: RunAddr,
    /// May be read.
    pub read: bool,
    /// May be written.
    pub write: bool,
    /// May be executed.
    pub execute: bool,
    /// Writes reach the file and other processes.
    pub shared: bool,
    /// Offset in the file in bytes.
    pub offset: u64,
    /// Device of the file, major and minor.
    pub device: (u32, u32),
    /// Inode of the file, 0 for none.
    pub inode: u64,
    /// What is mapped.
    pub backing: Backing,
}

impl Mapping {
    /// Whether `address` is inside.
    #[must_use]
    pub fn contains(&self, address: RunAddr) -> bool {
        self.start <= address && address < self.end
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.end.0 - self.start.0
    }

    /// Whether there is nothing in it; the kernel lists no such mapping.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is of a memory file (memfd_create(2)) whose name begins so.
    #[must_use]
    pub fn is_memory_file(&self, name: &str) -> bool {
        let Backing::File { path, .. } = &self.backing else {
            return false;
        };
        let file = path.as_os_str().as_encoded_bytes();
        file.strip_prefix(b"/memfd:")
            .is_some_and(|file| file.starts_with(name.as_bytes()))
    }

    /// Whether it is named `name`, brackets included.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        matches!(&self.backing, Backing::Named(own) if own == name)
    }
}

/// Lists what `pid` maps, by ascending address. The list is no snapshot: the process may change it meanwhile.
///
/// # Errors
/// When the file cannot be read, or has a line that does not parse.
pub fn maps(pid: Pid) -> io::Result<Vec<Mapping>> {
    let text = std::fs::read(format!("/proc/{pid}/maps"))?;
    parse_maps(&text).ok_or_else(|| {
        let message = format!("`/proc/{pid}/maps` has a line that livepatch does not understand");
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

/// The mapping that holds `address`, in a list as [`maps`] gives it.
#[must_use]
pub fn find_mapping(maps: &[Mapping], address: RunAddr) -> Option<&Mapping> {
    let after = maps.partition_point(|mapping| mapping.start <= address);
    let mapping = &maps[after.checked_sub(1)?];
    mapping.contains(address).then_some(mapping)
}

/// Parses the whole file; `None` if a line is malformed.
#[must_use]
pub fn parse_maps(text: &[u8]) -> Option<Vec<Mapping>> {
    text.split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(parse_line)
        .collect()
}

/// `7f1c000-7f1d000 r-xp 00001000 fe:01 1234   /usr/lib/libc.so.6 (deleted)`
fn parse_line(line: &[u8]) -> Option<Mapping> {
    let mut rest = line;
    let mut field = || {
        let end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
        let (field, tail) = rest.split_at(end);
        rest = tail.get(1..).unwrap_or_default();
        std::str::from_utf8(field).ok()
    };
    let (start, end) = field()?.split_once('-')?;
    let letters: [u8; 4] = field()?.as_bytes().try_into().ok()?;
    let offset = hex(field()?)?;
    let (major, minor) = field()?.split_once(':')?;
    let device = (
        u32::try_from(hex(major)?).ok()?,
        u32::try_from(hex(minor)?).ok()?,
    );
    let inode = field()?.parse().ok()?;
    let (start, end) = (RunAddr(hex(start)?), RunAddr(hex(end)?));
    (start < end).then(|| Mapping {
        start,
        end,
        read: letters[0] == b'r',
        write: letters[1] == b'w',
        execute: letters[2] == b'x',
        shared: letters[3] == b's',
        offset,
        device,
        inode,
        backing: backing(rest.trim_ascii_start()),
    })
}

fn hex(digits: &str) -> Option<u64> {
    u64::from_str_radix(digits, 16).ok()
}

fn backing(name: &[u8]) -> Backing {
    match name.first() {
        None => Backing::Anonymous,
        Some(b'/') => {
            let bare = name.strip_suffix(b" (deleted)");
            Backing::File {
                path: PathBuf::from(OsString::from_vec(unescape(bare.unwrap_or(name)))),
                deleted: bare.is_some(),
            }
        }
        Some(_) => Backing::Named(String::from_utf8_lossy(name).into_owned()),
    }
}

/// The kernel writes a line feed in a name as `\012` and nothing else specially (`show_map_vma`).
fn unescape(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = memchr::memmem::find(rest, b"\\012") {
        out.extend_from_slice(&rest[..at]);
        out.push(b'\n');
        rest = &rest[at + 4..];
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"\
55d0c0a00000-55d0c0a01000 r-xp 00001000 fe:01 1234                       /usr/sbin/a b (deleted)
55d0c1000000-55d0c1021000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000001000 rw-s 00000000 00:05 77                         /dev/x\\012y
7f0000002000-7f0000003000 ---p 00000000 00:00 0 
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";

    #[test]
    fn every_kind_of_line_is_read() {
        let maps = parse_maps(TEXT).expect("well-formed");
        let file = |path: &str, deleted| Backing::File {
            path: path.into(),
            deleted,
        };
        let backings: Vec<_> = maps.iter().map(|m| m.backing.clone()).collect();
        assert_eq!(backings[0], file("/usr/sbin/a b", true));
        assert_eq!(backings[1], Backing::Named("[heap]".into()));
        assert_eq!(backings[2], file("/dev/x\ny", false));
        assert_eq!(backings[3], Backing::Anonymous);
        assert!(maps[4].is_named("[vsyscall]"));
        assert_eq!(
            (maps[0].offset, maps[0].device, maps[0].inode),
            (0x1000, (0xfe, 1), 1234)
        );
        assert!(maps[0].read && maps[0].execute && !maps[0].write && !maps[0].shared);
        assert!(maps[2].shared && maps[2].write);
        assert_eq!(maps[1].len(), 0x21000);
    }

    #[test]
    fn malformed_lines_are_refused() {
        for line in [
            "x",
            "1-2",
            "2-1 rwxp 0 0:0 0",
            "1-2 rwx 0 0:0 0",
            "1-2 rwxp 0 0 0",
        ] {
            assert_eq!(parse_maps(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn addresses_find_their_mapping() {
        let maps = parse_maps(TEXT).expect("well-formed");
        let find = |address| find_mapping(&maps, RunAddr(address)).map(|m| m.start.0);
        assert_eq!(find(0x55d0_c100_0000), Some(0x55d0_c100_0000));
        assert_eq!(find(0x55d0_c102_0fff), Some(0x55d0_c100_0000));
        assert_eq!(find(0x55d0_c102_1000), None);
        assert_eq!(find(0), None);
    }

    #[test]
    fn our_own_maps_are_understood() {
        let pid = Pid(std::process::id().cast_signed());
        let maps = maps(pid).expect("readable");
        let here = RunAddr(our_own_maps_are_understood as *const () as usize as u64);
        assert!(find_mapping(&maps, here).expect("mapped").execute);
        assert!(maps.iter().any(|m| m.is_named("[vdso]")));
    }
}
