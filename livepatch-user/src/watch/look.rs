//! One look at one process, in a worker of its own: is it ready, and what is to be applied?

use super::bundles::Bundles;
use super::journal::chain;
use super::schedule::Cause;
use super::work::executable;
use crate::apply::{self, apply};
use crate::error::Error;
use crate::fit::Patch;
use crate::guardian;
use crate::image::Images;
use crate::process::{Pid, TargetError};
use crate::report::Report;
use crate::revert::revert;
use crate::session::Session;
use crate::status::Status;
use crate::stop::on_tracer_thread;
use crate::sys::identity::FileIdentity;
use serde::{Deserialize, Serialize};

/// What came of a look.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Look {
    /// The loader is at work, or has not mapped yet what was opened.
    NotReady,
    /// It has ended, or maps nothing that a bundle is for, as far as can be told.
    NotMeant,
    /// It has begun to run this program, which maps nothing that a bundle is for.
    Other(FileIdentity),
    /// What was tried, patch by patch.
    Tried(Vec<Tried>),
}

/// What came of one patch.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Tried {
    pub(super) pid: i32,
    pub(super) patch: String,
    pub(super) status: Status,
    /// In a word.
    pub(super) result: String,
    /// In a line.
    pub(super) text: String,
}

/// Looks at a process and applies what is for it, because of `cause`.
pub(super) fn look(pid: Pid, cause: Cause, bundles: &Bundles, how: &apply::Options) -> Look {
    guardian::settle();
    let program = executable(pid);
    let session = match Session::open(pid) {
        Ok(session) => session,
        // A debugger may let it go.
        Err(Error::Target(TargetError::Traced { .. })) => return Look::NotReady,
        // It has ended, or is no process that could be patched; what it maps is not known.
        Err(error) => {
            tracing::debug!("process {pid} is not looked at: {}", chain(&error));
            return Look::NotMeant;
        }
    };
    let images = session.images(&[]);
    if !images.consistent() {
        return Look::NotReady;
    }
    let meant = bundles.kept.iter().filter(|kept| kept.is_for(&images));
    let meant: Vec<_> = meant.collect();
    if meant.is_empty() {
        return match (cause, program) {
            (Cause::Opening, _) => Look::NotReady,
            (Cause::Exec, Some(program)) if is_settled(&session, &images, program) => {
                Look::Other(program)
            }
            _ => Look::NotMeant,
        };
    }
    drop(images);
    let tried = meant.into_iter().map(|kept| {
        let patch = Patch {
            bundle: &kept.admitted.bundle,
            digest: kept.admitted.digest,
        };
        tried(
            pid,
            kept.name(),
            on_tracer_thread(|| apply(pid, patch, how)),
        )
    });
    Look::Tried(tried.collect())
}

/// Whether these are the images of `program` and all that it is started with.
///
/// In the middle of an exec(2) `/proc/PID/exe` tells the new program already and `/proc/PID/maps` only what is mapped so far, and
/// each of our readings may be of another moment.
fn is_settled(session: &Session, images: &Images<'_>, program: FileIdentity) -> bool {
    images.started() && session.maps_the_same_code() && executable(session.pid()) == Some(program)
}

/// Takes a patch back whose bundle was removed.
pub(super) fn take_back(pid: Pid, patch: &str, how: &apply::Options) -> Tried {
    guardian::settle();
    tried(
        pid,
        patch,
        on_tracer_thread(|| revert(pid, Some(patch), how.into())),
    )
}

fn tried(pid: Pid, patch: &str, result: Result<Report, Error>) -> Tried {
    let report = match result {
        Ok(report) => report,
        Err(error) => return failed(pid, patch, &error),
    };
    let fact = serde_json::to_value(&report).expect("reports are plain data");
    Tried {
        pid: pid.0,
        patch: patch.to_owned(),
        status: Status::Done,
        result: fact["result"].as_str().unwrap_or("done").to_owned(),
        text: report.to_string(),
    }
}

fn failed(pid: Pid, patch: &str, error: &Error) -> Tried {
    let status = error.status();
    let result = serde_json::to_value(status).expect("a name");
    Tried {
        pid: pid.0,
        patch: patch.to_owned(),
        status,
        result: result.as_str().unwrap_or("error").to_owned(),
        text: chain(error),
    }
}
