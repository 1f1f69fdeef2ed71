//! `livepatch symbols`: names of new code, for tools that do not find them by themselves.
//!
//! New code lies in a memory file that has no symbols. Three kinds of files tell debuggers and profilers about it:
//!
//! - `perf-PID.map`, a line for each function (`tools/perf/Documentation/jit-interface.txt`), which perf(1) looks for in `/tmp`;
//! - an ELF file for each patch with its code, symbols and call-frame information at the addresses where they lie (`elf`);
//! - `livepatch-PID.gdb`, commands for gdb(1) to load them.
//!
//! They describe one moment; nothing removes them when a patch goes.

mod elf;

use crate::error::Error;
use crate::installed::Installed;
use crate::memory::Memory;
use crate::process::Pid;
use crate::session::Session;
use crate::whole_file::write_whole;
use livepatch_bundle::RunAddr;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// A function of a patch.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Function {
    name: String,
    address: RunAddr,
    len: u64,
}

/// Writes the files for a process to `directory` and tells which; none for a process without patches.
///
/// # Errors
/// When the process cannot be read, or a file not be written.
pub fn symbols(pid: Pid, directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let session = Session::open_to_read(pid)?;
    let images = session.images(&[]);
    let patches = session.patches(&images).patches;
    let mut written = Vec::new();
    if patches.is_empty() {
        return Ok(written);
    }
    let mut write = |name: String, bytes: &[u8]| {
        let path = directory.join(name);
        write_whole(&path, bytes).map_err(|source| Error::Write {
            path: path.clone(),
            source,
        })?;
        written.push(path);
        Ok::<(), Error>(())
    };
    let (mut map, mut commands) = (String::new(), String::new());
    for patch in &patches {
        let functions = functions(patch);
        map += &perf_map(&functions);
        let name = format!(
            "livepatch-{pid}-{}-{}.elf",
            patch.record.name, patch.record.sequence
        );
        let file = elf_file(&session, patch, &functions)?;
        let path =
            std::path::absolute(directory.join(&name)).unwrap_or_else(|_| directory.join(&name));
        // Writing to a text cannot fail.
        let _ = writeln!(commands, "add-symbol-file \"{}\"", path.display());
        write(name, &file)?;
    }
    write(format!("perf-{pid}.map"), map.as_bytes())?;
    write(format!("livepatch-{pid}.gdb"), commands.as_bytes())?;
    Ok(written)
}

/// All functions of a patch, ascending: those that replace others by the names of these, others by where they lie.
fn functions(patch: &Installed) -> Vec<Function> {
    let mut entries: Vec<RunAddr> = patch.entries().collect();
    entries.sort_unstable();
    entries.dedup();
    let end = patch.code().1;
    let ends = entries.iter().skip(1).copied().chain([end]);
    let function = |(address, next): (RunAddr, RunAddr)| {
        let mut redirects = patch.record.functions.iter();
        let (name, len) = match redirects.find(|redirect| redirect.new == address) {
            Some(redirect) => (redirect.name.clone(), redirect.new_len),
            None => {
                let offset = address.0.saturating_sub(patch.prelude.base.0);
                (
                    format!("{}+{offset:#x}", patch.record.name),
                    next.0.saturating_sub(address.0),
                )
            }
        };
        Function { name, address, len }
    };
    entries.iter().copied().zip(ends).map(function).collect()
}

fn perf_map(functions: &[Function]) -> String {
    let mut map = String::new();
    for Function { name, address, len } in functions {
        // Writing to a text cannot fail.
        let _ = writeln!(map, "{:x} {len:x} {name}", address.0);
    }
    map
}

fn elf_file(
    session: &Session,
    patch: &Installed,
    functions: &[Function],
) -> Result<Vec<u8>, Error> {
    let pid = session.pid();
    let read = |start: RunAddr, end: RunAddr| {
        let bytes = session.memory.read_vec(start, (end.0 - start.0) as usize);
        bytes
            .map(|bytes| (start, bytes))
            .map_err(|source| Error::Read {
                pid,
                what: "a patch's code",
                source: io::Error::other(source),
            })
    };
    let (start, end) = patch.code();
    let (offset, len) = patch.record.unwind;
    let frames = RunAddr(patch.prelude.base.0 + offset);
    let file = elf::File {
        code: read(start, end)?,
        frames: match len {
            0 => None,
            len => Some(read(frames, RunAddr(frames.0 + len))?),
        },
        functions,
    };
    file.encode().map_err(|source| Error::Read {
        pid,
        what: "a patch's code",
        source: io::Error::other(source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::{Object, ObjectSection, ObjectSymbol};

    fn some() -> Vec<Function> {
        let function = |name: &str, address, len| Function {
            name: name.into(),
            address: RunAddr(address),
            len,
        };
        vec![
            function("f", 0x7f00_1100, 0x20),
            function("fix+0x40", 0x7f00_1140, 8),
        ]
    }

    #[test]
    fn perf_reads_start_length_and_name() {
        assert_eq!(perf_map(&some()), "7f001100 20 f\n7f001140 8 fix+0x40\n");
    }

    #[test]
    fn the_elf_file_has_everything_where_it_lies() {
        let functions = some();
        let file = elf::File {
            code: (RunAddr(0x7f00_1100), vec![0xc3; 0x48]),
            frames: Some((RunAddr(0x7f00_2000), vec![1, 2, 3, 4])),
            functions: &functions,
        };
        let bytes = file.encode().expect("it can be encoded");
        let elf = object::File::parse(&*bytes).expect("it is ELF");
        let section = |name| {
            let section = elf.section_by_name(name).expect("it is there");
            (
                section.address(),
                section.data().expect("in the file").to_vec(),
            )
        };
        assert_eq!(section(".text"), (0x7f00_1100, vec![0xc3; 0x48]));
        assert_eq!(section(".eh_frame"), (0x7f00_2000, vec![1, 2, 3, 4]));
        let symbols: Vec<_> = elf
            .symbols()
            .map(|symbol| {
                (
                    symbol.name().expect("it has one").to_owned(),
                    symbol.address(),
                    symbol.size(),
                )
            })
            .collect();
        let expected = [("f", 0x7f00_1100, 0x20), ("fix+0x40", 0x7f00_1140, 8)];
        assert_eq!(
            symbols,
            expected.map(|(name, at, len)| (name.to_owned(), at, len))
        );
    }
}
