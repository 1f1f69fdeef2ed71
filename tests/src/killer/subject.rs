//! The process whose patching is interrupted, and what is asked of it afterwards.

use super::build::{Built, Patch};
use super::process::{Facts, await_free};
use super::tally::Finding;
use crate::snapshot::{Extent, Snapshot};
use crate::target::dying;
use crate::tools::{livepatch, tool};
use anyhow::{Context, Result, bail, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

/// How long the target may take for an answer, in ms: a guard against hanging.
const PATIENCE: u16 = 5000;
/// How often a revert is repeated while a word on a stack holds the patch's memory.
const REVERTS_MAX: usize = 5;
/// What a function of the running program adds, and what that of a patch.
const OLD: &str = "1040";
const NEW: &str = "2040";

/// What is done when the kill comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `livepatch apply`.
    Apply,
    /// `livepatch revert`.
    Revert,
}

impl Verb {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Revert => "revert",
        }
    }
}

/// A running target.
#[derive(Debug)]
pub struct Subject {
    built: Built,
    patch: Patch,
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    facts: Facts,
    memory: Snapshot,
    interrupted: u64,
}

/// Length of the mapping in which a patch in force has its shadow variables.
const ARENA: u64 = (64 << 20) + 5 * 4096;

/// Length of the mapping of a line of `/proc/PID/maps`.
fn length(line: &str) -> Option<u64> {
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    number(end)?.checked_sub(number(start)?)
}

impl Subject {
    /// Starts the target with so many threads, and has it patched and reverted once.
    ///
    /// # Errors
    /// When it cannot be started or patched.
    pub fn start(built: &Built, patch: Patch, threads: usize) -> Result<Self> {
        let mut subject = Self::spawn(built, patch, &[&threads.to_string()])?;
        subject.settle()?;
        Ok(subject)
    }

    /// The same, of a target that confines itself as `tests/kill/confine.h` says.
    ///
    /// # Errors
    /// When it cannot be started or patched.
    pub fn start_confined(built: &Built, patch: Patch, threads: usize, how: &str) -> Result<Self> {
        let mut subject = Self::start_plain(built, patch, threads, how)?;
        subject.settle()?;
        Ok(subject)
    }

    /// The same, and does not have it patched.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_plain(built: &Built, patch: Patch, threads: usize, how: &str) -> Result<Self> {
        Self::spawn(built, patch, &[&threads.to_string(), how])
    }

    fn spawn(built: &Built, patch: Patch, arguments: &[&str]) -> Result<Self> {
        let mut child = dying(built.path("target"))
            .args(arguments)
            // The kernel writes the processor's number into the rseq area by itself.
            .env("GLIBC_TUNABLES", "glibc.pthread.rseq=0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().expect("stdin is piped");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut ready = String::new();
        stdout.read_line(&mut ready)?;
        ensure!(ready == "ready\n", "the target said `{ready}`");
        let pid = child.id();
        let (facts, memory) = (Facts::read(pid)?, Snapshot::take(pid)?);
        Ok(Self {
            built: built.clone(),
            patch,
            child,
            stdin,
            stdout,
            facts,
            memory,
            interrupted: 0,
        })
    }

    /// The first patch may touch pages that the process never did; what comes later is compared with this.
    fn settle(&mut self) -> Result<()> {
        self.bring_in()?;
        self.take_out()?;
        self.facts = Facts::read(self.pid())?;
        self.memory = Snapshot::take(self.pid())?;
        self.interrupted = self.report()?[2];
        Ok(())
    }

    /// Applies and reverts, and checks that nothing is left and nobody saw an `EINTR`.
    ///
    /// # Errors
    /// With what is not as it was.
    pub fn cycle(&mut self) -> Result<()> {
        self.put_right()?;
        let [_, wrong, interrupted, _] = self.report()?;
        ensure!(wrong == 0, "the worker saw {wrong} wrong results");
        ensure!(interrupted == self.interrupted, "a sleeper saw an EINTR");
        Ok(())
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The command that is to be interrupted, after whatever must be done before it.
    ///
    /// # Errors
    /// When the patch to be reverted cannot be applied.
    pub fn prepare(&mut self, verb: Verb) -> Result<Vec<String>> {
        let program = tool("livepatch")?.display().to_string();
        let mut command = vec![
            program,
            verb.name().into(),
            "--pid".into(),
            self.pid().to_string(),
        ];
        match verb {
            Verb::Apply => command.push(self.built.bundle(self.patch).display().to_string()),
            Verb::Revert => self.bring_in()?,
        }
        Ok(command)
    }

    /// Looks at what a kill left, then puts it right. Tells whether the process can be used again.
    ///
    /// # Errors
    /// When something cannot be looked at that does not depend on the target.
    pub fn inspect(&mut self) -> Result<(Finding, bool)> {
        let mut finding = Finding::default();
        if let Err(error) = self.look(&mut finding) {
            let how = self
                .child
                .try_wait()?
                .map_or_else(|| format!("{error:#}"), |status| format!("dead: {status}"));
            finding.dead = Some(how);
        }
        if finding.dead.is_some() || finding.stopped.is_some() {
            return Ok((finding, false));
        }
        if let Err(error) = self.put_right() {
            finding.unrepaired = Some(format!("{error:#}"));
        }
        let usable = finding.unrepaired.is_none() && finding.masks.is_none();
        Ok((finding, usable))
    }

    fn look(&mut self, finding: &mut Finding) -> Result<()> {
        finding.stopped = await_free(self.pid())?;
        if finding.stopped.is_some() {
            return Ok(());
        }
        let answers = self.ask("ask")?;
        let of = |value| answers.split(' ').filter(|one| *one == value).count();
        let (old, new) = (of(OLD), of(NEW));
        ensure!(old + new == 3, "answered `{answers}`");
        finding.half = new != 0 && new != self.patch.functions();
        let [_, wrong, interrupted, _] = self.report()?;
        ensure!(wrong == 0, "the worker saw {wrong} wrong results");
        finding.interrupted = interrupted.abs_diff(self.interrupted) as usize;
        self.interrupted = interrupted;

        let now = Facts::read(self.pid())?;
        let before = &self.facts;
        let changed = |(tid, mask): &(&String, &String)| before.masks.get(*tid) != Some(mask);
        finding.masks = now.masks.iter().find(changed).map(|(tid, mask)| {
            let was = before.masks.get(tid);
            format!("thread {tid} blocks {mask}, before {was:?}")
        });
        let known = |line: &&String| {
            let patch = || line.contains("/memfd:livepatch:") || length(line) == Some(ARENA);
            before.mappings.contains(line) || new > 0 && patch()
        };
        finding.mappings = now.mappings.iter().filter(|line| !known(line)).count();
        finding.descriptors = now
            .descriptors
            .len()
            .saturating_sub(before.descriptors.len());
        Ok(())
    }

    /// What an administrator would do who finds the process so: list, apply, revert.
    fn put_right(&mut self) -> Result<()> {
        livepatch(["list", "--pid", &self.pid().to_string()])?.expect(0)?;
        self.bring_in()?;
        self.take_out()?;
        self.memory
            .check_same(&Snapshot::take(self.pid())?, Extent::Mapped)?;
        let now = Facts::read(self.pid())?;
        ensure!(
            now.descriptors == self.facts.descriptors,
            "descriptors {:?} became {:?}",
            self.facts.descriptors,
            now.descriptors
        );
        Ok(())
    }

    fn bring_in(&mut self) -> Result<()> {
        let bundle = self.built.bundle(self.patch).display().to_string();
        livepatch(["apply", "--pid", &self.pid().to_string(), &bundle])?.expect(0)?;
        let rest = if self.patch == Patch::Three { NEW } else { OLD };
        self.expect(&format!("{NEW} {rest} {rest}"))
    }

    fn take_out(&mut self) -> Result<()> {
        for _ in 0..REVERTS_MAX {
            let reverted = livepatch(["revert", "--pid", &self.pid().to_string()])?.expect(0)?;
            self.expect(&format!("{OLD} {OLD} {OLD}"))?;
            if !reverted.stdout.contains("its memory stays") {
                return Ok(());
            }
        }
        bail!("the memory is still held after {REVERTS_MAX} reverts")
    }

    fn expect(&mut self, wanted: &str) -> Result<()> {
        let answers = self.ask("ask")?;
        ensure!(answers == wanted, "answered `{answers}`, wanted `{wanted}`");
        Ok(())
    }

    fn report(&mut self) -> Result<[u64; 4]> {
        let line = self.ask("report")?;
        let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        numbers.try_into().ok().context("malformed report")
    }

    fn ask(&mut self, question: &str) -> Result<String> {
        writeln!(self.stdin, "{question}").context("it does not listen")?;
        let mut ready = [PollFd::new(
            self.stdout.get_ref().as_fd(),
            PollFlags::POLLIN,
        )];
        let answers = poll(&mut ready, PollTimeout::from(PATIENCE))?;
        ensure!(answers > 0, "it does not answer");
        let mut line = String::new();
        ensure!(self.stdout.read_line(&mut line)? > 0, "it is gone");
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
