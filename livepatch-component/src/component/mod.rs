//! The main task: one thread, one event loop, one queue; it owns all that must outlive a module.

mod close;
mod failure;
mod intake;
mod prepare;
mod probation;
mod requests;
mod show;
mod standby;
mod start;
mod switch;
mod trial;
mod upgrade;

pub(crate) use start::{StartError, give_up, last_module};

use crate::begun::Begun;
use crate::control::server::{Asker, Server};
use crate::history::{History, Record};
use crate::module::file::ModuleFile;
use crate::module::mapper::EntryId;
use crate::queue::{EventKind, Queue, Queued};
use crate::services::{FIRST_SOCKET, STOPPING, Services};
use crate::sockets::Room;
use crate::sys::arena::Backing;
use crate::sys::module::{Calls, Data, Loaded};
use crate::sys::signals;
use crate::sys::table::Table;
use close::{Closing, Leftover};
use livepatch_bundle::Policy;
use livepatch_module::abi;
use mio::{Events, Poll, Token, Waker};
use nix::fcntl::Flock;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{Expiration, TimerFd, TimerSetTimeFlags};
use prepare::Job;
use probation::Probation;
use standby::Watchdog;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const CONTROL: Token = Token(0);
const SIGNALS: Token = Token(1);
const TIMERS: Token = Token(2);
const WAKE: Token = Token(3);
/// Control connections.
const FIRST_ASKER: usize = 1 << 8;

/// Events that are handled before sockets are looked at again.
const BATCH: usize = 256;

/// How long until a thread is looked at again whose work is done: nothing tells when it is gone.
const THREAD_ENDS: Duration = Duration::from_millis(1);

/// How a component is run.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: String,
    /// Where its socket, its history and copies of modules are.
    pub(crate) directory: PathBuf,
    pub(crate) repository: Option<PathBuf>,
    /// The most events that wait.
    pub(crate) queue_bound: usize,
    /// The most bytes of module data.
    pub(crate) memory: usize,
    /// What that lies in.
    pub(crate) backing: Backing,
    /// The most old versions whose code stays mapped.
    pub(crate) leftovers_bound: usize,
    /// How often the supervisor has started it anew.
    pub(crate) restarts: u64,
    /// The signal that ended the process before.
    pub(crate) ended_by: Option<String>,
}

/// The version that runs.
#[derive(Debug)]
struct Running {
    loaded: Loaded,
    file: Arc<ModuleFile>,
    calls: Calls,
}

/// The main task.
#[derive(Debug)]
pub(crate) struct Component {
    settings: Settings,
    /// Where copies of modules are.
    copies: PathBuf,
    policy: Arc<Policy>,
    services: &'static Services,
    table: Table,
    poll: Poll,
    waker: Arc<Waker>,
    timer: TimerFd,
    /// What the timer is set to.
    alarm: Option<u64>,
    queue: Queue,
    room: Room,
    running: Running,
    data: Data,
    /// The file of the version before.
    previous: Option<Arc<ModuleFile>>,
    /// Files that a helper is to remove.
    discarded: Vec<Arc<ModuleFile>>,
    server: Server,
    /// Who waits for the answer to which command.
    commands: BTreeMap<u64, Asker>,
    next_command: u64,
    job: Option<Job>,
    /// The upgrade that is not in the history yet.
    begun: Option<Begun>,
    closing: Option<Closing>,
    leftovers: Vec<Leftover>,
    probation: Option<Probation>,
    watchdog: Watchdog,
    history: History,
    numbers: u64,
    handled: u64,
    failed: u64,
    stopping: Option<Option<Asker>>,
    /// Held for as long as the component runs.
    lock: Option<Flock<File>>,
}

impl Component {
    /// Handles events until it is told to stop.
    ///
    /// # Errors
    /// When the loop itself cannot go on.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        while self.stopping.is_none() {
            self.set_timer()?;
            let timeout = self.patience();
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                self.notice(event.token())?;
            }
            self.intake();
            self.handle(BATCH);
            self.deliver();
            self.look_after();
        }
        self.stop();
        Ok(())
    }

    /// How long to wait for events.
    fn patience(&self) -> Option<Duration> {
        let (job, closing) = (self.job.as_ref(), self.closing.as_ref());
        let ends = job.is_some_and(|job| job.helper.is_done())
            || closing.is_some_and(|closing| closing.helper.is_done());
        match (self.has_work() || self.server.waiting().is_some(), ends) {
            (true, _) => Some(Duration::ZERO),
            (false, true) => Some(THREAD_ENDS),
            (false, false) => None,
        }
    }

    /// Whether there is something to do without waiting.
    fn has_work(&self) -> bool {
        if self.queue.len() > 0 {
            return true;
        }
        let sockets = self.services.sockets.borrow();
        sockets.values().any(|source| source.is_ready)
    }

    /// What the system tells of one descriptor.
    fn notice(&mut self, token: Token) -> io::Result<()> {
        match token {
            CONTROL => {
                let registry = self.poll.registry();
                let token = |asker: Asker| Token(FIRST_ASKER + asker.0);
                self.server.accept(registry, token)
            }
            SIGNALS => self.take_signals(),
            TIMERS => {
                self.alarm = None;
                Ok(())
            }
            WAKE => Ok(()),
            Token(token) if token >= FIRST_SOCKET => {
                let id = (token - FIRST_SOCKET) as u64;
                self.services.wake(id);
                Ok(())
            }
            Token(token) => {
                self.progress(Asker(token.saturating_sub(FIRST_ASKER)));
                Ok(())
            }
        }
    }

    /// Goes on with a control connection.
    fn progress(&mut self, asker: Asker) {
        if let Some(request) = self.server.progress(asker) {
            self.request(asker, request);
        }
    }

    /// Hands events to the module.
    fn handle(&mut self, most: usize) {
        for _ in 0..most {
            let Some(event) = self.queue.pop() else {
                return;
            };
            let calls = &self.running.calls;
            let result = calls.call(event.entry, &self.table, self.data, &event);
            if result == Some(abi::OK) {
                self.handled += 1;
                self.mention(event.entry);
            } else {
                self.complain_of(&event, result);
            }
            self.queue.done(event.data);
        }
    }

    /// Tells of what a call-back complained about, and handled all the same: it may have caught a panic.
    fn mention(&self, entry: EntryId) {
        if let Some(reason) = self.services.take_failure() {
            let names = self.services.names.borrow();
            let name = names.name(entry);
            self.services.log(1, &format!("`{name}` went on: {reason}"));
        }
    }

    /// Tells of an event that was not handled; whoever sent a command is told too.
    #[cold]
    fn complain_of(&mut self, event: &Queued, result: Option<abi::Result>) {
        self.failed += 1;
        let names = self.services.names.borrow();
        let name = names.name(event.entry);
        let reason = self.services.take_failure().unwrap_or_default();
        let text = match result {
            None => format!("an event for `{name}` was not handled: there is no such call-back"),
            Some(abi::PANIC) => format!("`{name}` panicked: {reason}"),
            Some(_) => format!("`{name}` failed: {reason}"),
        };
        self.services.log(1, &text);
        if event.kind == EventKind::Command {
            // Where the module has answered before it failed, that answer counts.
            self.services.reply(event.source, 1, &text);
        }
    }

    /// Sends what the module answered.
    fn deliver(&mut self) {
        for answer in self.services.take_answers() {
            if let Some(asker) = self.commands.remove(&answer.command) {
                let reply = requests::answer(answer.status, answer.text);
                self.server.answer(asker, &reply);
            }
        }
    }

    /// Goes on with what other threads, or time, have finished.
    fn look_after(&mut self) {
        // One at a time: messages come first.
        if let Some(asker) = self.server.waiting() {
            self.progress(asker);
        }
        self.watchdog.reap();
        self.finish_closing();
        self.finish_job();
        self.look_after_probation();
    }

    /// Sets the system's timer to the next deadline, the module's or our own.
    fn set_timer(&mut self) -> io::Result<()> {
        let ours = self.probation.as_ref().map(Probation::next);
        let next = self.services.timers.borrow().next();
        let next = [next, ours].into_iter().flatten().min();
        let is_full = self.queue.room() == 0;
        let next = next.filter(|_| !is_full);
        if next == self.alarm {
            return Ok(());
        }
        match next {
            Some(nanos) => {
                // Zero would switch the timer off.
                let time = Duration::from_nanos(nanos.max(1));
                let expiration = Expiration::OneShot(TimeSpec::from_duration(time));
                let absolute = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
                self.timer.set(expiration, absolute)?;
            }
            None => self.timer.unset()?,
        }
        self.alarm = next;
        Ok(())
    }

    fn take_signals(&mut self) -> io::Result<()> {
        while self.queue.room() > 0 {
            let Some(came) = signals::next(self.services.signal_descriptor())? else {
                break;
            };
            if STOPPING.contains(&came.number) {
                self.stopping = Some(None);
            } else {
                self.queue_signal(came);
            }
        }
        Ok(())
    }

    /// Adds to the history.
    fn record(&mut self, record: Record) {
        let number = self.history.add(record);
        self.complete(number, None);
    }

    /// Writes a record of the history down; returns it.
    fn complete(&mut self, number: u64, leftover: Option<String>) -> Option<Record> {
        let (record, written) = self.history.complete(number, leftover);
        let record = record.cloned();
        if let Err(error) = written {
            self.services.complain("write the history", &error);
        }
        record
    }

    /// The next number for a copy of a module.
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Ends the module's work; its code is not needed any more.
    fn stop(&mut self) {
        self.wait_for_closing();
        // Whatever was decided: there is nothing here to take back any more.
        let _ = self.veto();
        let result = self.running.loaded.term(&self.table, self.data);
        if result != abi::OK {
            let reason = self.services.take_failure().unwrap_or_default();
            self.services
                .log(1, &format!("TERM failed at the end: {reason}"));
        }
        if let Some(Some(asker)) = self.stopping.take() {
            let reply = crate::control::protocol::Reply::done();
            self.server.answer(asker, &reply);
        }
    }
}
