//! MiniDebugInfo (gdb manual): `.gnu_debugdata` holds an xz-compressed ELF file with the symbols of functions
//! that `.dynsym` does not have.

use super::elf_file::ElfFile;
use super::files::{Trusted, same_layout};
use super::image::Image;
use super::table::SymbolTable;
use super::unusable::Unusable;
use lzma_rust2::XzReader;
use std::io::{self, Read};

const MAX_UNPACKED: u64 = 128 << 20;
/// xz -9 asks for 65 MiB.
const MAX_MEMORY_KIB: u32 = 128 << 10;

/// Unpacks the section of the image's file and reads the symbols in it.
pub(super) fn read(image: &Image<'_>, trusted: &Trusted) -> Result<SymbolTable, Unusable> {
    let path = trusted.path.clone();
    let Some(packed) = trusted.file.section(".gnu_debugdata") else {
        return Err(Unusable::Absent {
            path,
            table: ".gnu_debugdata",
        });
    };
    let unpacked = match unpack(&packed) {
        Ok(unpacked) => unpacked,
        Err(source) => return Err(Unusable::Unpack { path, source }),
    };
    let Some(file) = ElfFile::from_bytes(unpacked) else {
        return Err(Unusable::Malformed { path });
    };
    if !same_layout(image, &file) {
        return Err(Unusable::Layout { path });
    }
    file.symbols().ok_or(Unusable::Absent {
        path,
        table: ".symtab in .gnu_debugdata",
    })
}

fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    let reader = XzReader::new_mem_limit(packed, false, MAX_MEMORY_KIB);
    let len = reader.take(MAX_UNPACKED + 1).read_to_end(&mut unpacked)?;
    if len as u64 > MAX_UNPACKED {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it grows beyond 128 MiB",
        ));
    }
    Ok(unpacked)
}
