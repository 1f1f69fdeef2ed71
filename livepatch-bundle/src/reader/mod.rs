//! Decoding a bundle from bytes that nobody vouches for.
//!
//! [`elf`] checks the header and where sections lie, [`roles`] what each is for, [`decode`] turns them into
//! the model, and [`crate::verify`] has the last word. Memory use is bounded by a small multiple of the input's
//! length: sections must not overlap, and names have a budget.

mod decode;
mod elf;
mod roles;

pub(crate) use elf::Elf;

use crate::kernel::{Head, KERNEL_KIND};
use crate::signature::Trailer;
use crate::{Bundle, BundleError, Manifest, SCHEMA, format, verify};

/// Decodes and verifies a bundle.
///
/// # Errors
/// When the bytes are not a well-formed bundle of this schema. The variants of [`BundleError`] tell a file
/// that is something else from one that is damaged, and from one of another version.
pub fn read(bytes: &[u8]) -> Result<Bundle, BundleError> {
    let elf = Elf::parse(bytes)?;
    let manifest = manifest(elf.manifest()?)?;
    let roles = roles::Roles::assign(&elf)?;
    signature(&elf, bytes)?;
    let bundle = decode::decode(&elf, &roles, manifest)?;
    verify(&bundle)?;
    Ok(bundle)
}

/// A signature's section is the end of the file, where whoever checks signatures looks for it; nothing else may look
/// like one.
fn signature(elf: &Elf<'_>, bytes: &[u8]) -> Result<(), BundleError> {
    let sections = elf.sections.iter();
    let mut named = sections.filter(|section| section.name == format::SIGNATURE);
    let section = named.next().map(|section| section.data.as_ptr_range());
    let trailer = Trailer::bytes_of(bytes).map(<[u8]>::as_ptr_range);
    if section == trailer && named.next().is_none() {
        return Ok(());
    }
    Err(BundleError::malformed(
        "the signature is not what the last section holds at the end of the file",
    ))
}

fn manifest(json: &[u8]) -> Result<Manifest, BundleError> {
    let failed = |error: serde_json::Error| BundleError::Manifest {
        source: error.into(),
    };
    let version: Head = serde_json::from_slice(json).map_err(failed)?;
    if version.kind.as_deref() == Some(KERNEL_KIND) {
        return Err(BundleError::ForKernel);
    }
    if version.schema != u64::from(SCHEMA) {
        return Err(BundleError::UnsupportedSchema {
            found: version.schema,
        });
    }
    serde_json::from_slice(json).map_err(failed)
}
