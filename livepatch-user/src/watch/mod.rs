//! `livepatch watch`: a directory of bundles is kept applied to whatever starts or loads a library from now on.
//!
//! One thread waits for the kernel's process events ([`events`]), for libraries that are opened ([`opened`]), for changes of the
//! directory and for signals. What happens to a process makes it due for a look ([`schedule`]) by a worker process ([`look`]), at its
//! build IDs and its loader, and the bundles are applied. Executables that were looked at in vain are remembered, and lost events
//! made up for by a look at all processes.

mod bundles;
mod events;
mod journal;
mod keep;
mod look;
mod metrics;
mod opened;
mod schedule;
mod work;

pub use bundles::BundlesError;
pub use events::EventsError;
pub use opened::OpenedError;

use crate::apply;
use crate::crew::Worker;
use crate::interrupt;
use crate::process::Pid;
use crate::select::all_processes;
use crate::sys::identity::FileIdentity;
use crate::sys::poll::is_readable;
use crate::trust::Sources;
use bundles::Bundles;
use events::{Event, Events};
use journal::{Level, Log};
use metrics::Metrics;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signalfd::SignalFd;
use opened::Opened;
use schedule::{Cause, Schedule};
use std::collections::{BTreeSet, HashSet};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Instant;
use thiserror::Error;
use work::executable;

/// What to watch, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of bundles.
    pub directory: PathBuf,
    /// Where figures go.
    pub metrics: Option<PathBuf>,
    /// Whether patches whose bundles are removed are reverted.
    pub revert_removed: bool,
    /// Whose bundles are applied.
    pub sources: Sources,
    /// How they are applied.
    pub apply: apply::Options,
    /// How many processes are worked on at a time.
    pub at_once: usize,
    /// Whether events are told as JSON on the standard output.
    pub json: bool,
}

/// Why there is nothing to watch with.
#[derive(Debug, Error)]
pub enum WatchError {
    /// The directory, or the policy.
    #[error(transparent)]
    Bundles(#[from] BundlesError),
    /// No process events.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// No opened libraries.
    #[error(transparent)]
    Opened(#[from] OpenedError),
    /// The directory or signals cannot be waited for.
    #[error("cannot wait for {0}")]
    Wait(&'static str, #[source] Errno),
}

/// A worker and whom it looks at.
struct Looking {
    pid: Pid,
    since: Instant,
    worker: Worker,
}

struct Watch {
    options: Options,
    log: Log,
    bundles: Bundles,
    events: Events,
    opened: Option<Opened>,
    directory: Inotify,
    signals: SignalFd,
    schedule: Schedule,
    /// Programs that no bundle is for, whatever they are started with.
    others: HashSet<FileIdentity>,
    looking: Vec<Looking>,
    metrics: Metrics,
    /// What was told of bundles that cannot be used.
    unfit: BTreeSet<String>,
    told: Option<Metrics>,
    told_at: Option<Instant>,
}

/// Watches until SIGTERM, SIGINT or SIGHUP; what has begun then is finished first, and what waits for a busy process gives up.
///
/// # Errors
/// When the directory cannot be used, or the kernel does not tell what happens.
pub fn watch(options: Options) -> Result<(), WatchError> {
    let mut watch = Watch::start(options)?;
    let names = watch.bundles.patches().into_iter().collect::<Vec<_>>();
    let directory = watch.options.directory.display();
    watch.log.note(
        "watching",
        &format!("watching; patches of `{directory}`: {}", names.join(", ")),
    );
    watch.sweep();
    while watch.step() {}
    watch.log.note("ending", "ending");
    watch.give_up_looks();
    watch.tell_metrics(true);
    Ok(())
}

impl Watch {
    fn start(options: Options) -> Result<Self, WatchError> {
        // The directory is waited for before it is read, and processes before they are listed: nothing falls between.
        let directory = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
            .map_err(|error| WatchError::Wait("changes of the directory", error))?;
        let changes = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_DELETE;
        let (bundles, unfit) = Bundles::read(&options.directory, &options.sources)?;
        let log = Log { json: options.json };
        let watched = directory.add_watch(&options.directory, changes);
        watched.map_err(|error| WatchError::Wait("changes of the directory", error))?;
        let signals = signals().map_err(|error| WatchError::Wait("signals", error))?;
        interrupt::listen();
        let mut watch = Self {
            events: Events::listen()?,
            opened: None,
            directory,
            signals,
            schedule: Schedule::default(),
            others: HashSet::new(),
            looking: Vec::new(),
            metrics: Metrics::default(),
            told: None,
            told_at: None,
            options,
            log,
            bundles,
            unfit: BTreeSet::new(),
        };
        watch.tell_unfit(&unfit);
        watch.watch_openings()?;
        // What changed between the reading and the watching.
        watch.reload();
        Ok(watch)
    }

    /// Waits for something and does what is due; false when it is time to end.
    fn step(&mut self) -> bool {
        self.tell_metrics(false);
        self.wait();
        if matches!(self.signals.read_signal(), Ok(Some(_))) {
            return false;
        }
        let now = Instant::now();
        self.take_events(now);
        if self
            .directory
            .read_events()
            .is_ok_and(|events| !events.is_empty())
            && self.reload()
        {
            self.sweep();
        }
        for index in (0..self.looking.len()).rev() {
            if is_readable(self.looking[index].worker.as_fd()) && self.looking[index].worker.read()
            {
                self.finish(index);
            }
        }
        self.start_looks();
        true
    }

    /// Lets no worker begin with what it waits for, and waits until all have ended.
    fn give_up_looks(&mut self) {
        let workers = self.looking.iter();
        workers.for_each(|looking| looking.worker.interrupt());
        while let Some(looking) = self.looking.first_mut() {
            if looking.worker.read() {
                self.finish(0);
            }
        }
    }

    fn wait(&self) {
        let busy = self.busy();
        let full = self.looking.len() >= self.options.at_once;
        let wait = self.schedule.wait(Instant::now(), &busy).filter(|_| !full);
        let wait = wait.into_iter().chain(self.metrics_wait()).min();
        // Rounded up: a wait that ends too early would be one of many.
        let wait = wait.map(|time| u16::try_from(time.as_millis() + 1).unwrap_or(u16::MAX));
        let mut all = vec![
            self.events.as_fd(),
            self.directory.as_fd(),
            self.signals.as_fd(),
        ];
        all.extend(self.opened.iter().map(AsFd::as_fd));
        all.extend(self.looking.iter().map(|looking| looking.worker.as_fd()));
        let mut fds: Vec<PollFd<'_>> = all
            .into_iter()
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        // Interrupted by a signal: the caller looks at everything anyway.
        let _ = poll(&mut fds, wait.map_or(PollTimeout::NONE, PollTimeout::from));
    }

    fn busy(&self) -> BTreeSet<Pid> {
        self.looking.iter().map(|looking| looking.pid).collect()
    }

    fn take_events(&mut self, now: Instant) {
        let (events, mut lost) = self.events.take();
        for event in events {
            match event {
                Event::Exec(pid) => {
                    self.schedule.trigger(pid, Cause::Exec, now);
                    if let Some(opened) = &mut self.opened {
                        opened.add_that_of(pid);
                    }
                }
                // The copy of a process that is not patched yet, or is being patched, may lack the patch.
                Event::Fork { parent, child } => {
                    if self.schedule.has(parent) {
                        self.schedule.trigger(child, Cause::Unknown, now);
                    }
                }
                Event::Exit(pid) => self.schedule.forget(pid),
                Event::Answer(_) => {}
            }
        }
        if let Some(opened) = &mut self.opened {
            let (pids, overflow) = opened.take(&self.bundles.build_ids);
            lost |= overflow;
            for pid in pids {
                self.schedule.trigger(pid, Cause::Opening, now);
            }
        }
        if lost {
            self.metrics.lost += 1;
            self.log
                .problem(Level::Warning, "events were lost; looking at all processes");
            self.sweep();
        }
    }

    /// Looks at all processes.
    fn sweep(&mut self) {
        self.metrics.sweeps += 1;
        let (now, busy) = (Instant::now(), self.busy());
        for pid in all_processes().unwrap_or_default() {
            // A look that is under way began before what we are told of now: it does not count.
            let is_expected = self.schedule.has(pid) && !busy.contains(&pid);
            // Threads of the kernel run no file.
            if executable(pid).is_some() && !is_expected {
                self.schedule.trigger(pid, Cause::Unknown, now);
            }
        }
    }
}

/// The signals that end it, as something to wait for.
fn signals() -> Result<SignalFd, Errno> {
    let ends = interrupt::wanted();
    ends.thread_block()?;
    let flags =
        nix::sys::signalfd::SfdFlags::SFD_NONBLOCK | nix::sys::signalfd::SfdFlags::SFD_CLOEXEC;
    SignalFd::with_flags(&ends, flags)
}
