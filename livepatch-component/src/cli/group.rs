//! Several components, upgraded one after the other: all or none.
//!
//! First all are asked whether they could, and could go back; then each is upgraded, and keeps its old version beside the new one. When
//! one of them fails, those before it go back, last first. When all have done it, a file is made, the decision; then each lets go.
//!
//! This process may be ended at any time: its connections are closed then, and each component looks whether there is a decision.

use super::options::{UpgradeOptions, name};
use super::{complain, fail, say, text};
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{How, Reply, Request, Upgrade, chain};
use livepatch_cli::Status;
use std::fs::{self, OpenOptions};
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
    #[error(
        "the component `{0}` ended, or went back by itself, before it was told that the group stands"
    )]
    Undecided(String),
}

/// One component of the group.
struct Member {
    name: String,
    upgrade: Upgrade,
}

/// `upgrade --group`.
pub(super) fn upgrade(options: &UpgradeOptions) -> ExitCode {
    let members: Result<Vec<Member>, GroupError> = options
        .names
        .iter()
        .map(|text| member(options, text))
        .collect();
    let members = match members {
        Ok(members) if options.group => members,
        Ok(_) => return usage(&GroupError::Usage(options.names.join(" "))),
        Err(error) => return usage(&error),
    };
    let group = Group { options, members };
    match group.run() {
        Ok(status) => ExitCode::from(status.code()),
        Err(error) => fail(&error),
    }
}

fn usage(error: &GroupError) -> ExitCode {
    complain(&[error.to_string()]);
    ExitCode::from(Status::Usage.code())
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

/// The file that says that all upgrades stand; goes with this.
struct Decision(PathBuf);

impl Drop for Decision {
    fn drop(&mut self) {
        // There may be none.
        let _ = fs::remove_file(&self.0);
    }
}

impl Decision {
    fn new(directory: &Path) -> Self {
        let (process, time) = (std::process::id(), SystemTime::now());
        let time = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(directory.join(format!("group-{process}-{}", time.as_nanos())))
    }

    /// From now on all stand.
    fn make(&self) -> io::Result<()> {
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&self.0);
        made.map(drop)
    }
}

impl Group<'_> {
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
        for line in text::records(reply) {
            say(&format!("{}: {line}", member.name));
        }
        complain(&reply.errors);
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
            false => self.upgrade(&mut clients, &Decision::new(&directory)),
        }
    }

    fn upgrade(&self, clients: &mut [Client], decision: &Decision) -> Result<Status, GroupError> {
        for (index, member) in self.members.iter().enumerate() {
            let mut upgrade = member.upgrade.clone();
            upgrade.how.decision = Some(decision.0.clone());
            let status = self.request(member, &mut clients[index], &Request::Upgrade(upgrade));
            if status != Status::Done {
                return Ok(self.take_back(&mut clients[..index]).max(status));
            }
        }
        if let Err(error) = decision.make() {
            self.take_back(clients);
            return Err(GroupError::Decision(error));
        }
        let mut worst = Status::Done;
        for (member, client) in self.members.iter().zip(clients) {
            let reply = client.ask(&Request::Commit {});
            if !reply.is_ok_and(|reply| reply.result == Status::Done) {
                complain(&[GroupError::Undecided(member.name.clone()).to_string()]);
                worst = Status::Broken;
            }
        }
        Ok(worst)
    }

    /// Asks one of them, and tells what it answers.
    fn request(&self, member: &Member, client: &mut Client, request: &Request) -> Status {
        match client.ask(request) {
            Ok(reply) => {
                self.tell(member, &reply);
                reply.result
            }
            Err(error) => {
                complain(&chain(&error));
                Status::Broken
            }
        }
    }

    /// Has these go back, last first.
    fn take_back(&self, clients: &mut [Client]) -> Status {
        let mut worst = Status::Done;
        for (member, client) in self.members.iter().zip(clients).rev() {
            let how = How::default();
            if self.request(member, client, &Request::Rollback { how }) != Status::Done {
                worst = Status::Broken;
            }
        }
        worst
    }
}
