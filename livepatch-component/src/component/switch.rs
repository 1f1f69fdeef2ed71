//! The switch from one version to another, while events wait: TERM and HOLD of the old, its data, RESTART of the new.
//!
//! Whatever goes wrong, the old version goes on with its data, its sockets and its timers as they were, and the queue was never
//! touched. Data is write-protected from HOLD until RESTART has returned; what the new version allocates meanwhile, and what it
//! opens and sets, is dropped as a whole when it fails.

use super::failure::{Operation, OperationError, SwitchError};
use super::{Component, Running};
use crate::clock;
use crate::control::protocol::How;
use crate::history::{Phases, Record, Transfer};
use crate::module::file::ModuleFile;
use crate::sys::module::{Data, Loaded};
use livepatch_module::abi;
use std::sync::Arc;
use std::time::Duration;

/// The version to switch to.
#[derive(Debug)]
pub(super) enum Incoming {
    /// It is in the process already.
    Loaded(Box<Running>),
    /// It is to be loaded when the old one is unloaded.
    Strict(Arc<ModuleFile>),
}

impl Incoming {
    pub(super) fn version(&self) -> &str {
        match self {
            Self::Loaded(running) => &running.file.about.version,
            Self::Strict(file) => &file.about.version,
        }
    }

    fn loaded(self) -> Option<Box<Running>> {
        match self {
            Self::Loaded(running) => Some(running),
            Self::Strict(_) => None,
        }
    }
}

/// What a switch that worked leaves.
#[derive(Debug)]
pub(super) struct Switched {
    /// The version that is not needed any more; with `--strict-order` only its file.
    pub(super) old: Outgoing,
    /// Memory to give back.
    pub(super) chunks: Vec<usize>,
}

/// A version that was let go.
#[derive(Debug)]
pub(super) enum Outgoing {
    Loaded(Box<Running>),
    Unloaded(Arc<ModuleFile>),
}

/// A switch that failed.
#[derive(Debug)]
pub(super) struct Unswitched {
    pub(super) error: SwitchError,
    /// The version that was to run, if it was loaded.
    pub(super) rejected: Option<Box<Running>>,
    /// Memory to give back.
    pub(super) chunks: Vec<usize>,
    /// Why the old version could not go on properly.
    pub(super) broken: Option<OperationError>,
}

/// Times the parts of a switch.
struct Stopwatch(u64);

impl Stopwatch {
    fn lap(&mut self) -> u64 {
        let now = clock::now();
        now - std::mem::replace(&mut self.0, now)
    }
}

impl Component {
    /// Switches to another version; `record` gets the times.
    pub(super) fn switch(
        &mut self,
        incoming: Incoming,
        how: &How,
        record: &mut Record,
    ) -> Result<Switched, Unswitched> {
        record.queue_before = self.queue.len();
        let (busy, begin) = (clock::busy(), clock::now());
        self.services.take_failure();
        self.watchdog.arm(how);
        self.services.begin();
        let result = self.attempt(incoming, how, record);
        self.watchdog.disarm();
        record.pause_ns = clock::now() - begin;
        // One that takes over from another process has a clock of its own.
        record.pause_busy_ns = clock::busy().saturating_sub(busy);
        record.queue_after = self.queue.len();
        result
    }

    fn attempt(
        &mut self,
        incoming: Incoming,
        how: &How,
        record: &mut Record,
    ) -> Result<Switched, Unswitched> {
        let mut watch = Stopwatch(clock::now());
        if let Err(error) = self.hold(how, &mut record.phases, &mut watch) {
            return Err(self.go_back(SwitchError::Old(error), incoming.loaded(), false));
        }
        if let Err(error) = self.services.arena.seal() {
            return Err(self.go_back(SwitchError::Seal(error), incoming.loaded(), false));
        }
        record.phases.seal_ns = watch.lap();
        match incoming {
            Incoming::Loaded(next) => self.start_loaded(next, how, record, &mut watch),
            Incoming::Strict(file) => self.start_strictly(file, how, record, &mut watch),
        }
    }

    /// TERM and HOLD of the old version.
    fn hold(
        &mut self,
        how: &How,
        phases: &mut Phases,
        watch: &mut Stopwatch,
    ) -> Result<(), OperationError> {
        let old = &self.running.loaded;
        let result = old.term(&self.table, self.data);
        phases.term_ns = watch.lap();
        self.judge(Operation::Term, result, phases.term_ns, how)?;
        let result = old.hold(&self.table, self.data);
        phases.hold_ns = watch.lap();
        self.judge(Operation::Hold, result, phases.hold_ns, how)
    }

    /// What the result of an operation means, that took so long.
    fn judge(
        &self,
        operation: Operation,
        result: abi::Result,
        took_ns: u64,
        how: &How,
    ) -> Result<(), OperationError> {
        let failure = self.services.take_failure();
        OperationError::of(operation, result, failure)?;
        match took_ns > how.deadline_ns {
            true => Err(OperationError::Late {
                operation,
                took: Duration::from_nanos(took_ns),
                deadline: how.deadline(),
            }),
            false => Ok(()),
        }
    }

    fn start_loaded(
        &mut self,
        next: Box<Running>,
        how: &How,
        record: &mut Record,
        watch: &mut Stopwatch,
    ) -> Result<Switched, Unswitched> {
        let from = self.running.loaded.schema();
        match self.give(&next, from, how, record, watch) {
            Ok((data, transfer)) => {
                let chunks = self.settle(data, transfer, how);
                let old = std::mem::replace(&mut self.running, *next);
                record.phases.end_ns = watch.lap();
                Ok(Switched {
                    old: Outgoing::Loaded(Box::new(old)),
                    chunks,
                })
            }
            Err(error) => {
                let back = self.go_back(error, Some(next), true);
                record.phases.end_ns = watch.lap();
                Err(back)
            }
        }
    }

    /// The paper's order: the old version is unloaded before the new one is loaded.
    fn start_strictly(
        &mut self,
        file: Arc<ModuleFile>,
        how: &How,
        record: &mut Record,
        watch: &mut Stopwatch,
    ) -> Result<Switched, Unswitched> {
        let from = self.running.loaded.schema();
        let started = self.exchange_code(&file).and_then(|()| {
            record.phases.load_ns = watch.lap();
            self.give(&self.running, from, how, record, watch)
        });
        match started {
            Ok((data, transfer)) => {
                let chunks = self.settle(data, transfer, how);
                let old = std::mem::replace(&mut self.running.file, file);
                record.phases.end_ns = watch.lap();
                Ok(Switched {
                    old: Outgoing::Unloaded(old),
                    chunks,
                })
            }
            Err(error) => {
                self.restore_code(&file);
                let back = self.go_back(error, None, true);
                record.phases.end_ns = watch.lap();
                Err(back)
            }
        }
    }

    /// Unloads the code that runs, and loads this file's.
    fn exchange_code(&mut self, file: &ModuleFile) -> Result<(), SwitchError> {
        let host = self.table.attaching().host();
        let loaded = &mut self.running.loaded;
        loaded
            .exchange(file.copy(), host)
            .map_err(SwitchError::Load)?;
        self.running.calls = loaded.calls(&mut self.services.names.borrow_mut());
        let missing = self.missing(&self.running.calls);
        match missing.is_empty() {
            true => Ok(()),
            false => Err(SwitchError::Missing(missing)),
        }
    }

    /// Loads the old version again. Without it there is nothing to go on with: the supervisor starts it anew.
    fn restore_code(&mut self, rejected: &ModuleFile) {
        let host = self.table.attaching().host();
        let loaded = &mut self.running.loaded;
        if let Err(error) = loaded.exchange(self.running.file.copy(), host) {
            self.services.complain("load the old version again", &error);
            std::process::abort();
        }
        self.running.calls = loaded.calls(&mut self.services.names.borrow_mut());
        self.note_leftover(rejected);
    }

    /// Gives the data to the new version and starts it.
    fn give(
        &self,
        next: &Running,
        from: u64,
        how: &How,
        record: &mut Record,
        watch: &mut Stopwatch,
    ) -> Result<(Data, Transfer), SwitchError> {
        if how.standby {
            self.keep_standby(how)?;
            record.phases.standby_ns = watch.lap();
        }
        if how.trial {
            let tried = self.try_out(&next.loaded, from, how);
            record.phases.trial_ns = watch.lap();
            tried?;
        }
        *self.services.calls.borrow_mut() = next.calls.clone();
        let (data, transfer) = self.make_data(&next.loaded, from, how, record, watch)?;
        record.transfer = Some(transfer);
        if transfer != Transfer::Fresh {
            let result = next.loaded.restart(&self.table, data, abi::UPGRADE);
            record.phases.restart_ns = watch.lap();
            let took = record.phases.restart_ns;
            self.judge(Operation::Restart, result, took, how)
                .map_err(SwitchError::New)?;
        }
        Ok((data, transfer))
    }

    fn make_data(
        &self,
        next: &Loaded,
        from: u64,
        how: &How,
        record: &mut Record,
        watch: &mut Stopwatch,
    ) -> Result<(Data, Transfer), SwitchError> {
        let (operation, transfer, (result, data)) = if how.fresh {
            (Operation::Init, Transfer::Fresh, next.init(&self.table))
        } else if next.schema() == from {
            return Ok((self.data, Transfer::HandedOver));
        } else {
            let made = next.migrate(&self.table, from, self.data);
            (Operation::Migrate, Transfer::Migrated, made)
        };
        record.phases.data_ns = watch.lap();
        self.judge(operation, result, record.phases.data_ns, how)
            .map_err(SwitchError::New)?;
        match data {
            Data::NONE => Err(SwitchError::New(OperationError::NoData(operation))),
            data => Ok((data, transfer)),
        }
    }

    /// Lets the change stand; returns memory to give back.
    fn settle(&mut self, data: Data, transfer: Transfer, how: &How) -> Vec<usize> {
        if !how.standby_stays() {
            self.dismiss_standby();
        }
        self.services.commit();
        self.data = data;
        match transfer {
            Transfer::HandedOver => {
                self.services.arena.keep();
                Vec::new()
            }
            Transfer::Migrated | Transfer::Fresh => self.services.arena.replace(),
        }
    }

    /// Takes everything back and has the old version go on.
    fn go_back(
        &mut self,
        error: SwitchError,
        rejected: Option<Box<Running>>,
        is_sealed: bool,
    ) -> Unswitched {
        self.dismiss_standby();
        self.services.undo();
        let chunks = match is_sealed {
            true => self.services.arena.undo(),
            false => Vec::new(),
        };
        *self.services.calls.borrow_mut() = self.running.calls.clone();
        self.services.take_failure();
        let old = &self.running.loaded;
        let result = old.restart(&self.table, self.data, abi::ROLLBACK);
        let broken = OperationError::of(Operation::Restart, result, self.services.take_failure());
        if let Err(broken) = &broken {
            self.services.complain("go on with the old version", broken);
        }
        Unswitched {
            error,
            rejected,
            chunks,
            broken: broken.err(),
        }
    }
}
