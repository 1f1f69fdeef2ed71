//! `livepatch list`.

use crate::error::Error;
use crate::install::NAME_PREFIX;
use crate::installed::{Installed, dependents};
use crate::printable::one_line;
use crate::process::Pid;
use crate::report::{Listed, Replaced};
use crate::select::all_processes;
use crate::session::Session;
use std::io;

/// The patches of a process, in the order in which they were applied.
///
/// # Errors
/// When the process cannot be looked into, or has a record that cannot be read and nothing else.
pub fn list(pid: Pid) -> Result<Vec<Listed>, Error> {
    let session = Session::open_to_read(pid)?;
    let images = session.images(&[]);
    let found = session.patches(&images);
    let listed: Vec<_> = (0..found.patches.len())
        .map(|index| listed(&session, &found.patches, index))
        .collect();
    match found.unreadable.into_iter().next() {
        Some(source) if listed.is_empty() => Err(Error::Record { pid, source }),
        _ => Ok(listed),
    }
}

/// What a look at all processes finds.
#[derive(Clone, Debug, Default)]
pub struct Patched {
    /// Those whose mappings name a patch, by number.
    pub pids: Vec<Pid>,
    /// How many may not be looked into.
    pub hidden: usize,
}

/// Looks for processes that have a patch.
#[must_use]
pub fn patched_processes() -> Patched {
    let mut patched = Patched::default();
    for pid in all_processes().unwrap_or_default() {
        match has_patch(pid) {
            Ok(true) => patched.pids.push(pid),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => patched.hidden += 1,
            // Those that have ended cannot be read either.
            Ok(false) | Err(_) => {}
        }
    }
    patched
}

fn has_patch(pid: Pid) -> io::Result<bool> {
    let maps = std::fs::read(format!("/proc/{pid}/maps"))?;
    let name = format!("/memfd:{NAME_PREFIX}");
    Ok(memchr::memmem::find(&maps, name.as_bytes()).is_some())
}

fn listed(session: &Session, patches: &[Installed], index: usize) -> Listed {
    let patch = &patches[index];
    let record = &patch.record;
    let later = dependents(patches, index).filter(|later| !later.is_left_over());
    Listed {
        pid: session.pid().0,
        process: session.target.name.clone(),
        patch: one_line(&record.name).into_owned(),
        bundle: hex::encode(record.bundle),
        description: one_line(&record.description).into_owned(),
        state: patch.state.clone(),
        under: later
            .map(|later| one_line(&later.record.name).into_owned())
            .collect(),
        module: one_line(&record.module.path).into_owned(),
        functions: record.functions.iter().map(Replaced::from).collect(),
        base: patch.prelude.base,
        mapped_bytes: patch.prelude.len,
        applied_at: record.applied_at,
    }
}
