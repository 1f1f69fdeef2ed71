//! What is asked of the component, and what comes of it.

use super::Component;
use super::close::Leftover;
use super::failure::SwitchError;
use super::prepare::{Job, Order, Refusal, Wanted};
use super::probation::Probation;
use super::switch::{Incoming, Outgoing, Switched, Unswitched};
use crate::clock;
use crate::control::protocol::{How, Reply, Request, Status, chain};
use crate::control::server::Asker;
use crate::history::Record;
use crate::queue::{EventKind, Queued};
use crate::sys::fork::threads;
use crate::sys::module::Calls;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// The call-back that gets commands.
const COMMAND: &str = "command";
/// How long a thread that has ended may still be seen.
const THREAD_ENDS: Duration = Duration::from_millis(20);

/// Why a command does not reach the module.
#[derive(Debug, Error)]
enum CommandError {
    #[error("the module takes no commands: it has no call-back `{COMMAND}`")]
    NotTaken,
    #[error("the queue is full")]
    Full,
    #[error("the module refused: {0}")]
    Module(String),
}

/// The answer of a module.
pub(super) fn answer(status: i32, text: String) -> Reply {
    if status == 0 {
        return Reply {
            answer: Some(text),
            ..Reply::done()
        };
    }
    Reply::failed(Status::Error, &CommandError::Module(text))
}

impl Component {
    /// Does what is asked, or begins to.
    pub(super) fn request(&mut self, asker: Asker, request: Request) {
        let reply = match request {
            Request::Show { symbols } => Reply {
                component: Some(self.shown(symbols)),
                ..Reply::done()
            },
            Request::History {} => Reply {
                history: self.history.records().cloned().collect(),
                ..Reply::done()
            },
            Request::Stop {} => {
                self.stopping = Some(Some(asker));
                return;
            }
            Request::Command { words } => match self.command(asker, &words) {
                Ok(()) => return,
                Err(error) => Reply::failed(Status::Error, &error),
            },
            Request::Upgrade(upgrade) => {
                let wanted = Wanted {
                    action: "upgrade",
                    version: upgrade.version,
                    dry_run: upgrade.dry_run,
                    reversible: upgrade.reversible,
                    how: upgrade.how,
                };
                match self.prepare(asker, wanted) {
                    Ok(()) => return,
                    Err(refusal) => Reply::failed(refusal.status(), &refusal),
                }
            }
            Request::Rollback { how } => match self.roll_back(asker, how) {
                Ok(Some(record)) => reply_of(record),
                Ok(None) => return,
                Err(refusal) => Reply::failed(refusal.status(), &refusal),
            },
        };
        self.server.answer(asker, &reply);
    }

    fn command(&mut self, asker: Asker, words: &[String]) -> Result<(), CommandError> {
        let entry = self.services.names.borrow().known(COMMAND);
        let entry = entry.filter(|entry| self.running.calls.has(*entry));
        let entry = entry.ok_or(CommandError::NotTaken)?;
        if self.queue.room() == 0 {
            return Err(CommandError::Full);
        }
        self.next_command += 1;
        let mut event = Queued::new(EventKind::Command, entry, self.next_command);
        event.data = words.join("\n").into_bytes();
        self.commands.insert(self.next_command, asker);
        self.queue.push(event, clock::now());
        Ok(())
    }

    fn roll_back(&mut self, asker: Asker, how: How) -> Result<Option<Record>, Refusal> {
        if self.job.is_some() {
            return Err(Refusal::Busy);
        }
        if self.probation.is_some() {
            return Ok(self.end_probation("rollback", Vec::new()));
        }
        let previous = self.previous.as_ref().ok_or(Refusal::NoPrevious)?;
        let wanted = Wanted {
            action: "rollback",
            version: previous.copy().display().to_string(),
            dry_run: false,
            reversible: false,
            how,
        };
        self.prepare(asker, wanted).map(|()| None)
    }

    fn prepare(&mut self, asker: Asker, wanted: Wanted) -> Result<(), Refusal> {
        if self.job.is_some() {
            return Err(Refusal::Busy);
        }
        if self.probation.is_some() {
            return Err(Refusal::Probation);
        }
        if self.leftovers.len() >= self.settings.leftovers_bound {
            return Err(Refusal::Leftovers(self.leftovers.len()));
        }
        let order = Order {
            wanted,
            name: self.settings.name.clone(),
            repository: self.settings.repository.clone(),
            copies: self.copies.clone(),
            number: self.number(),
            policy: self.policy.clone(),
            running: self.running.file.about.clone(),
            host: self.table.attaching(),
            arena: &self.services.arena,
        };
        self.job = Some(Job::new(asker, order, self.waker.clone()));
        Ok(())
    }

    /// Switches to a version that has been prepared.
    pub(super) fn finish_job(&mut self) {
        if self.closing.is_some() {
            return;
        }
        let Some(job) = self.job.take_if(|job| job.is_done()) else {
            return;
        };
        self.services.arena.relax();
        let (asker, wanted, begun) = (job.asker, job.wanted.clone(), job.begun_ns);
        let incoming = job.finish().and_then(|incoming| self.map(incoming));
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
                self.server.answer(asker, &reply);
                return;
            }
        };
        let mut record = Record::new(wanted.action, Some(&from), incoming.version());
        record.prepare_ns = clock::now() - begun;
        let reply = if wanted.dry_run {
            self.drop_unused(incoming);
            Reply {
                history: vec![record],
                ..Reply::done()
            }
        } else {
            if wanted.how.trial || wanted.how.standby {
                wait_for_threads();
            }
            let switched = self.switch(incoming, &wanted.how, &mut record);
            reply_of(self.conclude(switched, &wanted.how, record))
        };
        self.server.answer(asker, &reply);
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
        self.let_go(*next, Vec::new());
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
            self.let_go(*next, Vec::new());
        }
    }

    /// Writes down what came of a switch, and lets go what is not needed any more.
    pub(super) fn conclude(
        &mut self,
        switched: Result<Switched, Unswitched>,
        how: &How,
        mut record: Record,
    ) -> Record {
        match switched {
            Ok(switched) => {
                let leftover = self.settle_in(switched, how);
                record.leftovers.extend(leftover.map(|it| it.to_string()));
            }
            Err(unswitched) => {
                self.explain(&unswitched, &mut record);
                if let Some(rejected) = unswitched.rejected {
                    let leftover = self.let_go(*rejected, Vec::new());
                    record.leftovers.extend(leftover.map(|it| it.to_string()));
                }
            }
        }
        self.remember_current();
        self.record(record.clone());
        record
    }

    fn settle_in(&mut self, switched: Switched, how: &How) -> Option<Leftover> {
        let Switched { old, chunks } = switched;
        match old {
            Outgoing::Loaded(old) if how.probation_ns > 0 => {
                self.probation = Some(Probation::new(old, how));
                self.spawn_closing(None, chunks);
                None
            }
            old => self.retire(old, chunks),
        }
    }

    /// Lets a version go that has run; its file stays for `rollback`.
    pub(super) fn retire(&mut self, old: Outgoing, chunks: Vec<usize>) -> Option<Leftover> {
        match old {
            Outgoing::Loaded(old) => {
                self.previous = Some(Arc::clone(&old.file));
                self.let_go(*old, chunks)
            }
            Outgoing::Unloaded(file) => {
                self.note_leftover(&file);
                self.previous = Some(file);
                self.spawn_closing(None, chunks);
                None
            }
        }
    }

    fn explain(&mut self, unswitched: &Unswitched, record: &mut Record) {
        let outcome = match (&unswitched.error, &unswitched.broken) {
            (_, Some(_)) => "broken",
            (SwitchError::Old(_), None) => "busy",
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
fn reply_of(record: Record) -> Reply {
    let status = match record.outcome.as_str() {
        "done" => Status::Done,
        "busy" => Status::Busy,
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

/// A thread that was waited for may still be listed for a moment.
fn wait_for_threads() {
    let end = clock::now() + THREAD_ENDS.as_nanos() as u64;
    while threads().is_ok_and(|count| count > 1) && clock::now() < end {
        std::thread::yield_now();
    }
}
