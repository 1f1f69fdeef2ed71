//! Several jobs at once, each in a process of its own.
//!
//! A worker begins as a copy of this process, so that what was read for all (the bundle, the policy) is read once; what
//! happens to one, a crash or a kill, happens to no other and to no other's target. The crew itself has one thread and waits for
//! its workers' results at the ends of their pipes.

use crate::interrupt;
use crate::process::Pid;
use crate::sys::fork::{exit_now, fork};
use crate::watchdog::{self, Stuck};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitStatus, waitpid};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use thiserror::Error;

/// The exit status of a worker that was stuck before it changed anything, and later.
const STUCK: [u8; 2] = [102, 103];

/// Why there is no result of a job.
#[derive(Debug, Error)]
pub enum CrewError {
    /// No worker could be started.
    #[error("cannot start a worker process")]
    Start(#[source] io::Error),
    /// It was killed; the state of what it worked on is not known.
    #[error("the worker process was killed by signal {0}")]
    Killed(i32),
    /// It waited for what nobody provides, and ended itself before it changed anything.
    #[error(transparent)]
    Stuck(Stuck),
    /// The same, but later; the state of what it worked on is not known.
    #[error(transparent)]
    StuckInside(Stuck),
    /// It was not started: this process was asked to stop ([`interrupt`]).
    #[error("interrupted: nothing was changed")]
    Interrupted,
    /// It ended without a result.
    #[error("the worker process ended without a result (exit status {0})")]
    Ended(i32),
}

/// A worker that runs.
pub(crate) struct Worker {
    job: usize,
    process: Pid,
    pipe: PipeReader,
    result: Vec<u8>,
}

/// Runs `work` for each number below `jobs`, `at_once` of them at a time, and hands each result to `done` as it comes.
///
/// When this process is asked to stop ([`interrupt`]), so are its workers, and no more are started. A worker is watched ([`watchdog`]). The process must have one thread; nothing that it has locked or buffered is released or written by a worker.
pub fn run<T: Serialize + DeserializeOwned>(
    jobs: usize,
    at_once: usize,
    work: &dyn Fn(usize) -> T,
    done: &mut dyn FnMut(usize, Result<T, CrewError>),
) {
    let mut waiting = 0..jobs;
    let mut workers: Vec<Worker> = Vec::new();
    let mut interrupted = false;
    loop {
        if !interrupted && interrupt::came() {
            interrupted = true;
            workers.iter().for_each(Worker::interrupt);
            waiting
                .by_ref()
                .for_each(|job| done(job, Err(CrewError::Interrupted)));
        }
        while workers.len() < at_once.max(1)
            && let Some(job) = waiting.next()
        {
            match start(job, work) {
                Ok(worker) => workers.push(worker),
                Err(error) => done(job, Err(CrewError::Start(error))),
            }
        }
        if workers.is_empty() {
            return;
        }
        for index in ready(&workers, !interrupted).into_iter().rev() {
            if workers[index].read() {
                let worker = workers.swap_remove(index);
                done(worker.job, worker.finish());
            }
        }
    }
}

/// Starts a worker for one job; the caller waits until its descriptor is readable, reads, and finishes it at the end.
pub(crate) fn start<T: Serialize>(job: usize, work: &dyn Fn(usize) -> T) -> io::Result<Worker> {
    let (pipe, mut to_crew) = io::pipe()?;
    // What is buffered here is written here, once; where it cannot be written, the work goes on all the same.
    let _ = io::stdout().flush();
    if let Some(process) = fork()? {
        return Ok(Worker {
            job,
            process,
            pipe,
            result: Vec::new(),
        });
    }
    drop(pipe);
    watchdog::start(|| STUCK[usize::from(watchdog::has_changed())]);
    let code = match catch_unwind(AssertUnwindSafe(|| work(job))) {
        Ok(result) => {
            let bytes = serde_json::to_vec(&result).expect("results are plain data");
            // Nobody may be left to read it, which changes nothing of what was done.
            u8::from(to_crew.write_all(&bytes).is_err())
        }
        Err(_) => 101,
    };
    exit_now(code)
}

/// The workers whose pipes have something to read, or ended; none when this process is asked to stop first, if it `listens`.
fn ready(workers: &[Worker], listens: bool) -> Vec<usize> {
    let asked = interrupt::descriptor().filter(|_| listens);
    let pipes = workers.iter().map(|worker| worker.pipe.as_fd());
    let mut pipes: Vec<PollFd<'_>> = pipes
        .chain(asked)
        .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN))
        .collect();
    // Interrupted by a signal: asked again.
    if poll(&mut pipes, PollTimeout::NONE).is_err() {
        return Vec::new();
    }
    let pipes = pipes[..workers.len()].iter().enumerate();
    let some = pipes.filter(|(_, pipe)| pipe.any().unwrap_or(true));
    some.map(|(index, _)| index).collect()
}

impl AsFd for Worker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl Worker {
    /// Reads what there is; true at the end.
    pub(crate) fn read(&mut self) -> bool {
        let mut buffer = [0; 64 << 10];
        match self.pipe.read(&mut buffer) {
            Ok(0) => true,
            Ok(len) => {
                self.result.extend_from_slice(&buffer[..len]);
                false
            }
            Err(error) => error.kind() != io::ErrorKind::Interrupted,
        }
    }

    /// Asks it to stop where it changes nothing any more ([`interrupt`]).
    pub(crate) fn interrupt(&self) {
        interrupt::interrupt(self.process);
    }

    /// Waits for its end and decodes its result.
    pub(crate) fn finish<T: DeserializeOwned>(self) -> Result<T, CrewError> {
        let ended = loop {
            match waitpid(nix::unistd::Pid::from_raw(self.process.0), None) {
                Err(nix::errno::Errno::EINTR) => {}
                other => break other,
            }
        };
        match (serde_json::from_slice(&self.result), ended) {
            (Ok(result), _) => Ok(result),
            (Err(_), Ok(WaitStatus::Signaled(_, signal, _))) => {
                Err(CrewError::Killed(signal as i32))
            }
            (Err(_), Ok(WaitStatus::Exited(_, code))) => Err(
                match STUCK.iter().position(|&stuck| i32::from(stuck) == code) {
                    Some(0) => CrewError::Stuck(Stuck),
                    Some(_) => CrewError::StuckInside(Stuck),
                    None => CrewError::Ended(code),
                },
            ),
            (Err(_), _) => Err(CrewError::Ended(-1)),
        }
    }
}
