//! Debug sections as a debugger would see them: decompressed, and with relocations applied.
//!
//! Nothing here is trusted: what does not fit is left out, and no more is decompressed than the input allows.

use super::Object;
use super::raw::{Place, Section};
use flate2::{Decompress, FlushDecompress, Status};
use livepatch_bundle::{Class, RelocKind};
use object::elf;
use ruzstd::decoding::StreamingDecoder;
use std::borrow::Cow;
use std::io::Read;

/// The number of a section that is loaded goes above the offset, to make an address of both.
pub const SECTION_SHIFT: u32 = 40;

/// The size of `Elf64_Chdr`, before compressed contents.
const COMPRESSION_HEADER: usize = 24;

/// Deflate reaches 1032:1; debug information that zstd compressed further is none.
const RATIO_MAX: u64 = 1032;

/// The contents of a debug section; `None` when they are compressed in a way that is not understood.
///
/// Offsets into other debug sections are filled in as they are; addresses of code and data get the number of their
/// section above [`SECTION_SHIFT`].
#[must_use]
pub fn contents<'d>(object: &Object<'d>, section: &Section<'d>) -> Option<Cow<'d, [u8]>> {
    let mut data = if section.has(elf::SHF_COMPRESSED) {
        Cow::Owned(decompressed(section.data)?)
    } else {
        Cow::Borrowed(section.data)
    };
    if !section.relocations.is_empty() {
        relocate(object, section, data.to_mut());
    }
    Some(data)
}

/// The size of the section's contents when they are decompressed, as `Elf64_Chdr` says it.
#[must_use]
pub fn full_size(data: &[u8]) -> Option<u64> {
    let field = data.get(8..16)?;
    Some(u64::from_le_bytes(field.try_into().ok()?))
}

// Elf64_Chdr: ch_type (4), reserved (4), ch_size (8), ch_addralign (8)
fn decompressed(data: &[u8]) -> Option<Vec<u8>> {
    let kind = u32::from_le_bytes(data.get(..4)?.try_into().ok()?);
    let size = full_size(data)?;
    let packed = data.get(COMPRESSION_HEADER..)?;
    let plausible = size <= (packed.len() as u64).saturating_mul(RATIO_MAX);
    if !plausible {
        return None;
    }
    let size = usize::try_from(size).ok()?;
    let unpacked = match kind {
        kind if kind == elf::ELFCOMPRESS_ZLIB.0 => inflated(packed, size)?,
        kind if kind == elf::ELFCOMPRESS_ZSTD.0 => zstd(packed, size)?,
        _ => return None,
    };
    (unpacked.len() == size).then_some(unpacked)
}

fn inflated(packed: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut unpacked = Vec::with_capacity(size);
    let status =
        Decompress::new(true).decompress_vec(packed, &mut unpacked, FlushDecompress::Finish);
    matches!(status, Ok(Status::StreamEnd)).then_some(unpacked)
}

/// At most one byte more than `size`, so that what is too long is seen.
fn zstd(packed: &[u8], size: usize) -> Option<Vec<u8>> {
    let decoder = StreamingDecoder::new(packed).ok()?;
    let mut unpacked = Vec::with_capacity(size);
    let most = (size as u64).saturating_add(1);
    decoder.take(most).read_to_end(&mut unpacked).ok()?;
    Some(unpacked)
}

fn relocate(object: &Object<'_>, section: &Section<'_>, data: &mut [u8]) {
    for entry in section.relocations.iter() {
        let Some(kind) = RelocKind::from_elf(entry.number) else {
            continue;
        };
        let (Place::Section(number), symbol) = object.symbols.place(entry.symbol) else {
            continue;
        };
        let base = if object.sections[number].is_loaded() {
            (number as u64) << SECTION_SHIFT
        } else {
            0
        };
        let value = base.wrapping_add(symbol).wrapping_add_signed(entry.addend);
        let Ok(start) = usize::try_from(entry.offset) else {
            continue;
        };
        let field = start
            .checked_add(kind.width())
            .and_then(|end| data.get_mut(start..end));
        if let (Some(field), Class::Absolute) = (field, kind.class()) {
            field.copy_from_slice(&value.to_le_bytes()[..kind.width()]);
        }
    }
}
