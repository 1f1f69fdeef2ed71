//! The stack check of a process: its images, and the patches that it carries.

use crate::image::{Image, Images};
use crate::installed::Installed;
use crate::record::Record;
use crate::unwind::{ForbiddenRange, ImageSpec, StackCheck, TableSource, Unwinder};
use livepatch_bundle::RunAddr;
use std::sync::Arc;

/// A check that no thread is inside `forbidden`.
#[must_use]
pub fn stack_check(
    images: &Images<'_>,
    patches: &[Installed],
    forbidden: Vec<ForbiddenRange>,
) -> StackCheck {
    stack_check_with(images, patches, None, forbidden)
}

/// The same, of a process with a patch more.
#[must_use]
pub fn stack_check_with(
    images: &Images<'_>,
    patches: &[Installed],
    placed: Option<(RunAddr, &Record)>,
    forbidden: Vec<ForbiddenRange>,
) -> StackCheck {
    let known = patches
        .iter()
        .map(|patch| (patch.prelude.base, &patch.record));
    let specs = images
        .iter()
        .map(of_image)
        .chain(known.chain(placed).map(of_patch))
        .collect();
    StackCheck::new(forbidden, Unwinder::new(specs))
}

fn of_image(image: &Image<'_>) -> ImageSpec {
    ImageSpec {
        label: image.label(),
        code: image
            .executable_ranges()
            .iter()
            .map(|range| (range.start, range.end))
            .collect(),
        bias: image.bias(),
        tables: TableSource::Elf {
            header: image.header(),
            file: sections_of(image),
        },
    }
}

/// The file of an image without `PT_GNU_EH_FRAME`, as `gcc -static` links them: its section headers lead to `.eh_frame`.
fn sections_of(image: &Image<'_>) -> Option<Arc<[u8]>> {
    if image.eh_frame_hdr().is_some() {
        return None;
    }
    image.file_bytes().map(Arc::from)
}

fn of_patch((base, record): (RunAddr, &Record)) -> ImageSpec {
    let (offset, len) = record.unwind;
    let tables = match len {
        0 => TableSource::None,
        len => TableSource::EhFrame {
            start: RunAddr(base.0 + offset),
            len: len as usize,
        },
    };
    ImageSpec {
        label: format!("livepatch:{}", record.name),
        code: vec![(base, RunAddr(base.0 + record.text_len))],
        bias: base.0,
        tables,
    }
}
