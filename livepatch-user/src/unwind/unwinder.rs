//! Rows of call-frame information by instruction pointer, for all images of a process.

use super::call_site::{LONGEST_CALL, ends_with_call};
use super::error::WalkError;
use super::image::{Image, ImageSpec};
use super::region::AddressSpace;
use super::registers::RegisterFile;
use super::row::Row;
use super::signal_frame;
use super::snapshot::StackSnapshot;
use super::step::step;
use crate::memory::Memory;
use gimli::UnwindContext;
use livepatch_bundle::RunAddr;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// Where a frame is: an instruction about to be executed, or one that a call returns to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pc {
    pub(crate) address: RunAddr,
    /// Top frame, or interrupted by a signal. Otherwise the frame is at the call *before* the address, which may be
    /// the last instruction of its function (a call of `abort`).
    pub(crate) exact: bool,
}

impl Pc {
    /// The address whose row applies.
    fn lookup(self) -> RunAddr {
        self.address.offset(if self.exact { 0 } else { -1 })
    }
}

/// What is known about one instruction pointer.
pub(crate) struct Site {
    /// `None` where there is no row.
    row: Option<Row>,
    image: Option<u32>,
    /// A call instruction ends right before it.
    after_call: bool,
    /// Its row says that nothing called it, and that is so.
    starts_thread: bool,
}

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
        let stale: Vec<usize> = self
            .images
            .iter()
            .enumerate()
            .filter(|(_, image)| has_changed(image, space))
            .map(|(number, _)| number)
            .collect();
        if !stale.is_empty() {
            stale
                .iter()
                .for_each(|number| self.images[*number].discard_tables());
            self.forget_sites();
        }
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

impl Site {
    /// Why the row does not serve.
    fn error(&self, pc: Pc) -> WalkError {
        let exact = pc.exact;
        let pc = pc.address;
        if self.image.is_none() {
            WalkError::UnknownCode { pc }
        } else if !exact && !self.after_call {
            WalkError::NotAfterCall { pc }
        } else {
            WalkError::NoRow { pc }
        }
    }
}

/// Bytes before the first call of a thread within which the system call lies that made it: in `clone` of every C
/// library a few instructions.
const CLONE: usize = 64;
/// Bytes behind the entry point of a program within which it calls the C library.
const START: u64 = 128;

/// Whether threads start in the function that returns to `pc`: a program's entry point, or one that makes the system
/// call `clone`. A coroutine's first function may call itself outermost, too.
fn starts_thread(pc: RunAddr, entry: Option<RunAddr>, memory: &dyn Memory) -> bool {
    let behind_entry = entry.is_some_and(|entry| pc.0.wrapping_sub(entry.0) < START);
    let mut before = [0; CLONE];
    let start = RunAddr(pc.0.wrapping_sub(CLONE as u64));
    let read = memory.read(start, &mut before).is_ok();
    behind_entry || (read && before.windows(2).any(|code| code == signal_frame::SYSCALL))
}

/// Whether the bytes before `address` are a call instruction; near the start of a mapping there are fewer.
pub(crate) fn follows_call(address: RunAddr, memory: &dyn Memory) -> bool {
    let mut before = [0; LONGEST_CALL];
    let readable = (2..=LONGEST_CALL).rev().find(|len| {
        let start = RunAddr(address.0.wrapping_sub(*len as u64));
        memory.read(start, &mut before[..*len]).is_ok()
    });
    readable.is_some_and(|len| ends_with_call(&before[..len]))
}

fn has_changed(image: &Image, space: &dyn AddressSpace) -> bool {
    let fingerprint = image
        .known_tables()
        .and_then(|tables| tables.fingerprint.as_ref());
    fingerprint
        .is_some_and(|(address, bytes)| space.read_vec(*address, bytes.len()).as_ref() != Ok(bytes))
}

/// Multiplicative hashing: the keys are instruction pointers, and there are at most [`MAX_SITES`] of them.
#[derive(Default)]
pub(crate) struct PcHasher(u64);

impl Hasher for PcHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let product = u128::from(self.0 ^ value) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}
