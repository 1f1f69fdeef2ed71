//! A patch that lies in a process, in force or on its way.

use crate::calls::Caller;
use crate::image::Images;
use crate::installed::Installed;
use crate::record::Record;
use crate::session::Session;
use livepatch_bundle::RunAddr;

/// A patch and the process that has it.
#[derive(Clone, Copy)]
pub struct Placed<'a> {
    /// The process.
    pub session: &'a Session,
    /// Its images.
    pub images: &'a Images<'a>,
    /// The patches that were found in it; this one may not be among them yet.
    pub patches: &'a [Installed],
    /// Where the patch lies.
    pub base: RunAddr,
    /// What it says about itself.
    pub record: &'a Record,
}

impl<'a> Placed<'a> {
    /// Finds threads on which functions may be called, this patch's included.
    #[must_use]
    pub fn caller(&self) -> Caller<'a> {
        let mut known = self.patches.iter();
        let known = known.any(|patch| patch.prelude.base == self.base);
        let placed = (!known).then_some((self.base, self.record));
        Caller::new(self.session, self.images, self.patches, self.base, placed)
    }
}
