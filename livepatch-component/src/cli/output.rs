//! What is printed. A reader may have gone, or a disk be full: neither changes what was done, and neither ends this process by a panic.

use crate::control::protocol::{Reply, chain};
use livepatch_cli::output::lost;
use livepatch_cli::{Status, errln, outln};
use std::io;
use std::process::ExitCode;
use thiserror::Error;

/// Nobody has read how it ended.
#[derive(Debug, Error)]
#[error("cannot write the result to the standard output")]
struct Untold(#[source] &'static io::Error);

/// Prints a line. A reader that has gone has read what it wanted.
pub(super) fn say(line: &str) {
    outln!("{line}");
}

/// Prints an error with its causes.
pub(super) fn complain(errors: &[String]) {
    for (index, error) in errors.iter().enumerate() {
        let begin = if index == 0 {
            "livepatch"
        } else {
            "  caused by"
        };
        errln!("{begin}: {error}");
    }
}

/// Tells what failed: people, or whoever asked for JSON as the answers of components are.
pub(super) fn tell_failure(json: bool, reply: &Reply) {
    match json {
        true => say(&serde_json::to_string(reply).expect("replies are plain data")),
        false => complain(&reply.errors),
    }
}

/// Tells why nothing could be done.
pub(super) fn fail_as(json: bool, status: Status, error: &dyn std::error::Error) -> ExitCode {
    tell_failure(json, &Reply::failed(status, error));
    ExitCode::from(status.code())
}

/// The exit status of a command that ended like this, and whose result should have been printed.
pub(super) fn told(status: ExitCode) -> ExitCode {
    let Some(error) = lost() else {
        return status;
    };
    complain(&chain(&Untold(error)));
    match status == ExitCode::SUCCESS {
        true => ExitCode::from(Status::Error.code()),
        false => status,
    }
}
