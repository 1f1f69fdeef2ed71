//! The start of a component: its files, its first module, INIT.

use super::failure::{Operation, OperationError};
use super::probation::Probation;
use super::standby::Watchdog;
use super::{CONTROL, Component, Running, SIGNALS, Settings, TIMERS, WAKE};
use crate::begun;
use crate::control::client::socket_path;
use crate::control::server::Server;
use crate::decision::{Decision, Verdict};
use crate::history::{CRASHED, History, Record};
use crate::module::file::{FileError, ModuleFile};
use crate::queue::Queue;
use crate::services::Services;
use crate::sockets::Room;
use crate::sys::arena::Arena;
use crate::sys::module::{Data, LoadError, Loaded};
use crate::sys::table::Table;
use livepatch_bundle::Policy;
use mio::unix::SourceFd;
use mio::{Interest, Poll, Waker};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Why a component does not start.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    #[error("cannot use the directory `{}`", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("the component `{0}` is running already")]
    Running(String),
    #[error("cannot {0}")]
    System(&'static str, #[source] io::Error),
    #[error("cannot use the module")]
    File(#[source] FileError),
    #[error("cannot load `{}`", path.display())]
    Load { path: PathBuf, source: LoadError },
    #[error("`{}` did not start", path.display())]
    Init {
        path: PathBuf,
        source: OperationError,
    },
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> StartError {
    move |source| StartError::System(what, source)
}

impl Component {
    /// Loads a module and calls its INIT.
    ///
    /// # Errors
    /// When anything of that fails; nothing is left behind.
    pub(crate) fn start(
        settings: Settings,
        policy: Policy,
        module: &Path,
    ) -> Result<Self, StartError> {
        let lock = lock(&settings)?;
        let files = settings.clone();
        match Self::load(settings, policy, module) {
            Ok(mut component) => {
                component.lock = Some(lock);
                Ok(component)
            }
            Err(error) => {
                clear(&files);
                Err(error)
            }
        }
    }

    fn load(settings: Settings, policy: Policy, module: &Path) -> Result<Self, StartError> {
        prepare_directory(&settings)?;
        let copies = copies(&settings);
        let file = ModuleFile::take(module, &settings.name, &policy, &copies, 0);
        let file = file.map_err(StartError::File)?;
        forget_others(&settings, &copies);
        let poll = Poll::new().map_err(system("wait for events"))?;
        let waker = Waker::new(poll.registry(), WAKE).map_err(system("wait for threads"))?;
        let registry = poll
            .registry()
            .try_clone()
            .map_err(system("wait for sockets"))?;
        let arena = Arena::new(settings.memory, settings.backing);
        let arena = arena.map_err(system("reserve memory for module data"))?;
        let services = Services::new(&settings.name, arena, registry);
        let services = services.map_err(system("watch signals"))?;
        // As long as the process: modules keep pointers to it.
        let services: &'static Services = Box::leak(Box::new(services));
        services.arena.guard_copies();
        let table = Table::new(services);
        let path = file.origin.clone();
        let loaded = Loaded::open(file.copy(), table.attaching().host());
        let loaded = loaded.map_err(|source| StartError::Load { path, source })?;
        let calls = loaded.calls(&mut services.names.borrow_mut());
        let history = History::open(&history_path(&settings));
        let socket = socket_path(&settings.directory, &settings.name);
        let mut component = Self {
            policy: Arc::new(policy),
            services,
            table,
            waker: Arc::new(waker),
            timer: register_timer(&poll).map_err(system("make a timer"))?,
            alarm: None,
            queue: Queue::new(settings.queue_bound),
            room: Room::default(),
            running: Running {
                loaded,
                file: Arc::new(file),
                calls,
            },
            data: Data::NONE,
            previous: None,
            discarded: Vec::new(),
            server: Server::new(&socket, poll.registry(), CONTROL)
                .map_err(system("listen at the control socket"))?,
            commands: BTreeMap::new(),
            next_command: 0,
            job: None,
            begun: None,
            closing: None,
            leftovers: Vec::new(),
            probation: None,
            watchdog: Watchdog::new(),
            history: history.map_err(system("open the history"))?,
            numbers: 0,
            handled: 0,
            failed: 0,
            stopping: None,
            copies,
            poll,
            settings,
            lock: None,
        };
        component
            .register_signals()
            .map_err(system("watch signals"))?;
        component.init()?;
        Ok(component)
    }

    fn register_signals(&self) -> io::Result<()> {
        let descriptor = self.services.signal_descriptor().as_raw_fd();
        let registry = self.poll.registry();
        registry.register(&mut SourceFd(&descriptor), SIGNALS, Interest::READABLE)
    }

    fn init(&mut self) -> Result<(), StartError> {
        *self.services.calls.borrow_mut() = self.running.calls.clone();
        let (result, data) = self.running.loaded.init(&self.table);
        let judged = OperationError::of(Operation::Init, result, self.services.take_failure());
        let judged = judged.and(match data {
            Data::NONE => Err(OperationError::NoData(Operation::Init)),
            _ => Ok(()),
        });
        judged.map_err(|source| StartError::Init {
            path: self.running.file.origin.clone(),
            source,
        })?;
        self.data = data;
        let version = self.running.file.about.version.clone();
        self.services.log(2, &format!("version {version} runs"));
        if let Err(error) = self.note_of_current().write() {
            self.services.complain("note the current version", &error);
        }
        self.tell_of_a_crash(&version);
        self.record(Record::new("start", None, &version));
        Ok(())
    }

    /// Takes an upgrade into the history that ended the process before this one.
    fn tell_of_a_crash(&mut self, version: &str) {
        let (directory, name) = (&self.settings.directory, &self.settings.name);
        let begun = begun::take(&begun::path(directory, name));
        // It may have crashed when all was written.
        let begun = begun.filter(|begun| !self.history.has(begun));
        let Some(mut record) = begun else {
            return;
        };
        CRASHED.clone_into(&mut record.outcome);
        record.reasons = vec![
            crash(self.settings.ended_by.as_deref()),
            format!("{version} was started again, with new data"),
        ];
        self.record(record);
    }

    /// Removes what is of no use once the component has ended.
    pub(crate) fn finish(self) {
        // Sockets with paths remove these.
        self.services.sockets.borrow_mut().clear();
        clear(&self.settings);
    }

    /// Which version to start with after a crash: the one that runs, or while that is on probation the one before.
    pub(super) fn note_of_current(&self) -> Note {
        let copy = |file: &ModuleFile| file.copy().to_owned();
        let running = &self.running.file;
        let probation = self.probation.as_ref();
        let undecided = probation.and_then(Probation::undecided);
        Note {
            path: current_path(&self.settings),
            current: Current {
                module: copy(probation.map_or(running, |it| &it.old.file)),
                undecided: undecided.map(|decision| Undecided {
                    decision: decision.clone(),
                    module: copy(running),
                }),
            },
        }
    }
}

/// How a process ended that had an upgrade under way.
fn crash(ended_by: Option<&str>) -> String {
    match ended_by {
        Some("SIGALRM") => "the process hung (SIGALRM)".to_owned(),
        Some(signal) => format!("the process crashed ({signal})"),
        None => "the process ended before it was done".to_owned(),
    }
}

/// What is noted for a restart.
#[derive(Debug, Serialize, Deserialize)]
struct Current {
    module: PathBuf,
    #[serde(default)]
    undecided: Option<Undecided>,
}

/// An upgrade of a group that may be taken back yet.
#[derive(Debug, Serialize, Deserialize)]
struct Undecided {
    decision: Decision,
    /// The version if it stands.
    module: PathBuf,
}

/// What is noted, and where.
#[derive(Debug)]
pub(super) struct Note {
    path: PathBuf,
    current: Current,
}

impl Note {
    /// Writes it down: all of it, or nothing.
    pub(super) fn write(&self) -> io::Result<()> {
        let text = serde_json::to_vec(&self.current)?;
        let new = self.path.with_extension("new");
        fs::write(&new, text)?;
        fs::rename(&new, &self.path)
    }
}

/// Where it is noted which version runs.
fn current_path(settings: &Settings) -> PathBuf {
    settings
        .directory
        .join(format!("{}.current", settings.name))
}

/// The module to go on with, of a component that crashed. If it was one of a group that was not decided on, that is off now.
pub(crate) fn last_module(settings: &Settings) -> Option<PathBuf> {
    let text = fs::read(current_path(settings)).ok()?;
    let current: Current = serde_json::from_slice(&text).ok()?;
    let stands = current.undecided.filter(|undecided| {
        // Where it cannot be told, the version before is the one that is known to work.
        matches!(undecided.decision.make(Verdict::Off), Ok(Verdict::Stands))
    });
    let path = stands.map_or(current.module, |undecided| undecided.module);
    path.is_file().then_some(path)
}

fn all_copies(settings: &Settings) -> PathBuf {
    settings
        .directory
        .join(format!("{}.modules", settings.name))
}

/// Where this process keeps its copies of modules.
fn copies(settings: &Settings) -> PathBuf {
    all_copies(settings).join(std::process::id().to_string())
}

fn history_path(settings: &Settings) -> PathBuf {
    settings
        .directory
        .join(format!("{}.history", settings.name))
}

/// The file whose lock keeps two components of one name apart.
fn lock_path(settings: &Settings) -> PathBuf {
    settings.directory.join(format!("{}.lock", settings.name))
}

/// Removes all files but a history of anything; for whoever holds the lock. That goes last: then the name is free.
fn clear(settings: &Settings) {
    let (at, name) = (&settings.directory, &settings.name);
    let history = history_path(settings);
    if fs::metadata(&history).is_ok_and(|history| history.len() == 0) {
        let _ = fs::remove_file(history);
    }
    // What is not there need not go.
    let _ = fs::remove_dir_all(all_copies(settings));
    for file in [
        socket_path(at, name),
        current_path(settings),
        begun::path(at, name),
        lock_path(settings),
    ] {
        let _ = fs::remove_file(file);
    }
}

/// Removes what is left of a component that is not started again.
pub(crate) fn give_up(settings: &Settings) {
    // Where it runs, it is another one.
    if let Ok(_lock) = lock(settings) {
        clear(settings);
    }
}

fn cannot_use(path: &Path) -> impl FnOnce(io::Error) -> StartError {
    let path = path.to_owned();
    |source| StartError::Directory { path, source }
}

/// Makes the directory, and takes the lock.
fn lock(settings: &Settings) -> Result<Flock<File>, StartError> {
    let at = &settings.directory;
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o755);
    builder.create(at).map_err(cannot_use(at))?;
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(false).mode(0o600);
    loop {
        let file = options.open(lock_path(settings)).map_err(cannot_use(at))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock);
        let lock = lock.map_err(|_| StartError::Running(settings.name.clone()))?;
        // Whoever had it may have removed the file since it was opened: then others do not see this one.
        let ours = lock.metadata().map_err(cannot_use(at))?;
        let there = fs::metadata(lock_path(settings));
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            return Ok(lock);
        }
    }
}

/// Makes the directory for copies, and removes what a process before has left.
fn prepare_directory(settings: &Settings) -> Result<(), StartError> {
    // Nobody else can have it now.
    let _ = fs::remove_file(socket_path(&settings.directory, &settings.name));
    let copies = copies(settings);
    let _ = fs::remove_dir_all(&copies);
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(&copies).map_err(cannot_use(&copies))
}

/// Removes copies of modules that processes before this one made.
fn forget_others(settings: &Settings, ours: &Path) {
    let others = fs::read_dir(all_copies(settings))
        .into_iter()
        .flatten()
        .flatten();
    for other in others.filter(|other| other.path() != ours) {
        let _ = fs::remove_dir_all(other.path());
    }
}

fn register_timer(poll: &Poll) -> io::Result<TimerFd> {
    let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
    let descriptor = timer.as_fd().as_raw_fd();
    let registry = poll.registry();
    registry.register(&mut SourceFd(&descriptor), TIMERS, Interest::READABLE)?;
    Ok(timer)
}
