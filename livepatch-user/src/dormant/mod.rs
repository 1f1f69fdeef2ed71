//! Stacks that no thread runs on at the moment: of coroutines, and of threads that run a coroutine.
//!
//! The stack check knows the stacks that threads run on. A coroutine that is suspended inside a function that is replaced would go on
//! in old code among new code, and no thread tells of it. So the memory that the program has written is searched:
//!
//! 1. for words that are return addresses into forbidden code and lie on no stack that a thread runs on (`zones`);
//! 2. only if there are any, for what could be the saved state of a suspended stack below them (`contexts`): a `jmp_buf` of glibc
//!    (with its pointers revealed), a `ucontext_t`, or a bare stack pointer, as the usual assembly routines leave it;
//! 3. from each such state the stack is unwound by call-frame information. If that arrives in forbidden code, the stack holds it.
//!
//! A word that no saved state leads to is data, or left over from calls that are finished, and holds nothing. What unwinding
//! arrives at may be left over as well, when a coroutine has ended and its last saved state is still there; the user, who may
//! know, names the word that does not count ([`Options::ignored`](crate::apply::Options::ignored)).
//!
//! The search costs the target nothing while it runs, and a pause if it is made within the stop. So it is made before the switch, and
//! within the stop only if something was found then; else again after the switch, when nobody can have entered old code any more:
//! what is inside then was so at the switch, and the switch is taken back.

mod contexts;
mod profile;
mod thrown;
mod words;
mod zones;

pub(crate) use profile::Profilers;
pub(crate) use zones::Position;

use crate::error::Error;
use crate::process::Pid;
use crate::retire::{AddressRange, Found, Incomplete, Source, guard, total};
use crate::session::Session;
use crate::sys::pagescan::PageRun;
use crate::unwind::{AddressSpace, ForbiddenRange, StackCheck};
use contexts::{Context, Contexts};
use livepatch_bundle::RunAddr;
use std::fmt;
use thiserror::Error;
use words::Words;
use zones::Zones;

/// Memory that is searched within the stop at most; with more, the search after the switch must do.
const MOST_IN_STOP: u64 = 256 << 20;
/// How far a frame of forbidden code may lie above the saved stack pointer.
const DEEPEST: u64 = 256 << 10;
/// Holders that a report names at most.
const MOST_REPORTED: usize = 16;

/// A stack that no thread runs on and that holds forbidden code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dormant {
    /// Where the address in forbidden code lies.
    pub at: RunAddr,
    /// That address.
    pub value: RunAddr,
    /// The function.
    pub label: String,
    /// What leads there.
    pub saved: Saved,
    /// Where that lies.
    pub context: RunAddr,
}

/// How the state of a suspended stack is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// `setjmp`.
    JumpBuffer,
    /// `getcontext`, `swapcontext`.
    Ucontext,
    /// A stack pointer.
    StackPointer,
}

impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::JumpBuffer => "jump buffer",
            Self::Ucontext => "context",
            Self::StackPointer => "stack pointer",
        })
    }
}

impl fmt::Display for Dormant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            value,
            label,
            saved,
            context,
        } = self;
        write!(
            f,
            "`{label}` at {value}, by the word at {at}, to which the {saved} at {context} leads"
        )
    }
}

/// Dormant stacks that hold the switch back.
#[derive(Clone, Debug)]
pub struct Holders(pub Vec<Dormant>);

impl fmt::Display for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, holder) in self.0.iter().take(MOST_REPORTED).enumerate() {
            let comma = if index > 0 { "; " } else { "" };
            write!(f, "{comma}{holder}")?;
        }
        match self.0.len().checked_sub(MOST_REPORTED) {
            Some(more) if more > 0 => write!(f, "; and {more} more"),
            _ => Ok(()),
        }
    }
}

/// Why dormant stacks hold the switch back.
#[derive(Debug, Error)]
pub enum DormantError {
    /// Some do.
    #[error("process {pid} is inside on stacks that no thread runs on: {holders}")]
    Held {
        /// The process.
        pid: Pid,
        /// Which.
        holders: Holders,
    },
    /// Nobody knows, which means no.
    #[error("process {pid} cannot be searched for stacks that no thread runs on")]
    Unknown {
        /// The process.
        pid: Pid,
        /// Why.
        source: Incomplete,
    },
}

/// The search.
pub(crate) struct Search<'a> {
    session: &'a Session,
    space: &'a dyn AddressSpace,
    check: StackCheck,
    code: Vec<AddressRange>,
    guard: Option<u64>,
    profilers: Profilers,
    ignored: &'a [RunAddr],
}

impl<'a> Search<'a> {
    /// A search for `forbidden`, which `check` is for. `thread_pointer`: any thread's, where glibc's pointer guard is found.
    pub(crate) fn new(
        session: &'a Session,
        space: &'a dyn AddressSpace,
        check: StackCheck,
        forbidden: &[ForbiddenRange],
        thread_pointer: RunAddr,
        profilers: Profilers,
        ignored: &'a [RunAddr],
    ) -> Self {
        let range = |range: &ForbiddenRange| AddressRange {
            start: range.start,
            end: range.end,
        };
        Self {
            session,
            space,
            check,
            code: forbidden.iter().map(range).collect(),
            guard: guard(&session.memory, thread_pointer),
            profilers,
            ignored,
        }
    }

    /// Searches while the target runs. `threads`: where they were in the stop, if there was one.
    ///
    /// # Errors
    /// [`Error::Dormant`].
    pub(crate) fn run(&mut self, threads: Option<&[Position]>) -> Result<(), Error> {
        self.search(threads, u64::MAX).map(drop)
    }

    /// Searches within the stop; false if it did not, since there is too much memory.
    ///
    /// # Errors
    /// [`Error::Dormant`].
    pub(crate) fn run_in_stop(&mut self, threads: &[Position]) -> Result<bool, Error> {
        self.search(Some(threads), MOST_IN_STOP)
    }

    fn search(&mut self, threads: Option<&[Position]>, most: u64) -> Result<bool, Error> {
        let pid = self.session.pid();
        let failed = |source| Error::Dormant(DormantError::Unknown { pid, source });
        let source = Source::open(&self.session.memory, &[]).map_err(failed)?;
        let runs = source.populated().map_err(failed)?;
        if total(&runs) > most {
            return Ok(false);
        }
        let found = self.find(&source, &runs, threads);
        match found.is_empty() {
            true => Ok(true),
            false => Err(Error::Dormant(DormantError::Held {
                pid,
                holders: Holders(found),
            })),
        }
    }

    fn find(
        &mut self,
        source: &Source<'_>,
        runs: &[PageRun],
        threads: Option<&[Position]>,
    ) -> Vec<Dormant> {
        let mut zones = Zones::new(source.maps(), threads, &self.session.memory);
        let mut words = Words::new(&self.code, self.guard).collect(source, runs);
        words.retain(|word| {
            !self.ignored.contains(&word.at)
                && self.is_return_address(word.value)
                && zones.may_be_dormant(word.at)
                && !thrown::is_handler(word.at, &self.check, self.space)
                && !self.profilers.is_counted(word, self.space)
        });
        if words.is_empty() {
            return Vec::new();
        }
        self.check.begin(self.space);
        let mut contexts = Contexts {
            check: &mut self.check,
            space: self.space,
            guard: self.guard,
        };
        let mut held: Vec<Dormant> = words
            .iter()
            .filter_map(|word| contexts.inside(word, &mut zones))
            .collect();
        let reach: Vec<AddressRange> = words.iter().map(reach).collect();
        for saved in Words::new(&reach, self.guard).collect(source, runs) {
            if let Some(context) = Context::of(&saved, &mut zones) {
                held.extend(contexts.follow(&context, self.ignored));
            }
        }
        held.sort_by_key(|dormant| dormant.at);
        held.dedup_by_key(|dormant| dormant.at);
        held
    }

    /// Behind a call. The first address of a function is what pointers to it hold.
    fn is_return_address(&self, value: RunAddr) -> bool {
        let is_entry = self.code.iter().any(|range| range.start == value);
        !is_entry && self.check.is_return_address(value, self.space)
    }
}

/// Where a saved stack pointer may point that leads to the word.
fn reach(word: &Found) -> AddressRange {
    AddressRange {
        start: RunAddr(word.at.0.saturating_sub(DEEPEST)),
        end: RunAddr(word.at.0 + 1),
    }
}
