//! Several components, upgraded one after the other: all or none.
//!
//! First all are asked whether they could, and could go back; then each is upgraded. When one of them fails, those before it go back, last
//! first.

use super::options::{UpgradeOptions, name};
use super::{complain, fail, say, text};
use crate::control::client::{ClientError, ask};
use crate::control::protocol::{How, Reply, Request, Upgrade};
use livepatch_cli::Status;
use std::process::ExitCode;
use thiserror::Error;

/// Why a group was not upgraded.
#[derive(Debug, Error)]
enum GroupError {
    #[error("say `NAME VERSION`, or `--group` and `NAME=VERSION` for each: `{0}` is neither")]
    Usage(String),
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

impl Group<'_> {
    fn ask(&self, member: &Member, request: &Request) -> Result<Reply, ClientError> {
        ask(&self.options.place.directory(), &member.name, request)
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
        for line in text::records(reply) {
            say(&format!("{}: {line}", member.name));
        }
        complain(&reply.errors);
    }

    fn run(&self) -> Result<Status, ClientError> {
        for member in &self.members {
            let dry = Upgrade {
                dry_run: true,
                ..member.upgrade.clone()
            };
            let reply = self.ask(member, &Request::Upgrade(dry))?;
            if reply.result != Status::Done || self.options.dry_run {
                self.tell(member, &reply);
            }
            if reply.result != Status::Done {
                return Ok(reply.result);
            }
        }
        if self.options.dry_run {
            return Ok(Status::Done);
        }
        for (index, member) in self.members.iter().enumerate() {
            let reply = self.ask(member, &Request::Upgrade(member.upgrade.clone()));
            let status = match &reply {
                Ok(reply) => {
                    self.tell(member, reply);
                    reply.result
                }
                Err(error) => {
                    complain(&[error.to_string()]);
                    Status::Broken
                }
            };
            if status != Status::Done {
                return Ok(self.take_back(index).max(status));
            }
        }
        Ok(Status::Done)
    }

    /// Has those before the one that failed go back, last first.
    fn take_back(&self, failed: usize) -> Status {
        let mut worst = Status::Error;
        for member in self.members[..failed].iter().rev() {
            let how = How::default();
            match self.ask(member, &Request::Rollback { how }) {
                Ok(reply) => {
                    self.tell(member, &reply);
                    if reply.result != Status::Done {
                        worst = Status::Broken;
                    }
                }
                Err(error) => {
                    complain(&[error.to_string()]);
                    worst = Status::Broken;
                }
            }
        }
        worst
    }
}
