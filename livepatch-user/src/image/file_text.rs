//! What the file has for a range of memory.

use super::image::Image;
use super::unusable::Unusable;
use livepatch_bundle::RunAddr;
use std::ops::Range;

/// More than any statically linked program has.
const FILE_MAX: u64 = 1 << 30;

impl Image<'_> {
    /// The bytes that the file has for a range of run-time addresses in one segment, to tell whether a private
    /// copy of a page equals the file again. Bytes of the last page behind the segment are the file's, too, as
    /// they are in memory.
    ///
    /// # Errors
    /// When the file is not what runs, or the range does not come from it.
    pub fn file_text(&self, range: &Range<RunAddr>) -> Result<Vec<u8>, &Unusable> {
        let trusted = self.file()?;
        let bytes = self.file_range(range).and_then(|offsets| {
            trusted
                .file
                .read(offsets.start, offsets.end - offsets.start)
        });
        bytes.ok_or(&Unusable::NotInFile)
    }

    /// The whole file, if it is what runs and no larger than any program should be.
    #[must_use]
    pub fn file_bytes(&self) -> Option<Vec<u8>> {
        let file = &self.file().ok()?.file;
        let len = file.len();
        (len <= FILE_MAX).then(|| file.read(0, len)).flatten()
    }

    fn file_range(&self, range: &Range<RunAddr>) -> Option<Range<u64>> {
        let len = range.end.0.checked_sub(range.start.0)?;
        let mapping = self.mappings.iter().find(|map| map.contains(range.start))?;
        let start = range.start.0 - mapping.start.0;
        let fits = range.end <= mapping.end && self.is_own(mapping);
        let offset = start.checked_add(mapping.offset)?;
        fits.then_some(offset..offset.checked_add(len)?)
    }
}
