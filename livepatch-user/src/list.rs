//! `livepatch list`.

use crate::error::Error;
use crate::install::NAME_PREFIX;
use crate::installed::Installed;
use crate::printable::one_line;
use crate::process::Pid;
use crate::report::{Listed, Replaced};
use crate::session::Session;

/// The patches of a process, in the order in which they were applied.
///
/// # Errors
/// When the process cannot be looked into, or has a record that cannot be read and nothing else.
pub fn list(pid: Pid) -> Result<Vec<Listed>, Error> {
    let session = Session::open_to_read(pid)?;
    let images = session.images(&[]);
    let found = session.patches(&images);
    let listed: Vec<_> = found
        .patches
        .iter()
        .map(|patch| listed(&session, patch))
        .collect();
    match found.unreadable.into_iter().next() {
        Some(source) if listed.is_empty() => Err(Error::Record { pid, source }),
        _ => Ok(listed),
    }
}

/// Every process whose mappings may be read and name a patch.
#[must_use]
pub fn patched_processes() -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut pids: Vec<Pid> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok().map(Pid))
        .filter(|&pid| has_patch(pid))
        .collect();
    pids.sort_unstable();
    pids
}

fn has_patch(pid: Pid) -> bool {
    let maps = std::fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
    let name = format!("/memfd:{NAME_PREFIX}");
    memchr::memmem::find(&maps, name.as_bytes()).is_some()
}

fn listed(session: &Session, patch: &Installed) -> Listed {
    let record = &patch.record;
    Listed {
        pid: session.pid().0,
        process: session.target.name.clone(),
        patch: one_line(&record.name).into_owned(),
        description: one_line(&record.description).into_owned(),
        state: patch.state.clone(),
        module: one_line(&record.module.path).into_owned(),
        functions: record.functions.iter().map(Replaced::from).collect(),
        base: patch.prelude.base,
        mapped_bytes: patch.prelude.len,
        applied_at: record.applied_at,
    }
}
