//! The kernel's own switch of all tasks, as `/sys/kernel/livepatch` shows it, and who holds it up.
//!
//! Each task goes over by itself when it has no function that changes on its stack, or enters or leaves the kernel. Until
//! all have, the transition can be reversed.

use super::KernelError;
use super::running::Running;
use nix::errno::Errno;
use nix::kmod::{DeleteModuleFlags, delete_module};
use serde::Serialize;
use std::ffi::CString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How often the state is looked at.
const PAUSE: Duration = Duration::from_millis(5);
/// How often the tasks that are left are counted: each is looked at, and the kernel has better things to do.
const COUNT: Duration = Duration::from_secs(1);
/// How long the kernel may take to forget a patch that is out of force.
const FORGET: Duration = Duration::from_secs(20);

/// A task that has not gone over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Blocker {
    /// Its thread id.
    pub pid: i32,
    /// Its command name.
    pub comm: String,
    /// Its kernel stack, innermost function first; empty when it may not be read.
    pub stack: Vec<String>,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} ({})", self.pid, self.comm)
    }
}

/// What to do about tasks that do not go over.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long to wait.
    pub timeout: Duration,
    /// Then go on waiting.
    pub wait: bool,
    /// Then switch the tasks that are left where they stand.
    pub force: bool,
}

/// Called now and then with the number of tasks that are left; `None` where nobody watches, since counting them takes time.
pub type Progress<'a> = Option<&'a dyn Fn(usize)>;

/// How a transition ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All tasks went over.
    Complete,
    /// Those that were left were switched where they stood.
    Forced,
}

/// A livepatch that the kernel knows.
#[derive(Clone, Debug)]
pub struct Livepatch {
    directory: PathBuf,
    processes: PathBuf,
    /// The name of its module.
    pub module: String,
}

impl Livepatch {
    /// The livepatch of this module.
    #[must_use]
    pub fn of(running: &Running, module: &str) -> Self {
        Self {
            directory: running.livepatches().join(module),
            processes: running.processes().to_owned(),
            module: module.to_owned(),
        }
    }

    /// Every livepatch, by name.
    #[must_use]
    pub fn all(running: &Running) -> Vec<Self> {
        let entries = fs::read_dir(running.livepatches()).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names.iter().map(|name| Self::of(running, name)).collect()
    }

    /// Whether the kernel knows it.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.directory.is_dir()
    }

    /// Whether it is in force, or coming into it.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.flag("enabled")
    }

    /// Whether tasks are going over.
    #[must_use]
    pub fn is_in_transition(&self) -> bool {
        self.flag("transition")
    }

    /// The functions that it replaces, as `OBJECT` and `FUNCTION,POSITION`.
    #[must_use]
    pub fn functions(&self) -> Vec<(String, String)> {
        let mut functions = Vec::new();
        for object in directories(&self.directory) {
            for function in directories(&self.directory.join(&object)) {
                functions.push((object.clone(), function));
            }
        }
        functions
    }

    fn flag(&self, name: &str) -> bool {
        fs::read_to_string(self.directory.join(name)).is_ok_and(|text| text.trim() == "1")
    }

    fn set(&self, name: &str, value: &str) -> Result<(), KernelError> {
        let path = self.directory.join(name);
        fs::write(&path, value).map_err(|source| KernelError::Write { path, source })
    }

    /// Waits until all tasks have gone over to new code (or back, if `!to_new`); who does not in time is dealt with as
    /// `patience` says, by default by taking the switch back.
    ///
    /// # Errors
    /// [`KernelError::Busy`] when it was taken back.
    pub fn follow(
        &self,
        to_new: bool,
        patience: Patience,
        progress: Progress<'_>,
    ) -> Result<Ended, KernelError> {
        let time = (!patience.wait).then_some(patience.timeout);
        if self.settled_within(to_new, time, progress) {
            return Ok(Ended::Complete);
        }
        if patience.force {
            self.set("force", "1")?;
            self.settled_within(to_new, Some(FORGET), progress);
            return Ok(Ended::Forced);
        }
        let blockers = self.blockers(to_new);
        let back = if to_new { "0" } else { "1" };
        // It may have ended in this moment: then the kernel says no to a reversal that is none.
        let reversed = self.set("enabled", back);
        if !self.settled_within(!to_new, Some(patience.timeout.max(FORGET)), progress)
            || (!to_new && reversed.is_err())
        {
            return Err(KernelError::HalfWay {
                patch: self.module.clone(),
                what: "its switch was to be taken back, and that is still going on; see `livepatch kernel list`".into(),
            });
        }
        Err(KernelError::Busy {
            blockers,
            timeout: patience.timeout,
        })
    }

    /// Whether the transition ends within some time; `None`: however long it takes.
    fn settled_within(&self, to_new: bool, time: Option<Duration>, progress: Progress<'_>) -> bool {
        let end = time.and_then(|time| Instant::now().checked_add(time));
        let mut counted = Instant::now();
        loop {
            if !self.is_in_transition() {
                return true;
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                return false;
            }
            if let Some(progress) = progress
                && counted.elapsed() >= COUNT
            {
                progress(self.staying(to_new).count());
                counted = Instant::now();
            }
            thread::sleep(PAUSE);
        }
    }

    /// The directories of the tasks that have not gone over; none once all have.
    fn staying(&self, to_new: bool) -> impl Iterator<Item = PathBuf> {
        let stays = if to_new { "0" } else { "1" };
        let processes = directories(&self.processes).into_iter();
        let numbers = processes.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        numbers
            .take_while(|_| self.is_in_transition())
            .flat_map(|process| {
                let tasks = self.processes.join(process).join("task");
                let names = directories(&tasks).into_iter();
                names.map(move |task| tasks.join(task))
            })
            .filter(move |task| {
                let state = fs::read_to_string(task.join("patch_state"));
                state.is_ok_and(|state| state.trim() == stays)
            })
    }

    /// The tasks that have not gone over, with their stacks.
    fn blockers(&self, to_new: bool) -> Vec<Blocker> {
        let mut blockers: Vec<_> = self.staying(to_new).map(|task| blocker(&task)).collect();
        let names = self.functions();
        // First those that are in code that changes; others were only not looked at yet.
        let is_inside = |one: &Blocker| {
            let mut names = names
                .iter()
                .map(|(_, name)| name.split(',').next().unwrap_or(name));
            names.any(|name| {
                one.stack
                    .iter()
                    .any(|frame| frame.split('+').next() == Some(name))
            })
        };
        blockers.sort_by_key(|one| !is_inside(one));
        blockers
    }

    /// Takes the patch out of force and waits for all tasks.
    ///
    /// # Errors
    /// As [`Self::follow`].
    pub fn disable(
        &self,
        patience: Patience,
        progress: Progress<'_>,
    ) -> Result<Ended, KernelError> {
        self.set("enabled", "0")?;
        self.follow(false, patience, progress)
    }

    /// Unloads the module, once the kernel has forgotten the patch.
    ///
    /// # Errors
    /// When the module is still in use.
    pub fn unload(&self) -> Result<(), KernelError> {
        let end = Instant::now() + FORGET;
        while self.exists() && Instant::now() < end {
            thread::sleep(PAUSE);
        }
        unload_module(&self.module, end)
    }
}

/// Unloads a module, trying until `end` while it is in use.
pub(super) fn unload_module(module: &str, end: Instant) -> Result<(), KernelError> {
    let Ok(name) = CString::new(module) else {
        return Err(KernelError::NoPatch(module.to_owned()));
    };
    loop {
        match delete_module(&name, DeleteModuleFlags::O_NONBLOCK) {
            Ok(()) | Err(Errno::ENOENT) => return Ok(()),
            Err(Errno::EAGAIN | Errno::EBUSY) if Instant::now() < end => thread::sleep(PAUSE),
            Err(errno) => {
                return Err(KernelError::Stays {
                    patch: module.to_owned(),
                    errno,
                });
            }
        }
    }
}

/// The deadline for [`unload_module`] where nothing is known to hold the module.
pub(super) fn soon() -> Instant {
    Instant::now() + FORGET
}

fn blocker(directory: &Path) -> Blocker {
    let read = |name: &str| fs::read(directory.join(name)).unwrap_or_default();
    let text = |name: &str| String::from_utf8_lossy(&read(name)).into_owned();
    let stack = text("stack");
    let task = directory.file_name().and_then(|name| name.to_str());
    Blocker {
        pid: task.and_then(|task| task.parse().ok()).unwrap_or_default(),
        comm: crate::printable::one_line(text("comm").trim_end()).into_owned(),
        // `[<0>] do_nanosleep+0x7d/0x170`
        stack: stack
            .lines()
            .map(|line| line.trim_start_matches("[<0>] ").to_owned())
            .collect(),
    }
}

/// The names of the directories in a directory, in order.
fn directories(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut names: Vec<_> = directories
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A kernel with one livepatch in transition and three tasks, of which 10 and 12 stay.
    fn kernel() -> (TempDir, Livepatch) {
        let directory = TempDir::new().expect("a temporary directory");
        let put = |path: &str, text: &str| {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().expect("below the directory")).expect("writable");
            fs::write(path, text).expect("writable");
        };
        put("sys/kernel/livepatch/fix/enabled", "1\n");
        put("sys/kernel/livepatch/fix/transition", "1\n");
        put("sys/kernel/livepatch/fix/vmlinux/f,1/x", "");
        put("proc/11/task/10/patch_state", "0");
        for (task, state) in [("11", "1"), ("12", "0")] {
            put(&format!("proc/11/task/{task}/patch_state"), state);
            put(&format!("proc/11/task/{task}/comm"), "a\u{1b}b\n");
            put(
                &format!("proc/11/task/{task}/stack"),
                "[<0>] f+0x1/0x2\n[<0>] g+0x3/0x4\n",
            );
        }
        let running = Running::at(
            &directory.path().join("proc"),
            &directory.path().join("sys"),
        );
        (directory, Livepatch::of(&running, "fix"))
    }

    #[test]
    fn tasks_that_stay_are_named_with_their_stacks() {
        let (_directory, patch) = kernel();
        let blockers = patch.blockers(true);
        assert_eq!(blockers.len(), 2);
        // 10 is not in a function of the patch.
        assert_eq!(blockers[0].to_string(), "task 12 (a\\u{1b}b)");
        assert_eq!(blockers[0].stack, ["f+0x1/0x2", "g+0x3/0x4"]);
        assert_eq!(patch.blockers(false)[0].pid, 11);
    }

    #[test]
    fn functions_are_those_of_its_objects() {
        let (_directory, patch) = kernel();
        assert_eq!(
            patch.functions(),
            [("vmlinux".to_owned(), "f,1".to_owned())]
        );
    }

    #[test]
    fn a_transition_that_does_not_end_is_followed_for_its_time() {
        let (_directory, patch) = kernel();
        let left = std::cell::Cell::new(0);
        let time = COUNT + Duration::from_millis(100);
        let settled = patch.settled_within(true, Some(time), Some(&|count| left.set(count)));
        assert!(!settled && left.get() == 2);
    }
}
