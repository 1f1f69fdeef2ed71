//! `livepatch symbols`: names of new code, for tools that do not find them by themselves.
//!
//! A patch is an ELF image in the memory of the process (`link::view`), in a memory file. libdwfl (eu-stack) reads it there. For the others:
//!
//! - an ELF file for each patch, the same bytes;
//! - `livepatch-PID.gdb`, commands for gdb(1) to load them;
//! - `livepatch-PID.build-ids`, for `perf inject --known-build-ids`: perf(1) asks its cache for them (`perf buildid-cache --add`);
//! - `perf-PID.map`, a line for each function (`tools/perf/Documentation/jit-interface.txt`), for BCC and bpftrace, which look for it in `/tmp`.
//!
//! They describe one moment; nothing removes them when a patch goes.

use crate::error::Error;
use crate::install::NAME_PREFIX;
use crate::installed::Installed;
use crate::memory::Memory;
use crate::printable::one_line;
use crate::process::Pid;
use crate::record::Record;
use crate::session::Session;
use crate::whole_file::write_whole;
use livepatch_bundle::{BuildId, RunAddr};
use object::{Object, ObjectSymbol};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// A function of a patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) address: RunAddr,
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
    let (mut map, mut commands, mut build_ids) = (String::new(), String::new(), Vec::new());
    for patch in &patches {
        let image = image(&session, patch)?;
        map += &perf_map(&functions(&image, patch.prelude.base));
        let Record { name, sequence, .. } = &patch.record;
        let file = format!("livepatch-{pid}-{name}-{sequence}.elf");
        let path =
            std::path::absolute(directory.join(&file)).unwrap_or_else(|_| directory.join(&file));
        // Writing to a text cannot fail.
        let (path, base) = (path.display(), patch.prelude.base);
        let _ = writeln!(commands, "add-symbol-file \"{path}\" -o {base}");
        build_ids.extend(
            build_id(&image).map(|id| format!("{id} /memfd:{NAME_PREFIX}{name} (deleted)")),
        );
        write(file, &image)?;
    }
    write(format!("perf-{pid}.map"), map.as_bytes())?;
    write(format!("livepatch-{pid}.gdb"), commands.as_bytes())?;
    write(
        format!("livepatch-{pid}.build-ids"),
        build_ids.join(",").as_bytes(),
    )?;
    Ok(written)
}

/// The functions of a patch in a process. None where its memory cannot be read or is damaged.
pub(crate) fn patch_functions(memory: &dyn Memory, patch: &Installed) -> Vec<Function> {
    let base = patch.prelude.base;
    let image = memory.read_vec(base, patch.record.text_len as usize);
    image.map_or_else(|_| Vec::new(), |image| functions(&image, base))
}

/// The read-execute part of a patch, which is an ELF file.
fn image(session: &Session, patch: &Installed) -> Result<Vec<u8>, Error> {
    let (pid, base) = (session.pid(), patch.prelude.base);
    let bytes = session
        .memory
        .read_vec(base, patch.record.text_len as usize);
    bytes.map_err(|source| Error::Read {
        pid,
        what: "a patch's code",
        source: io::Error::other(source),
    })
}

/// All functions of an image that lies at `base`. None where the process has damaged it.
fn functions(image: &[u8], base: RunAddr) -> Vec<Function> {
    let Ok(elf) = object::File::parse(image) else {
        return Vec::new();
    };
    let function = |symbol: object::Symbol<'_, '_>| Function {
        name: one_line(&String::from_utf8_lossy(
            symbol.name_bytes().unwrap_or_default(),
        ))
        .into_owned(),
        address: RunAddr(base.0.wrapping_add(symbol.address())),
        len: symbol.size(),
    };
    elf.symbols().map(function).collect()
}

fn build_id(image: &[u8]) -> Option<BuildId> {
    let elf = object::File::parse(image).ok()?;
    BuildId::new(elf.build_id().ok()??)
}

fn perf_map(functions: &[Function]) -> String {
    let mut map = String::new();
    for Function { name, address, len } in functions {
        // Writing to a text cannot fail.
        let _ = writeln!(map, "{:x} {len:x} {name}", address.0);
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn damaged_images_have_no_functions() {
        assert_eq!(functions(b"\x7fELF", RunAddr(0x1000)), []);
        assert_eq!(build_id(&[0; 4096]), None);
    }
}
