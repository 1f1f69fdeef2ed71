//! What is asked of the component.

use super::Component;
use super::prepare::{Job, Order, Refusal, Wanted};
use crate::begun;
use crate::clock;
use crate::control::protocol::{How, Reply, Request};
use crate::control::server::Asker;
use crate::decision::Verdict;
use crate::queue::{EventKind, Queued};
use livepatch_cli::Status;
use thiserror::Error;

/// The call-back that gets commands.
const COMMAND: &str = "command";

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
            Request::Commit {} => match self.commit(asker) {
                Ok(()) => return,
                Err(error) => Reply::failed(Status::Refused, &error),
            },
            Request::CallOff {} => match self.call_off(asker) {
                Ok(()) => return,
                Err(error) => Reply::failed(Status::Refused, &error),
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
                Ok(()) => return,
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

    fn roll_back(&mut self, asker: Asker, how: How) -> Result<(), Refusal> {
        if self.job.is_some() {
            return Err(Refusal::Busy);
        }
        if self.probation.is_some() {
            if self.veto().map_err(Refusal::Undecided)? == Verdict::Stands {
                self.decide(None);
                return Err(Refusal::Decided);
            }
            self.end_probation("rollback", Vec::new(), Some(asker));
            return Ok(());
        }
        let previous = self.previous.as_ref().ok_or(Refusal::NoPrevious)?;
        let wanted = Wanted {
            action: "rollback",
            version: previous.copy().display().to_string(),
            dry_run: false,
            reversible: false,
            how,
        };
        self.prepare(asker, wanted)
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
            begun: begun::path(&self.settings.directory, &self.settings.name),
        };
        self.job = Some(Job::new(asker, order, &self.waker)?);
        Ok(())
    }
}
