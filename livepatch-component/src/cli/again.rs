//! A component that ended before it answered: what its supervisor made of it.

use super::options::Target;
use crate::control::client::{ClientError, ask};
use crate::control::protocol::{Reply, Request, Shown, chain};
use crate::history::{CRASHED, Record};
use livepatch_cli::Status;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long a component that crashed is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked for.
const LOOKS: Duration = Duration::from_millis(20);

/// How a component that ended goes on; nothing if it does not.
pub(super) fn find(directory: &Path, name: &str) -> Option<Shown> {
    let end = Instant::now() + PATIENCE;
    let show = Request::Show { symbols: false };
    loop {
        let reply = ask(directory, name, &show);
        let shown = reply.ok().and_then(|reply| reply.component);
        if let Some(shown) = shown.filter(|shown| !shown.on_probation) {
            return Some(shown);
        }
        if Instant::now() > end {
            return None;
        }
        thread::sleep(LOOKS);
    }
}

/// The answer to whoever asked for a switch and lost the connection by it.
pub(super) fn reply(target: &Target, error: &ClientError) -> Reply {
    let (directory, name) = (target.place.directory(), &target.name);
    let mut errors = chain(error);
    let Some(shown) = find(&directory, name) else {
        errors.push(format!("it was not started again within {PATIENCE:?}"));
        return broken(errors, None);
    };
    let crashed = crashed(&directory, name);
    let version = shown.version;
    let again =
        format!("{version} was started again WITH NEW DATA, see `component history {name}`");
    match &crashed {
        Some(record) => errors = told(record, &again),
        None => errors.push(again),
    }
    broken(errors, crashed)
}

fn broken(errors: Vec<String>, record: Option<Record>) -> Reply {
    Reply {
        errors,
        history: record.into_iter().collect(),
        ..Reply::of(Status::Broken)
    }
}

fn told(record: &Record, again: &str) -> Vec<String> {
    let (action, to) = (&record.action, &record.to);
    let outermost = format!("the {action} to {to} crashed the process, or hung; {again}");
    let first = record.reasons.first().cloned();
    std::iter::once(outermost).chain(first).collect()
}

/// What was done last, if that was the crash.
fn crashed(directory: &Path, name: &str) -> Option<Record> {
    let history = ask(directory, name, &Request::History {}).ok()?.history;
    let mut done = history
        .into_iter()
        .rev()
        .filter(|record| record.action != "start");
    done.next().filter(|record| record.outcome == CRASHED)
}
