//! What is printed. A reader may have gone, or a disk be full: neither changes what was done, and neither ends this process by a panic.

use crate::control::protocol::{Reply, chain};
use livepatch_cli::Status;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::OnceLock;
use thiserror::Error;

/// Why a result could not be printed; the first time counts.
static UNTOLD: OnceLock<io::Error> = OnceLock::new();

/// Nobody has read how it ended.
#[derive(Debug, Error)]
#[error("cannot write the result to the standard output")]
struct Untold(#[source] &'static io::Error);

/// Prints a line. A reader that has gone has read what it wanted.
pub(super) fn say(line: &str) {
    let printed = writeln!(io::stdout(), "{line}");
    if let Err(error) = printed
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        UNTOLD.get_or_init(|| error);
    }
}

/// Prints an error with its causes.
pub(super) fn complain(errors: &[String]) {
    for (index, error) in errors.iter().enumerate() {
        let begin = if index == 0 {
            "livepatch"
        } else {
            "  caused by"
        };
        // Nobody may be left to read it.
        let _ = writeln!(io::stderr(), "{begin}: {error}");
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
    let Some(error) = UNTOLD.get() else {
        return status;
    };
    complain(&chain(&Untold(error)));
    match status == ExitCode::SUCCESS {
        true => ExitCode::from(Status::Error.code()),
        false => status,
    }
}
