//! Making the unwind records (`.eh_frame`) of new code known to the target's unwinders, and unknown again.
//!
//! The loader's list of images, in which unwinders look for records, does not have the patch. Without more, an exception
//! that meets a frame of new code ends the program (`std::terminate`), whether the new code throws, catches, cleans up or is
//! only passed through. So each unwinder that the process has is told, by the function that JIT compilers use
//! ([`unwinder`]), before any entry leads to the new code, while all threads run; and asked afterwards whether it
//! finds the records. Before the patch is unmapped it is told the other way.
//!
//! Registering allocates and locks, so it happens on a thread that [`crate::calls`] finds.

mod records;
mod unwinder;

pub use unwinder::{Unusable, Unwinder, unwinders};

use crate::calls::{Need, Turn};
use crate::error::Error;
use crate::image::Images;
use crate::memory::Memory;
use crate::placed::Placed;
use crate::remote::RemoteError;
use livepatch_bundle::{Bundle, RunAddr, SectionKind};
use std::time::Duration;
use thiserror::Error;

/// How long an unwinder may take: libgcc sorts all records that it was told of when it is first asked.
const TIME: Duration = Duration::from_secs(5);

/// Why new code's unwind records are not known to an unwinder.
#[derive(Debug, Error)]
pub enum FramesError {
    /// New code handles exceptions, and this unwinder cannot be told about it.
    #[error("new code handles exceptions, and {0}")]
    Unusable(Unusable),
    /// New code handles exceptions, and nothing in the process would ever come to it.
    #[error(
        "new code handles exceptions, and the process has no unwinder that is known (`_Unwind_RaiseException`)"
    )]
    NoUnwinder,
    /// The call failed.
    #[error("`{function}` of `{image}` could not be called: {source}")]
    Call {
        /// The function.
        function: &'static str,
        /// The unwinder's file.
        image: String,
        /// Why.
        source: RemoteError,
    },
    /// It was told and does not find the records, or finds them although it was told to forget.
    #[error("`{image}` {} the unwind records of the new code", if *.found { "still finds" } else { "does not find" })]
    NotTaken {
        /// The unwinder's file.
        image: String,
        /// Whether it finds them.
        found: bool,
    },
    /// The records cannot be read.
    #[error("the unwind records of the new code cannot be read")]
    Unreadable,
}

/// The unwinders that must be told about the new code of `bundle` in the module whose first byte is at `module`.
///
/// # Errors
/// When new code handles exceptions and one of the unwinders cannot be told. Unwinders that new code is only passed
/// through by are left out with a warning.
pub fn needed(
    images: &Images<'_>,
    module: RunAddr,
    bundle: &Bundle,
) -> Result<Vec<Unwinder>, FramesError> {
    let has_records = |section: &&livepatch_bundle::Section| section.kind == SectionKind::Unwind;
    let Some(records) = bundle.sections.iter().find(has_records) else {
        return Ok(Vec::new());
    };
    let handles = records::handle_exceptions(records);
    let (usable, unusable) = unwinders(images, module);
    for one in unusable {
        if handles {
            return Err(FramesError::Unusable(one));
        }
        tracing::warn!("exceptions cannot pass through the new code: {one}");
    }
    if handles && usable.is_empty() {
        return Err(FramesError::NoUnwinder);
    }
    Ok(usable)
}

/// The unwind records of a patch in the target.
pub struct Frames<'a>(pub Placed<'a>);

impl Frames<'_> {
    /// Tells the unwinders. On failure none knows the records.
    ///
    /// # Errors
    /// When one cannot be told, or does not find the records afterwards.
    pub fn register(&self, unwinders: &[Unwinder]) -> Result<(), Error> {
        if unwinders.is_empty() || self.0.record.unwind.1 == 0 {
            return Ok(());
        }
        let probe = self.probe()?;
        let mut caller = self.0.caller();
        let mut turn = caller.turn(Need::Unwinder)?;
        let mut told = 0;
        let outcome = unwinders.iter().try_for_each(|unwinder| {
            told += 1;
            self.call(&mut turn, unwinder, unwinder.register)?;
            self.expect(&mut turn, unwinder, probe, true)
        });
        if outcome.is_err() {
            for unwinder in &unwinders[..told] {
                if let Err(error) = self.forget(&mut turn, unwinder, probe) {
                    tracing::warn!("{error}");
                }
            }
        }
        let ended = turn.end();
        outcome.map_err(|error| self.error(error)).and(ended)
    }

    /// Lets every unwinder that finds the records forget them.
    ///
    /// # Errors
    /// When one cannot be told, or finds them still: the patch must then stay mapped.
    pub fn deregister(&self) -> Result<(), Error> {
        if self.0.record.unwind.1 == 0 {
            return Ok(());
        }
        let (unwinders, _) = unwinders(self.0.images, self.0.record.module.start);
        if unwinders.is_empty() {
            return Ok(());
        }
        let probe = self.probe()?;
        let mut caller = self.0.caller();
        let mut turn = caller.turn(Need::Unwinder)?;
        let outcome = unwinders
            .iter()
            .try_for_each(|unwinder| self.forget(&mut turn, unwinder, probe));
        let ended = turn.end();
        outcome.map_err(|error| self.error(error)).and(ended)
    }

    fn error(&self, source: FramesError) -> Error {
        Error::Frames {
            pid: self.0.session.pid(),
            source: Box::new(source),
        }
    }

    /// Where the records begin.
    fn start(&self) -> RunAddr {
        RunAddr(self.0.base.0 + self.0.record.unwind.0)
    }

    /// An address whose record an unwinder that knows the records finds.
    fn probe(&self) -> Result<RunAddr, Error> {
        let len = self.0.record.unwind.1 as usize;
        let bytes = self.0.session.memory.read_vec(self.start(), len);
        let probe = bytes
            .ok()
            .and_then(|bytes| records::first_code(&bytes, self.start()));
        probe.ok_or_else(|| self.error(FramesError::Unreadable))
    }

    fn forget(
        &self,
        turn: &mut Turn<'_, '_>,
        unwinder: &Unwinder,
        probe: RunAddr,
    ) -> Result<(), FramesError> {
        // To forget what it does not know, libgcc takes for a bug and ends the program.
        if !self.finds(turn, unwinder, probe)? {
            return Ok(());
        }
        self.call(turn, unwinder, unwinder.deregister)?;
        self.expect(turn, unwinder, probe, false)
    }

    fn call(
        &self,
        turn: &mut Turn<'_, '_>,
        unwinder: &Unwinder,
        (name, function): (&'static str, RunAddr),
    ) -> Result<(), FramesError> {
        let called = turn.call(TIME, function, [self.start().0, 0, 0, 0, 0, 0]);
        called
            .map(drop)
            .map_err(|source| unwinder.failed(name, source))
    }

    fn expect(
        &self,
        turn: &mut Turn<'_, '_>,
        unwinder: &Unwinder,
        probe: RunAddr,
        wanted: bool,
    ) -> Result<(), FramesError> {
        let found = self.finds(turn, unwinder, probe)?;
        if found == wanted {
            return Ok(());
        }
        let image = unwinder.image.clone();
        Err(FramesError::NotTaken { image, found })
    }

    /// Whether the unwinder finds our record for `probe`.
    fn finds(
        &self,
        turn: &mut Turn<'_, '_>,
        unwinder: &Unwinder,
        probe: RunAddr,
    ) -> Result<bool, FramesError> {
        let (name, function) = unwinder.find;
        let failed = |source| unwinder.failed(name, source);
        // struct dwarf_eh_bases { void *tbase, *dbase, *func; }
        let bases = turn.lend(&[0; 24]).map_err(failed)?;
        let arguments = [probe.0, bases.0, 0, 0, 0, 0];
        let record = turn.call(TIME, function, arguments).map_err(failed)?;
        let offset = record.wrapping_sub(self.start().0);
        Ok(offset < self.0.record.unwind.1)
    }
}
