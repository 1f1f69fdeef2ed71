//! Giving memory back: the patch's mapping, and private copies of text pages that equal the file again.

use crate::error::Error;
use crate::hands::borrow;
use crate::image::Images;
use crate::install::{Hands, Mapped, uninstall};
use crate::memory::Memory;
use crate::place::PAGE;
use crate::session::Session;
use livepatch_bundle::RunAddr;

/// Unmaps a patch and drops the private copies of `pages` where nothing distinguishes them from the file any more.
/// Returns how many bytes were unmapped.
///
/// # Errors
/// When the target could not be made to unmap it.
pub fn discard(
    session: &Session,
    images: &Images<'_>,
    mapped: Mapped,
    pages: impl Iterator<Item = RunAddr>,
) -> Result<u64, Error> {
    let restored: Vec<RunAddr> = pages
        .filter(|&page| equals_file(session, images, page))
        .collect();
    let mut hands = borrow(session)?;
    // The patch goes last: as long as its record is there, another run finds what this one did not come to.
    for page in restored {
        // Keeps a private copy that is equal to the file: a page of memory more, no harm.
        hands
            .syscall(
                libc::SYS_madvise,
                [page.0, PAGE, libc::MADV_DONTNEED as u64, 0, 0, 0],
            )
            .ok();
    }
    let unmapped = uninstall(&mut hands, mapped);
    hands.give_back()?;
    unmapped?;
    Ok(mapped.len)
}

/// Whether dropping the private copy of a text page shows the same bytes again.
fn equals_file(session: &Session, images: &Images<'_>, page: RunAddr) -> bool {
    let range = page..page.offset(PAGE.cast_signed());
    let Some(image) = images.at(page) else {
        return false;
    };
    let (Ok(file), Ok(memory)) = (
        image.file_text(&range),
        session.memory.read_vec(page, PAGE as usize),
    ) else {
        return false;
    };
    file == memory
}
