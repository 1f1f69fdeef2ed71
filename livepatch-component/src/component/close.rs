//! Letting an old version go, off the main task: its code is unloaded where that is safe, and what it leaves behind is told.

use super::start::Note;
use super::upgrade::reply_of;
use super::{Component, Running};
use crate::control::protocol::Reply;
use crate::control::server::Asker;
use crate::module::file::ModuleFile;
use crate::sys::arena::Arena;
use crate::sys::fork::wait_for_threads;
use crate::sys::helper::Helper;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

/// Threads of a component that are none of a module's: the main task, and the helper that lets go.
const OURS: usize = 2;

/// What an old version left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leftover {
    pub(super) version: String,
    pub(super) why: String,
    /// Whether its code is still there.
    pub(super) stays: bool,
}

impl std::fmt::Display for Leftover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.version, self.why)
    }
}

/// What is told once a version has been let go.
#[derive(Debug)]
pub(super) struct Ending {
    /// The record, by its number.
    pub(super) record: Option<u64>,
    /// Who waits for it.
    pub(super) asker: Option<Asker>,
}

impl Ending {
    /// Tells whoever has decided on a group that it is done.
    pub(super) fn of_decision(asker: Asker) -> Self {
        Self {
            record: None,
            asker: Some(asker),
        }
    }
}

/// A version that is being let go.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) helper: Helper<Closed>,
    ending: Option<Ending>,
}

/// What came of letting go.
#[derive(Debug)]
pub(super) struct Closed {
    leftover: Option<Leftover>,
    /// Whether the current version could be noted.
    noted: io::Result<()>,
}

/// What there is to do off the main task.
struct Chores {
    old: Option<Running>,
    chunks: Vec<usize>,
    discarded: Vec<Arc<ModuleFile>>,
    arena: &'static Arena,
    current: Note,
}

impl Chores {
    fn run(self) -> Closed {
        let noted = self.current.write();
        let leftover = self.old.and_then(close);
        drop(self.discarded);
        self.arena.give_back(&self.chunks);
        self.arena.trim();
        Closed { leftover, noted }
    }
}

impl Component {
    /// Lets a version go, with memory that nobody uses any more; then tells how it ended.
    pub(super) fn let_go(
        &mut self,
        old: Option<Running>,
        chunks: Vec<usize>,
        ending: Option<Ending>,
    ) {
        self.wait_for_closing();
        let chores = Chores {
            old,
            chunks,
            discarded: std::mem::take(&mut self.discarded),
            arena: &self.services.arena,
            current: self.note_of_current(),
        };
        match Helper::start(&self.waker, move || chores.run()) {
            Ok(helper) => self.closing = Some(Closing { helper, ending }),
            Err(error) => {
                // The code stays, the memory too: there is no thread to do it.
                self.services.complain("let the old version go", &error);
                self.tell(ending.as_ref(), None);
            }
        }
    }

    /// Takes note of a version that was let go.
    pub(super) fn finish_closing(&mut self) {
        let closing = self.closing.as_mut();
        if closing.is_some_and(|closing| closing.helper.has_ended()) {
            self.wait_for_closing();
        }
    }

    pub(super) fn wait_for_closing(&mut self) {
        let Some(Closing { helper, ending }) = self.closing.take() else {
            return;
        };
        // A thread that panicked has let nothing go; there is nothing to tell of it.
        let closed = helper.finish();
        if let Some(Err(error)) = closed.as_ref().map(|closed| &closed.noted) {
            self.services.complain("note the current version", error);
        }
        self.tell(ending.as_ref(), closed.and_then(|closed| closed.leftover));
    }

    /// Writes down how an upgrade ended, and answers.
    fn tell(&mut self, ending: Option<&Ending>, leftover: Option<Leftover>) {
        if let Some(leftover) = &leftover {
            self.services.log(1, &format!("left behind: {leftover}"));
        }
        let text = leftover.as_ref().map(ToString::to_string);
        if let Some(leftover) = leftover {
            self.keep_leftover(leftover);
        }
        let (record, asker) = match ending {
            Some(ending) => (ending.record, ending.asker),
            None => (None, None),
        };
        let reply = match record {
            Some(record) => {
                let record = self.complete(record, text);
                self.begun = None;
                record.map(reply_of)
            }
            None => {
                if let (Some(record), Some(text)) = (self.history.last_mut(), text) {
                    record.leftovers.push(text);
                }
                Some(Reply::done())
            }
        };
        if let (Some(asker), Some(reply)) = (asker, reply) {
            self.server.answer(asker, &reply);
        }
    }

    /// Counts what stays.
    fn keep_leftover(&mut self, leftover: Leftover) {
        if leftover.stays {
            self.leftovers.push(leftover);
        }
    }

    /// Takes note of code that was unloaded on the way, if it is still there.
    pub(super) fn note_leftover(&mut self, file: &ModuleFile) {
        if let Some(leftover) = leftover(file) {
            self.keep_leftover(leftover);
        }
    }
}

/// Unloads a version, unless there are more threads than the main task and this one: its code must stay for them. (Whose they are
/// cannot be known for certain.)
fn close(old: Running) -> Option<Leftover> {
    let Running { loaded, file, .. } = old;
    let others = wait_for_threads(OURS).saturating_sub(OURS);
    if others > 0 {
        return Some(Leftover {
            version: file.about.version.clone(),
            why: format!("{others} threads of it may still run"),
            stays: true,
        });
    }
    if let Err(error) = loaded.close() {
        return Some(Leftover {
            version: file.about.version.clone(),
            why: format!("the dynamic linker did not unload it: {error}"),
            stays: true,
        });
    }
    leftover(&file)
}

/// What a module that was unloaded has left behind, as far as can be seen.
fn leftover(file: &ModuleFile) -> Option<Leftover> {
    if !is_mapped(file.copy()) {
        let handlers = file
            .about
            .lingering
            .iter()
            .find(|name| name.ends_with("_atexit"));
        return handlers.map(|name| Leftover {
            version: file.about.version.clone(),
            why: format!("it may have exit handlers (`{name}`): they ran when it was unloaded"),
            stays: false,
        });
    }
    let why = match (file.about.is_pinned, file.about.lingering.is_empty()) {
        (true, _) => {
            "it has a unique symbol (STB_GNU_UNIQUE), for which the C library keeps it".to_owned()
        }
        (false, true) => "the C library keeps it".to_owned(),
        (false, false) => format!(
            "the C library keeps it; it may call `{}`",
            file.about.lingering.join("`, `")
        ),
    };
    Some(Leftover {
        version: file.about.version.clone(),
        why: format!("still mapped after it was unloaded: {why}"),
        stays: true,
    })
}

/// Whether the file is mapped in this process. When that cannot be known it is taken to be.
fn is_mapped(path: &Path) -> bool {
    let Ok(maps) = fs::read_to_string("/proc/self/maps") else {
        return true;
    };
    let path = path.to_string_lossy();
    maps.lines().any(|line| line.contains(&*path))
}
