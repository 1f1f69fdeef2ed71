//! Several components, upgraded one after the other: all or none.
//!
//! First all are asked whether they could, and could go back; then each is upgraded, and keeps its old version beside the new one. When
//! one of them fails, those before it go back, last first. When all have done it, that is written down, the decision; then each lets go.
//!
//! This process may be ended at any time: its connections are closed then, and each component looks whether there is a decision. So does
//! one that crashed, when it starts anew; where there is none, it decides that all go back.

use super::options::{UpgradeOptions, name};
use super::output::{complain, fail_as, say, tell_failure};
use super::{again, text};
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{Reply, Request, Shown, Upgrade};
use crate::decision::{Decision, Verdict};
use crate::history::Record;
use livepatch_cli::Status;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};
use thiserror::Error;

/// Why a group was not upgraded.
#[derive(Debug, Error)]
enum GroupError {
    #[error("say `NAME VERSION`, or `--group` and `NAME=VERSION` for each: `{0}` is neither")]
    Usage(String),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the decision cannot be written down; all go back")]
    Decision(#[source] io::Error),
    #[error("one of them has crashed, or was told to go back; all go back")]
    CalledOff,
    #[error("the component `{name}` was started anew, as {version} and with new data")]
    Anew { name: String, version: String },
    #[error(
        "the component `{name}` ended before it was told what was decided; when it is started anew, it looks at `{}`", decision.display()
    )]
    Untold { name: String, decision: PathBuf },
}

/// One component of the group.
struct Member {
    name: String,
    upgrade: Upgrade,
}

/// `upgrade --group`.
pub(super) fn upgrade(options: &UpgradeOptions) -> ExitCode {
    let json = options.place.json;
    let members: Result<Vec<Member>, GroupError> = options
        .names
        .iter()
        .map(|text| member(options, text))
        .collect();
    let members = match members {
        Ok(members) if options.group => members,
        Ok(_) => {
            let error = GroupError::Usage(options.names.join(" "));
            return fail_as(json, Status::Usage, &error);
        }
        Err(error) => return fail_as(json, Status::Usage, &error),
    };
    let group = Group { options, members };
    match group.run() {
        Ok(status) => ExitCode::from(status.code()),
        Err(error) => fail_as(json, Status::Error, &error),
    }
}

fn member(options: &UpgradeOptions, text: &str) -> Result<Member, GroupError> {
    let parts = text.split_once('=');
    let parts = parts.and_then(|(left, version)| Some((name(left).ok()?, version)));
    let (name, version) = parts.ok_or_else(|| GroupError::Usage(text.to_owned()))?;
    let upgrade = Upgrade {
        reversible: true,
        ..options.upgrade(version)
    };
    Ok(Member { name, upgrade })
}

struct Group<'a> {
    options: &'a UpgradeOptions,
    members: Vec<Member>,
}

/// A place for the decision on a new group.
fn decision(directory: &Path) -> PathBuf {
    let (process, time) = (std::process::id(), SystemTime::now());
    let time = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    directory.join(format!("group-{process}-{}", time.as_nanos()))
}

impl Group<'_> {
    /// Tells what went wrong with the group.
    fn complain(&self, status: Status, error: &GroupError) {
        tell_failure(self.options.place.json, &Reply::failed(status, error));
    }

    /// Tells what a component answered.
    fn tell(&self, member: &Member, reply: &Reply) {
        if self.options.place.json {
            let mut object = serde_json::json!({ "name": member.name });
            let reply = serde_json::to_value(reply).expect("replies are plain data");
            if let (Some(object), Some(reply)) = (object.as_object_mut(), reply.as_object()) {
                object.extend(reply.clone());
            }
            say(&object.to_string());
            return;
        }
        let outlook = self.outlook(reply);
        for line in text::upgraded(reply, outlook.as_deref()) {
            say(&format!("{}: {line}", member.name));
        }
        complain(&reply.errors);
    }

    /// What follows an upgrade that is done so far.
    fn outlook(&self, reply: &Reply) -> Option<String> {
        let is_upgrade = |record: &Record| record.action == "upgrade";
        let outlook = self.options.outlook();
        outlook.filter(|_| reply.history.iter().any(is_upgrade))
    }

    fn run(&self) -> Result<Status, GroupError> {
        let directory = std::path::absolute(self.options.place.directory());
        let directory = directory.map_err(GroupError::Decision)?;
        let connect = |member: &Member| Client::connect(&directory, &member.name);
        let clients: Result<Vec<Client>, ClientError> = self.members.iter().map(connect).collect();
        let mut clients = clients?;
        for (member, client) in self.members.iter().zip(&mut clients) {
            let dry = Upgrade {
                dry_run: true,
                ..member.upgrade.clone()
            };
            let reply = client.ask(&Request::Upgrade(dry))?;
            if reply.result != Status::Done || self.options.dry_run {
                self.tell(member, &reply);
            }
            if reply.result != Status::Done {
                return Ok(reply.result);
            }
        }
        match self.options.dry_run {
            true => Ok(Status::Done),
            false => self.upgrade(&mut clients, &directory),
        }
    }

    fn upgrade(&self, clients: &mut [Client], directory: &Path) -> Result<Status, GroupError> {
        let path = decision(directory);
        let decision = Decision::at(path.clone());
        for (index, member) in self.members.iter().enumerate() {
            let mut upgrade = member.upgrade.clone();
            upgrade.how.decision = Some(path.clone());
            let status = self.request(member, &mut clients[index], &Request::Upgrade(upgrade));
            if status != Status::Done {
                let worst = self.take_back(&mut clients[..index]).max(status);
                decision.forget();
                return Ok(worst);
            }
        }
        // Nobody may have ended meanwhile.
        let show = Request::Show { symbols: false };
        let all_run = clients.iter_mut().all(|client| client.ask(&show).is_ok());
        let wanted = match all_run {
            true => Verdict::Stands,
            false => Verdict::Off,
        };
        match decision.make(wanted) {
            Ok(Verdict::Stands) => Ok(self.let_stand(clients, &decision, &path)),
            Ok(Verdict::Off) => {
                self.complain(Status::Error, &GroupError::CalledOff);
                let worst = self.take_back(clients).max(Status::Error);
                decision.forget();
                Ok(worst)
            }
            Err(error) => {
                self.take_back(clients);
                Err(GroupError::Decision(error))
            }
        }
    }

    /// Tells all that the decision is made; it stays for those that cannot be told.
    fn let_stand(&self, clients: &mut [Client], decision: &Decision, path: &Path) -> Status {
        let mut worst = Status::Done;
        let mut all_know = true;
        for (member, client) in self.members.iter().zip(clients) {
            let reply = client.ask(&Request::Commit {});
            if reply.is_ok_and(|reply| reply.result == Status::Done) {
                continue;
            }
            worst = Status::Broken;
            let name = member.name.clone();
            let error = self.find_again(&name).unwrap_or_else(|| {
                all_know = false;
                let decision = path.to_owned();
                GroupError::Untold { name, decision }
            });
            self.complain(Status::Broken, &error);
        }
        if all_know {
            decision.forget();
        }
        worst
    }

    /// How a component that ended goes on; nothing if it does not.
    fn find_again(&self, name: &str) -> Option<GroupError> {
        let directory = self.options.place.directory();
        let Shown { name, version, .. } = again::find(&directory, name)?;
        Some(GroupError::Anew { name, version })
    }

    /// Asks one of them, and tells what it answers.
    fn request(&self, member: &Member, client: &mut Client, request: &Request) -> Status {
        match client.ask(request) {
            Ok(reply) => {
                self.tell(member, &reply);
                reply.result
            }
            Err(error) => {
                self.complain(Status::Broken, &GroupError::Client(error));
                if let Some(anew) = self.find_again(&member.name) {
                    self.complain(Status::Broken, &anew);
                }
                Status::Broken
            }
        }
    }

    /// Has these go back, last first.
    fn take_back(&self, clients: &mut [Client]) -> Status {
        let mut worst = Status::Done;
        for (member, client) in self.members.iter().zip(clients).rev() {
            match self.request(member, client, &Request::CallOff {}) {
                Status::Done => {}
                // It has gone back by itself.
                Status::Refused => worst = worst.max(Status::Error),
                _ => worst = Status::Broken,
            }
        }
        worst
    }
}
