//! What comes of an upgrade: from a version that is ready beside the one that runs, to the answer.

use super::close::Ending;
use super::failure::SwitchError;
use super::prepare::{Prepared, Refusal};
use super::probation::Probation;
use super::switch::{Incoming, Outgoing, Switched, Unswitched};
use super::{BATCH, Component, Running};
use crate::clock;
use crate::control::protocol::{How, Reply, chain};
use crate::control::server::Asker;
use crate::history::Record;
use crate::module::file::ModuleFile;
use crate::sys::fork::wait_for_threads;
use crate::sys::module::Calls;
use livepatch_cli::Status;
use std::sync::Arc;

impl Component {
    /// Switches to a version that has been prepared.
    pub(super) fn finish_job(&mut self) {
        if self.closing.is_some() {
            return;
        }
        let Some(job) = self.job.take_if(|job| job.helper.has_ended()) else {
            return;
        };
        self.services.arena.relax();
        let (asker, wanted, begun) = (job.asker, job.wanted.clone(), job.begun_ns);
        let (mut warm_up_ns, mut rehearsal_ns) = (0, 0);
        let incoming = job.finish().and_then(|Prepared { incoming, begun }| {
            self.begun = begun;
            if !wanted.dry_run {
                warm_up_ns = self.warm_up(&incoming, &wanted.how);
                rehearsal_ns = self.practise_sealing();
            }
            self.map(incoming)
        });
        let from = self.running.file.about.version.clone();
        let incoming = match incoming {
            Ok(incoming) => incoming,
            Err(refusal) => {
                let mut record = Record::new(wanted.action, Some(&from), &wanted.version);
                "refused".clone_into(&mut record.outcome);
                record.reasons = chain(&refusal);
                let reply = Reply {
                    history: vec![record.clone()],
                    ..Reply::failed(refusal.status(), &refusal)
                };
                if !wanted.dry_run {
                    self.record(record);
                }
                self.begun = None;
                self.server.answer(asker, &reply);
                return;
            }
        };
        let mut record = Record::new(wanted.action, Some(&from), incoming.version());
        record.prepare_ns = clock::now() - begun;
        record.phases.warm_up_ns = warm_up_ns;
        record.phases.rehearsal_ns = rehearsal_ns;
        if wanted.dry_run {
            self.drop_unused(incoming);
            self.begun = None;
            self.server.answer(asker, &reply_of(record));
            return;
        }
        if wanted.how.trial || wanted.how.standby {
            wait_for_threads(1);
        }
        let switched = self.switch(incoming, &wanted.how, &mut record);
        // What waited comes first.
        self.intake();
        self.handle(BATCH);
        self.conclude(switched, &wanted.how, record, Some(asker));
    }

    /// Lets the new version make ready on this thread; returns how long that took. What came meanwhile is handled, so that nothing waits
    /// for both this and the pause.
    fn warm_up(&mut self, incoming: &Incoming, how: &How) -> u64 {
        let Incoming::Loaded(next) = incoming else {
            return 0;
        };
        let begin = clock::now();
        self.watchdog.arm(how);
        next.loaded.warm_up(&self.table);
        self.watchdog.disarm();
        self.catch_up(begin)
    }

    /// Protects the data as the pause will, and lets go; returns how long that took. What came meanwhile is handled, too.
    fn practise_sealing(&mut self) -> u64 {
        let begin = clock::now();
        self.services.arena.rehearse();
        self.catch_up(begin)
    }

    fn catch_up(&mut self, begin: u64) -> u64 {
        let took = clock::now() - begin;
        self.intake();
        self.handle(BATCH);
        took
    }

    /// The symbol mapper's work: the call-backs of the new version, and whether all that are in use are there.
    fn map(&mut self, incoming: Incoming) -> Result<Incoming, Refusal> {
        let Incoming::Loaded(mut next) = incoming else {
            return Ok(incoming);
        };
        next.calls = next.loaded.calls(&mut self.services.names.borrow_mut());
        let missing = self.missing(&next.calls);
        if missing.is_empty() {
            return Ok(Incoming::Loaded(next));
        }
        self.let_go(Some(*next), Vec::new(), None);
        Err(Refusal::Missing(missing))
    }

    /// The names of call-backs that are in use and not among these.
    pub(super) fn missing(&self, calls: &Calls) -> Vec<String> {
        let mut used = self.services.bound();
        used.extend(self.queue.entries());
        used.sort();
        used.dedup();
        let names = self.services.names.borrow();
        let missing = used.into_iter().filter(|entry| !calls.has(*entry));
        missing.map(|entry| names.name(entry).to_owned()).collect()
    }

    fn drop_unused(&mut self, incoming: Incoming) {
        if let Incoming::Loaded(next) = incoming {
            self.let_go(Some(*next), Vec::new(), None);
        }
    }

    /// Lets go what is not needed any more after a switch; that done, what came of it is written down and told.
    pub(super) fn conclude(
        &mut self,
        switched: Result<Switched, Unswitched>,
        how: &How,
        mut record: Record,
        asker: Option<Asker>,
    ) {
        let (unused, chunks) = match switched {
            Ok(Switched { old, chunks }) => (self.outgoing(old, how, asker), chunks),
            Err(mut unswitched) => {
                self.explain(&unswitched, &mut record);
                let rejected = unswitched.rejected.take();
                (rejected.map(|rejected| *rejected), unswitched.chunks)
            }
        };
        if !record.reasons.is_empty() {
            let text = format!("{} to {}", record.action, record.to);
            let reasons = record.reasons.join(": ");
            self.services
                .log(1, &format!("{text}: {}: {reasons}", record.outcome));
        }
        let record = Some(self.history.add(record));
        self.let_go(unused, chunks, Some(Ending { record, asker }));
    }

    /// The code that is not needed any more when this version has been replaced.
    fn outgoing(&mut self, old: Outgoing, how: &How, asker: Option<Asker>) -> Option<Running> {
        match old {
            Outgoing::Loaded(old) if how.is_on_trust() => {
                self.probation = Some(Probation::new(old, how, asker));
                None
            }
            Outgoing::Loaded(old) => {
                self.remember_previous(Arc::clone(&old.file));
                Some(*old)
            }
            Outgoing::Unloaded(file) => {
                self.note_leftover(&file);
                self.remember_previous(file);
                None
            }
        }
    }

    /// Keeps the file of the version before for `rollback`.
    pub(super) fn remember_previous(&mut self, file: Arc<ModuleFile>) {
        let before = self.previous.replace(file);
        self.discarded.extend(before);
    }

    fn explain(&mut self, unswitched: &Unswitched, record: &mut Record) {
        let outcome = match (&unswitched.error, &unswitched.broken) {
            (_, Some(_)) => "broken",
            (SwitchError::Old(_), None) => "busy",
            // Nothing of the new version has run here.
            (SwitchError::Trial(_) | SwitchError::Standby(_), None) => "refused",
            (_, None) => "rolled-back",
        };
        outcome.clone_into(&mut record.outcome);
        record.reasons.extend(chain(&unswitched.error));
        if let Some(broken) = &unswitched.broken {
            record
                .reasons
                .push(format!("and the old version could not go on: {broken}"));
        }
        if matches!(unswitched.error, SwitchError::Crashed)
            && let Err(error) = self.take_over()
        {
            self.services
                .complain("take over from the original", &error);
        }
    }
}

/// How a switch ended, for whoever asked.
pub(super) fn reply_of(record: Record) -> Reply {
    let status = match record.outcome.as_str() {
        "done" => Status::Done,
        "busy" => Status::Busy,
        "refused" => Status::Refused,
        "broken" => Status::Broken,
        _ => Status::Error,
    };
    Reply {
        errors: match status {
            Status::Done => Vec::new(),
            _ => record.reasons.clone(),
        },
        history: vec![record],
        ..Reply::of(status)
    }
}
