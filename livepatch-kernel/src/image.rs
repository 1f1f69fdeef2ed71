//! The kernel's image: `vmlinuz` as packages ship it, or the ELF file that is packed in it.
//!
//! ```text
//! bzImage (Documentation/arch/x86/boot.rst)
//! 0x1f1  setup_sects: sectors of 512 bytes before the protected-mode code, less one
//! 0x202  "HdrS"
//! 0x248  payload_offset, payload_length: the packed kernel, within the protected-mode code; its last four bytes
//!        are the unpacked size
//! ```
//!
//! The packed kernel is `vmlinux` without symbols, with section headers; relocations for address randomisation follow it.

use crate::cache::Cache;
use crate::unpack::{UnpackError, unpack};
use livepatch_bundle::{BuildId, LinkAddr};
use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, SectionHeader64};
use object::read::elf::{FileHeader, SectionHeader};
use thiserror::Error;

/// Why a file cannot be used as a kernel's image.
#[derive(Debug, Error)]
pub enum ImageError {
    /// Neither a bzImage nor an ELF file.
    #[error("neither a bzImage nor an ELF file")]
    NotAnImage,
    /// The header of the bzImage is inconsistent.
    #[error("the bzImage is cut off")]
    Truncated,
    /// The packed kernel cannot be unpacked.
    #[error("cannot unpack the kernel")]
    Unpack(#[from] UnpackError),
    /// The kernel is no sound ELF file.
    #[error("the unpacked kernel is malformed")]
    Elf(#[from] object::read::Error),
    /// A section is missing.
    #[error("the kernel has no section `{0}`")]
    NoSection(&'static str),
    /// No build ID.
    #[error("the kernel has no build ID")]
    NoBuildId,
}

/// A kernel's image, unpacked.
#[derive(Debug)]
pub struct Image {
    data: Vec<u8>,
    sections: Vec<Section>,
}

/// A section of the image.
#[derive(Debug)]
struct Section {
    name: String,
    address: u64,
    size: u64,
    /// Where its contents are in `data`; empty for `SHT_NOBITS`.
    contents: std::ops::Range<usize>,
}

impl Image {
    /// Unpacks an image, or takes what a cache kept of it.
    ///
    /// # Errors
    /// When it is none, or damaged.
    pub fn parse(file: Vec<u8>, cache: Option<&Cache>) -> Result<Self, ImageError> {
        let data = if file.starts_with(&elf::ELFMAG) {
            file
        } else {
            let unpack = || Ok::<_, ImageError>(unpack(payload(&file)?)?.into_owned());
            match cache {
                Some(cache) => cache.unpacked(&file, unpack)?,
                None => unpack()?,
            }
        };
        let sections = sections(&data)?;
        Ok(Self { data, sections })
    }

    /// The contents of a section with its address.
    ///
    /// # Errors
    /// When there is no such section.
    pub fn section(&self, name: &'static str) -> Result<(LinkAddr, &[u8]), ImageError> {
        let section = self.sections.iter().find(|section| section.name == name);
        let section = section.ok_or(ImageError::NoSection(name))?;
        let data = &self.data[section.contents.clone()];
        Ok((LinkAddr(section.address), data))
    }

    /// The bytes from an address on to the end of its section; `None` where the image holds none.
    #[must_use]
    pub fn bytes_from(&self, address: LinkAddr) -> Option<&[u8]> {
        // Addresses of per-CPU variables count from 0 and are no places.
        let mut placed = self.sections.iter().filter(|section| section.address != 0);
        let section = placed.find(|one| address.0.wrapping_sub(one.address) < one.size)?;
        let skip = usize::try_from(address.0 - section.address).ok()?;
        self.data[section.contents.clone()].get(skip..)
    }

    /// The bytes of a range; `None` where the image does not hold all of them.
    #[must_use]
    pub fn bytes(&self, address: LinkAddr, len: usize) -> Option<&[u8]> {
        self.bytes_from(address)?.get(..len)
    }

    /// The kernel's build ID, as `/sys/kernel/notes` shows it.
    ///
    /// # Errors
    /// When it has none.
    pub fn build_id(&self) -> Result<BuildId, ImageError> {
        let (_, notes) = self.section(".notes")?;
        build_id_in(notes).ok_or(ImageError::NoBuildId)
    }
}

/// The build ID in the contents of a note section, such as `/sys/kernel/notes`.
#[must_use]
pub fn build_id_in(notes: &[u8]) -> Option<BuildId> {
    let mut rest = notes;
    loop {
        let word = |at: usize| {
            let bytes = rest.get(at..at + 4)?;
            usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
        };
        let (name_len, len, kind) = (word(0)?, word(4)?, word(8)?);
        let name = rest.get(12..12usize.checked_add(name_len)?)?;
        let start = 12usize.checked_add(name_len.checked_next_multiple_of(4)?)?;
        let contents = rest.get(start..start.checked_add(len)?)?;
        if name == b"GNU\0" && kind == elf::NT_GNU_BUILD_ID.0 as usize {
            return BuildId::new(contents);
        }
        rest = rest.get(start.checked_add(len.checked_next_multiple_of(4)?)?..)?;
    }
}

/// The packed kernel in a bzImage.
fn payload(file: &[u8]) -> Result<&[u8], ImageError> {
    const SECTOR: usize = 512;
    if file.get(0x202..0x206) != Some(b"HdrS") {
        return Err(ImageError::NotAnImage);
    }
    let word = |at: usize| {
        let bytes = file.get(at..at + 4)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let part = || {
        let sectors = match *file.get(0x1f1)? {
            0 => 4,
            sectors => usize::from(sectors),
        };
        let start = ((sectors + 1) * SECTOR).checked_add(word(0x248)?)?;
        // The last word is the unpacked size.
        let len = word(0x24c)?.checked_sub(4)?;
        file.get(start..start.checked_add(len)?)
    };
    part().ok_or(ImageError::Truncated)
}

fn sections(data: &[u8]) -> Result<Vec<Section>, ImageError> {
    let header = FileHeader64::<LE>::parse(data)?;
    let table = header.sections(LE, data)?;
    let read = |section: &SectionHeader64<LE>| -> Result<Section, ImageError> {
        let contents = match section.file_range(LE) {
            None => 0..0,
            Some(_) => {
                let bytes = section.data(LE, data)?;
                let start = usize::try_from(section.sh_offset(LE)).unwrap_or_default();
                start..start + bytes.len()
            }
        };
        Ok(Section {
            name: String::from_utf8_lossy(table.section_name(LE, section)?).into_owned(),
            address: section.sh_addr(LE),
            size: section.sh_size(LE),
            contents,
        })
    };
    table.iter().skip(1).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_id_is_found_among_other_notes() {
        let mut notes = Vec::new();
        for (name, kind, contents) in [(&b"Xen\0"[..], 5, &[1, 2, 3][..]), (b"GNU\0", 3, &[9; 20])]
        {
            notes.extend_from_slice(&(name.len() as u32).to_le_bytes());
            notes.extend_from_slice(&(contents.len() as u32).to_le_bytes());
            notes.extend_from_slice(&u32::to_le_bytes(kind));
            notes.extend_from_slice(name);
            notes.extend_from_slice(contents);
            notes.resize(notes.len().next_multiple_of(4), 0);
        }
        assert_eq!(build_id_in(&notes), BuildId::new(&[9; 20]));
        for end in 0..notes.len() {
            assert_eq!(build_id_in(&notes[..end]), None, "cut off at {end}");
        }
    }

    #[test]
    fn what_is_no_image_is_told() {
        assert!(matches!(
            Image::parse(b"MZ".to_vec(), None),
            Err(ImageError::NotAnImage)
        ));
        let mut header = vec![0; 0x250];
        header[0x202..0x206].copy_from_slice(b"HdrS");
        header[0x24c] = 0xff;
        assert!(matches!(
            Image::parse(header, None),
            Err(ImageError::Truncated)
        ));
    }
}
