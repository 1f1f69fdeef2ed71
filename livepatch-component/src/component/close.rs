//! Letting an old version go, off the main task: its code is unloaded where that is safe, and what it leaves behind is told.

use super::{Component, Running};
use crate::module::file::ModuleFile;
use crate::sys::fork::{step_back, threads};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

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

/// A version that is being let go.
#[derive(Debug)]
pub(super) struct Closing {
    thread: JoinHandle<Option<Leftover>>,
    is_done: Arc<AtomicBool>,
}

impl Component {
    /// Lets a version go, with memory that nobody uses any more; returns at once what is known to stay.
    pub(super) fn let_go(&mut self, old: Running, chunks: Vec<usize>) -> Option<Leftover> {
        self.wait_for_closing();
        let threads = threads().unwrap_or(1);
        if threads > 1 {
            // Its code must stay for them. Whose they are cannot be known for certain.
            let why = format!("{} threads of it may still run", threads - 1);
            let leftover = Leftover {
                version: old.file.about.version.clone(),
                why,
                stays: true,
            };
            self.keep_leftover(leftover.clone());
            self.spawn_closing(None, chunks);
            return Some(leftover);
        }
        self.spawn_closing(Some(old), chunks);
        None
    }

    pub(super) fn spawn_closing(&mut self, old: Option<Running>, chunks: Vec<usize>) {
        let arena = &self.services.arena;
        let is_done = Arc::new(AtomicBool::new(false));
        let (done, waker) = (Arc::clone(&is_done), Arc::clone(&self.waker));
        let thread = thread::spawn(move || {
            step_back();
            let leftover = old.and_then(close);
            arena.give_back(&chunks);
            arena.trim();
            done.store(true, Ordering::Release);
            // The loop looks again when anything happens.
            let _ = waker.wake();
            leftover
        });
        self.closing = Some(Closing { thread, is_done });
    }

    /// Takes note of a version that was let go.
    pub(super) fn finish_closing(&mut self) {
        let is_done = |closing: &Closing| closing.is_done.load(Ordering::Acquire);
        if self.closing.as_ref().is_some_and(is_done) {
            self.wait_for_closing();
        }
    }

    pub(super) fn wait_for_closing(&mut self) {
        let Some(closing) = self.closing.take() else {
            return;
        };
        // A thread that panicked has let nothing go; there is nothing to tell of it.
        if let Ok(Some(leftover)) = closing.thread.join() {
            self.services.log(1, &format!("left behind: {leftover}"));
            if let Some(record) = self.history.last_mut() {
                record.leftovers.push(leftover.to_string());
            }
            self.keep_leftover(leftover);
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

fn close(old: Running) -> Option<Leftover> {
    let Running { loaded, file, .. } = old;
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
