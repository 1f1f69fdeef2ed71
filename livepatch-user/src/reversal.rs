//! One patch taken back: the switch, what becomes of its memory, and what live data says to that.

use crate::arena;
use crate::commit::{Standing, StopTheWorld, Strategy};
use crate::error::Error;
use crate::exchange::{Exchange, gather};
use crate::frames::Frames;
use crate::hands::{Loan, borrow};
use crate::hooks::Hooks;
use crate::image::Images;
use crate::install::{Hands, Mapped};
use crate::installed::{Installed, State, dependents};
use crate::leftovers::USERFAULT_NAME;
use crate::memory::Memory;
use crate::place::PAGE;
use crate::placed::Placed;
use crate::process::{Pid, Tid};
use crate::record::retired_marks;
use crate::release::discard;
use crate::report::{Reverted, Stop};
use crate::retire::{
    AddressRange, Capture, Incomplete, Limits, Outcome as Pointers, PatchAddresses, RemoteSyscall,
    Search, ThreadState,
};
use crate::revert::Options;
use crate::session::Session;
use crate::stack::stack_check;
use crate::status::Status;
use crate::sys::ptrace;
use crate::unwind::ForbiddenRange;
use livepatch_bundle::{Phase, RunAddr};
use std::io;
use std::path::PathBuf;

/// Does `work` with the reversal of the patch at `base`, if there is one; hooks may not refuse.
pub(crate) fn at<T>(
    pid: Pid,
    base: RunAddr,
    options: &Options,
    debug_dirs: &[PathBuf],
    work: impl FnOnce(Reversal<'_>) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let session = Session::open(pid)?;
    let images = session.images(debug_dirs);
    let patches = session.patches(&images).patches;
    let index = patches.iter().position(|patch| patch.prelude.base == base);
    let reversal = |index| Reversal {
        session: &session,
        images: &images,
        patches: &patches,
        index,
        options: *options,
        may_refuse: false,
        back: None,
    };
    index.map(|index| work(reversal(index))).transpose()
}

/// One patch to be taken back.
pub(crate) struct Reversal<'a> {
    pub(crate) session: &'a Session,
    pub(crate) images: &'a Images<'a>,
    pub(crate) patches: &'a [Installed],
    /// Which of them.
    pub(crate) index: usize,
    pub(crate) options: Options,
    /// Whether its hooks may refuse.
    pub(crate) may_refuse: bool,
    /// What the switch wrote that brought it, if that is known: then exactly this is taken back.
    pub(crate) back: Option<&'a [Exchange]>,
}

impl Reversal<'_> {
    pub(crate) fn patch(&self) -> &Installed {
        &self.patches[self.index]
    }

    pub(crate) fn run(&self) -> Result<Reverted, Error> {
        let exchanges = self.exchanges()?;
        let functions = exchanges.len();
        let runs = gather(&[exchanges], &self.session.memory).map_err(|source| Error::Entries {
            pid: self.session.pid(),
            source,
        })?;
        let in_force = !self.patch().is_left_over();
        let (stop, pointers) = self.switch_with_hooks(&runs, in_force)?;
        if in_force {
            self.hooks().make_up(Phase::PostRevert);
        }
        let pages = self.text_pages();
        let retired = self
            .reason_to_stay(&pointers)
            .or_else(|| self.forget_frames());
        let freed_bytes = match &retired {
            Some(reason) => self.mark(reason)?,
            None => self.discard(pages)?,
        };
        Ok(Reverted {
            functions,
            stop: Some(stop),
            freed_bytes,
            retired,
        })
    }

    /// The switch back between its hooks. When it fails after a hook ran, the hooks of the apply run again.
    fn switch_with_hooks(
        &self,
        runs: &[Exchange],
        in_force: bool,
    ) -> Result<(Stop, Pointers), Error> {
        let hooks = self.hooks();
        let asked = in_force && self.may_refuse;
        let before = match asked {
            true => hooks.run(Phase::PreRevert),
            false => Ok(()),
        };
        let (error, ran) = match before {
            Err(aborted) => (aborted.error, aborted.succeeded > 0),
            Ok(()) => match self.switch(runs, asked) {
                Ok(switched) => return Ok(switched),
                Err(error) => (error, asked && hooks.has(Phase::PreRevert)),
            },
        };
        if ran && error.status() != Status::Broken {
            hooks.make_up(Phase::PostApply);
        }
        Err(error)
    }

    fn placed(&self) -> Placed<'_> {
        Placed {
            session: self.session,
            images: self.images,
            patches: self.patches,
            base: self.patch().prelude.base,
            record: &self.patch().record,
        }
    }

    fn hooks(&self) -> Hooks<'_> {
        Hooks {
            placed: self.placed(),
            time: self.options.hook_time,
        }
    }

    /// Gives back the patch's memory, and what only it used of the arena.
    fn discard(&self, pages: Vec<RunAddr>) -> Result<u64, Error> {
        let freed = discard(self.session, self.images, self.mapped(), pages.into_iter())?;
        arena::release(self.session, self.patches, self.index);
        Ok(freed)
    }

    /// What is to be written: nothing where no entry leads to the patch.
    fn exchanges(&self) -> Result<Vec<Exchange>, Error> {
        let pid = self.session.pid();
        let name = self.patch().record.name.clone();
        if let Some(over) = dependents(self.patches, self.index).next() {
            let by = over.record.name.clone();
            return Err(Error::Covered { pid, name, by });
        }
        if let Some(runs) = self.back {
            return Ok(runs.iter().map(Exchange::reversed).collect());
        }
        match self.patch().state {
            State::Overwritten { entry } => Err(Error::Overwritten { pid, name, entry }),
            State::Retired { .. } | State::Inactive | State::Gone => Ok(Vec::new()),
            State::Active | State::Partial { .. } => {
                let ours = |exchange: &Exchange| {
                    let found = self
                        .session
                        .memory
                        .read_vec(exchange.address, exchange.before.len());
                    found.is_ok_and(|found| found == exchange.before)
                };
                Ok(self.patch().undo().into_iter().filter(ours).collect())
            }
        }
    }

    fn mapped(&self) -> Mapped {
        Mapped {
            base: self.patch().prelude.base,
            len: self.patch().prelude.len,
        }
    }

    fn switch(&self, runs: &[Exchange], asked: bool) -> Result<(Stop, Pointers), Error> {
        let (_, end) = self.patch().code();
        let forbidden = match self.options.bytes_only {
            true => Vec::new(),
            // From the base: functions that an interrupted run called return through the prelude.
            false => vec![ForbiddenRange::new(
                self.patch().prelude.base,
                end,
                self.patch().record.name.clone(),
            )],
        };
        let symbolize = |address: RunAddr| {
            self.images
                .at(address)?
                .symbol_at(address)
                .map(|(name, offset)| format!("{name}+{offset:#x}"))
        };
        let mut strategy = StopTheWorld {
            target: &self.session.target,
            memory: &self.session.memory,
            check: stack_check(self.images, self.patches, forbidden),
            symbolize: &symbolize,
            timeout: self.options.timeout,
            leads_to: None,
        };
        let mut search = self.search();
        let mut ready = search.as_mut().ok();
        let mut capture = None;
        let hooks = self.hooks();
        let stop = strategy.switch(runs, &mut |threads| {
            if asked {
                hooks.run_in_stop(Phase::AtRevert, threads)?;
            }
            capture = ready
                .take()
                .map(|search| search.capture(threads.iter().map(as_state).collect()));
            Ok(())
        })?;
        let pointers = match capture {
            Some(capture) => self.judge(capture),
            None => Pointers::Incomplete(search.err().unwrap_or_else(not_searched)),
        };
        Ok((stop, pointers))
    }

    /// Looks for pointers into the patch while the target runs.
    fn search(&self) -> Result<Search<'_>, Incomplete> {
        let patch = self.patch();
        let range = |(start, end)| AddressRange { start, end };
        let addresses = PatchAddresses {
            ranges: vec![range(patch.range())],
            unwind: of_unwinders(patch).map(range).to_vec(),
            code: vec![range(patch.code())],
            entries: patch.entries().collect(),
        };
        let memory = &self.session.memory;
        let mut loan = borrow(self.session).ok();
        let thread_pointer = loan.as_ref().map(Loan::thread_pointer);
        let announced = loan
            .as_mut()
            .and_then(|it| it.announce(USERFAULT_NAME).ok());
        let remote = loan.as_mut().map(|loan| loan as &mut dyn RemoteSyscall);
        let limits = Limits::default();
        let search = Search::prepare(memory, addresses, thread_pointer, remote, limits);
        if let Some(loan) = &mut loan {
            loan.retract(announced);
        }
        let mut search = search?;
        // The thread runs again while everything is read, and while what was written meanwhile is.
        drop(loan);
        search.refresh()?;
        search.refresh()?;
        Ok(search)
    }

    /// What the captured memory says, and the kernel about signal handlers.
    fn judge(&self, capture: Capture<'_, '_>) -> Pointers {
        let unknown = |source| {
            let what = "the signal handlers";
            Pointers::Incomplete(Incomplete::Proc { what, source })
        };
        let mut loan = match borrow(self.session) {
            Ok(loan) => loan,
            Err(error) => return unknown(io::Error::other(error)),
        };
        match loan.lend(&[0; HANDLER_ROOM]) {
            Ok(scratch) => capture.judge_with(&mut loan, scratch),
            Err(error) => unknown(error),
        }
    }

    fn reason_to_stay(&self, pointers: &Pointers) -> Option<String> {
        if self.options.bytes_only {
            return Some("threads were allowed to be inside it".into());
        }
        match pointers {
            Pointers::Free => None,
            Pointers::Held { holders, count } => {
                let first = holders.first().map(ToString::to_string).unwrap_or_default();
                Some(format!("live data points into it ({count}): {first}"))
            }
            Pointers::Incomplete(reason) => {
                Some(format!("live data could not be searched: {reason}"))
            }
        }
    }

    /// Lets the unwinders forget the patch's records, or tells why they do not.
    fn forget_frames(&self) -> Option<String> {
        let error = Frames(self.placed()).deregister().err()?;
        Some(format!("an unwinder may know its records: {error}"))
    }

    /// Marks the patch as retired; nothing is freed.
    fn mark(&self, reason: &str) -> Result<u64, Error> {
        let base = self.mapped().base;
        for (offset, bytes) in retired_marks(reason) {
            let at = RunAddr(base.0 + offset);
            if self.session.memory.write_forced(at, &bytes, None).is_err() {
                tracing::warn!(
                    "the patch at {base} could not be marked as retired; it will be listed as inactive"
                );
                break;
            }
        }
        Ok(0)
    }

    /// The text pages on which this patch wrote and no other patch in force does.
    fn text_pages(&self) -> Vec<RunAddr> {
        if self.patch().state == State::Gone {
            return Vec::new();
        }
        let pages = |patch: &Installed| -> Vec<RunAddr> {
            let sites = patch.record.functions.iter().flat_map(|redirect| {
                let first = redirect.site.0 / PAGE;
                let last = (redirect.site.0 + redirect.jump.len() as u64 - 1) / PAGE;
                (first..=last).map(|page| RunAddr(page * PAGE))
            });
            sites.collect()
        };
        let others: Vec<RunAddr> = (0..self.patches.len())
            .filter(|&index| index != self.index && !self.patches[index].is_left_over())
            .flat_map(|index| pages(&self.patches[index]))
            .collect();
        let mut own = pages(self.patch());
        own.sort_unstable();
        own.dedup();
        own.retain(|page| !others.contains(page));
        own
    }
}

/// The prelude and the unwind records: only unwinders point there, until they are told otherwise.
fn of_unwinders(patch: &Installed) -> [(RunAddr, RunAddr); 2] {
    let at = |offset: u64| RunAddr(patch.prelude.base.0 + offset);
    let (start, len) = patch.record.unwind;
    [(at(0), patch.code().0), (at(start), at(start + len))]
}

/// A stopped thread as the search for pointers wants it. Its extended registers are searched only if it ran: no
/// calling convention keeps them over a system call.
fn as_state(standing: &Standing) -> ThreadState {
    let Standing { thread, top } = *standing;
    let extended = if thread.was_sleeping {
        Vec::new()
    } else {
        extended_registers(thread.tid)
    };
    let start = RunAddr(thread.registers.rsp);
    ThreadState {
        tid: thread.tid,
        registers: thread.registers,
        extended,
        walked: top.map(|end| AddressRange { start, end }),
    }
}

/// What `rt_sigaction(2)` fills in: the kernel's `struct sigaction`.
const HANDLER_ROOM: usize = 32;

fn not_searched() -> Incomplete {
    let source = io::Error::other("the stop did not take it");
    let what = "a copy of what was written";
    Incomplete::Proc { what, source }
}

/// Room for the extended registers: AMX tiles included (Intel SDM vol. 1, 13.4).
const EXTENDED_MAX: usize = 16 << 10;

fn extended_registers(tid: Tid) -> Vec<u8> {
    let mut buffer = vec![0; EXTENDED_MAX];
    let len = ptrace::extended_registers(tid, &mut buffer).unwrap_or(0);
    buffer.truncate(len);
    buffer
}
