//! Rows of call-frame information by instruction pointer, for all images of a process.

use super::error::WalkError;
use super::image::{Image, ImageSpec};
use super::region::AddressSpace;
use super::registers::RegisterFile;
use super::row::Row;
use super::signal_frame;
use super::site::{Pc, PcHasher, Site, follows_call, starts_thread};
use super::snapshot::StackSnapshot;
use super::step::step;
use crate::memory::Memory;
use gimli::UnwindContext;
use livepatch_bundle::RunAddr;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

/// The images of a process and the rows that were needed so far.
///
/// Built while the target runs. Tables are read from its memory when the first frame in an image is met, and each row
/// is decoded once, so a rehearsal before the stop leaves only hash look-ups for the stop.
pub struct Unwinder {
    images: Vec<Image>,
    /// Start, end and image of each executable mapping, ascending.
    code: Vec<(RunAddr, RunAddr, u32)>,
    /// Number of the site of each return address, and of each exact instruction pointer.
    known: [HashMap<u64, u32, BuildHasherDefault<PcHasher>>; 2],
    sites: Vec<Site>,
    context: UnwindContext<usize>,
    /// Room for what fingerprints are now.
    fingerprints: Vec<u8>,
}

/// More sites than any program has call sites on its stacks at one time; hostile stacks end here.
const MAX_SITES: usize = 1 << 20;

impl Unwinder {
    /// The images of a process; nothing is read yet.
    #[must_use]
    pub fn new(specs: Vec<ImageSpec>) -> Self {
        let mut code = Vec::new();
        for (number, spec) in (0..).zip(&specs) {
            code.extend(spec.code.iter().map(|(start, end)| (*start, *end, number)));
        }
        code.sort_unstable();
        Self {
            images: specs.into_iter().map(Image::new).collect(),
            code,
            known: Default::default(),
            sites: Vec::new(),
            context: UnwindContext::new(),
            fingerprints: Vec::new(),
        }
    }

    /// Reads the tables of all images ahead of the stop, for threads of which nothing is known before they stand.
    pub fn prepare_tables(&mut self, memory: &dyn Memory) {
        for image in &self.images {
            image.tables(memory);
        }
    }

    /// Decodes the row for an instruction pointer (`exact`) or a return address ahead of the stop. Returns whether
    /// there is one.
    pub fn prepare_pc(&mut self, pc: RunAddr, exact: bool, memory: &dyn Memory) -> bool {
        let index = self.site(Pc { address: pc, exact }, memory);
        self.sites[index].row.is_some()
    }

    /// Whether `address` is in an executable mapping of a known image.
    #[must_use]
    pub fn is_code(&self, address: RunAddr) -> bool {
        self.image_at(address).is_some()
    }

    /// Instruction pointers and return addresses whose rows are known, to tell how warm it is.
    #[must_use]
    pub fn known_sites(&self) -> usize {
        self.sites.len()
    }

    /// Label of the image that `address` is in, and its link-time address there.
    #[must_use]
    pub fn locate(&self, address: RunAddr) -> Option<(Arc<str>, u64)> {
        let image = &self.images[self.image_at(address)? as usize];
        Some((Arc::clone(&image.label), address.unbias(image.bias).0))
    }

    /// Drops the rows of images that are no longer what is mapped there (a library closed, another loaded in its
    /// place), so that frames in it are unknown.
    pub fn revalidate(&mut self, space: &dyn AddressSpace) {
        if self.all_same(space) {
            return;
        }
        for image in self.images.iter_mut().filter(|image| image.in_use) {
            if !image.is_same(space) {
                image.discard_tables();
            }
        }
        self.forget_sites();
    }

    /// Compares the fingerprints of all images in use in one read.
    fn all_same(&mut self, space: &dyn AddressSpace) -> bool {
        let in_use = self.images.iter().filter(|image| image.in_use);
        let wanted: Vec<_> = in_use.filter_map(Image::fingerprint).collect();
        self.fingerprints
            .resize(wanted.iter().map(|(_, bytes)| bytes.len()).sum(), 0);
        let mut rest = self.fingerprints.as_mut_slice();
        let mut requests = Vec::with_capacity(wanted.len());
        for (address, bytes) in &wanted {
            let (now, more) = rest.split_at_mut(bytes.len());
            requests.push((*address, now));
            rest = more;
        }
        space.read_bulk(&mut requests).is_ok()
            && requests
                .iter()
                .zip(&wanted)
                .all(|((_, now), (_, before))| now == before)
    }

    fn forget_sites(&mut self) {
        self.known.iter_mut().for_each(HashMap::clear);
        self.sites.clear();
    }

    /// Applies the row at `pc`; see [`step`].
    pub(crate) fn step(
        &mut self,
        pc: Pc,
        registers: &RegisterFile,
        caller: &mut RegisterFile,
        stack: &mut StackSnapshot<'_>,
    ) -> Result<Stepped, WalkError> {
        let index = self.site(pc, stack.memory());
        let site = &self.sites[index];
        let signal = site.row.as_ref().is_some_and(Row::is_signal);
        let row = match &site.row {
            Some(row) if pc.exact || signal || site.after_call => row,
            _ => return Err(site.error(pc)),
        };
        let tables = site
            .image
            .and_then(|image| self.images[image as usize].known_tables());
        let section = tables.map_or(&[][..], |tables| tables.section.bytes());
        match step(row, section, registers, caller, stack)? {
            true if signal => Ok(Stepped::Signal),
            true => Ok(Stepped::Call),
            false if site.starts_thread => Ok(Stepped::Outermost),
            false => Err(WalkError::StrangeEnd { pc: pc.address }),
        }
    }

    /// Whether `address` is the code that returns from a signal handler.
    pub(crate) fn returns_from_signal(&mut self, address: RunAddr, memory: &dyn Memory) -> bool {
        let index = self.site(
            Pc {
                address,
                exact: false,
            },
            memory,
        );
        self.sites[index].row.as_ref().is_some_and(Row::is_signal)
    }

    fn site(&mut self, pc: Pc, memory: &dyn Memory) -> usize {
        if let Some(index) = self.known[usize::from(pc.exact)].get(&pc.address.0) {
            return *index as usize;
        }
        if self.sites.len() >= MAX_SITES {
            self.forget_sites();
        }
        let site = self.examine(pc, memory);
        let index = u32::try_from(self.sites.len()).expect("bounded by MAX_SITES");
        self.sites.push(site);
        self.known[usize::from(pc.exact)].insert(pc.address.0, index);
        index as usize
    }

    fn examine(&mut self, pc: Pc, memory: &dyn Memory) -> Site {
        let image = self.image_at(pc.lookup());
        if let Some(image) = image {
            self.images[image as usize].begin_use(memory);
        }
        let tables = image.and_then(|image| self.images[image as usize].tables(memory));
        let row = tables.and_then(|tables| tables.section.row(pc.lookup(), &mut self.context));
        let entry = tables.and_then(|tables| tables.entry);
        let outermost = matches!(row, Some(Row::Outermost));
        let signal_return =
            || signal_frame::is_restorer(pc.address, memory).then_some(Row::SignalReturn);
        Site {
            row: row.or_else(signal_return),
            image,
            after_call: follows_call(pc.address, memory),
            starts_thread: outermost && starts_thread(pc.address, entry, memory),
        }
    }

    fn image_at(&self, address: RunAddr) -> Option<u32> {
        let after = self.code.partition_point(|(start, ..)| *start <= address);
        let (_, end, image) = self.code.get(after.checked_sub(1)?)?;
        (address < *end).then_some(*image)
    }
}

/// What kind of frame a step left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stepped {
    /// One that was called.
    Call,
    /// One that the kernel made to deliver a signal.
    Signal,
    /// One that nothing called.
    Outermost,
}
