//! One run: idle, floor, apply and revert in turn, against one process.

use crate::build::{Bench, Subject};
use crate::memory::private_bytes;
use crate::probe::{Probe, Seen};
use crate::series::Series;
use anyhow::{Context, Result, ensure};
use livepatch_tests::tools::{self, tool};
use std::ffi::OsStr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// The answers of old and new code.
const OLD: i64 = 41;
const NEW: i64 = 42;
/// How long the process runs undisturbed before each measurement.
const SETTLE: Duration = Duration::from_millis(50);
/// How long a change may take to be seen; a guard against hanging.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many times the cost of a call is measured, old and new in turn.
const COSTS: usize = 5;

/// What one run found. Pauses are in microseconds, wall times in milliseconds.
pub(crate) struct Run {
    pub(crate) threads: usize,
    pub(crate) functions: usize,
    pub(crate) idle: Series,
    pub(crate) floor: Series,
    pub(crate) apply: Series,
    pub(crate) revert: Series,
    pub(crate) apply_wall: Series,
    pub(crate) revert_wall: Series,
    /// EINTR seen by sleepers, over all cycles: from the floor, and from us.
    pub(crate) floor_interrupted: u64,
    pub(crate) interrupted: u64,
    /// Nanoseconds per call.
    pub(crate) old_cost: Series,
    pub(crate) new_cost: Series,
    /// Bytes that the patch added, and that stay after the revert (signed: pages may go, too).
    pub(crate) added: i64,
    pub(crate) left: i64,
}

#[derive(Default)]
struct Pauses {
    gaps: Vec<f64>,
    walls: Vec<f64>,
    interrupted: u64,
}

impl Pauses {
    fn add(&mut self, (seen, wall): (Seen, f64)) {
        self.gaps.push(seen.gap);
        self.walls.push(wall);
        self.interrupted += seen.interrupted;
    }
}

struct Session<'a> {
    probe: Probe,
    bench: &'a Bench,
    subject: &'a Subject,
}

/// Measures `cycles` rounds against a process of so many threads.
pub(crate) fn run(subject: &Subject, bench: &Bench, threads: usize, cycles: usize) -> Result<Run> {
    let probe = Probe::start(&subject.program, threads)?;
    let mut session = Session {
        probe,
        bench,
        subject,
    };
    session.apply()?;
    session.revert()?;
    let (added, left) = session.memory()?;
    let [mut idle, mut floor, mut apply, mut revert]: [Pauses; 4] = Default::default();
    for _ in 0..cycles {
        idle.add(session.observe(|_| Ok(0.0))?);
        floor.add(session.observe(Session::floor)?);
        apply.add(session.observe(Session::apply)?);
        revert.add(session.observe(Session::revert)?);
    }
    let [mut old_cost, mut new_cost]: [Vec<f64>; 2] = Default::default();
    for _ in 0..COSTS {
        old_cost.push(session.probe.cost()?);
        session.apply()?;
        new_cost.push(session.probe.cost()?);
        session.revert()?;
    }
    let series = |values| Series::new(values).context("no cycles were asked for");
    Ok(Run {
        threads,
        functions: subject.functions,
        idle: series(idle.gaps)?,
        floor: series(floor.gaps)?,
        apply: series(apply.gaps)?,
        revert: series(revert.gaps)?,
        apply_wall: series(apply.walls)?,
        revert_wall: series(revert.walls)?,
        floor_interrupted: floor.interrupted,
        interrupted: apply.interrupted + revert.interrupted,
        old_cost: series(old_cost)?,
        new_cost: series(new_cost)?,
        added,
        left,
    })
}

impl Session<'_> {
    /// Lets the process settle, does something to it, and asks what it saw.
    fn observe(&mut self, mut act: impl FnMut(&mut Self) -> Result<f64>) -> Result<(Seen, f64)> {
        self.probe.reset()?;
        thread::sleep(SETTLE);
        let wall = act(self)?;
        let mut seen = self.probe.report()?;
        // Sleepers may take a while to run and count; gaps of that time are none of ours.
        thread::sleep(SETTLE);
        let later = self.probe.report()?;
        seen.interrupted = later.interrupted;
        ensure!(later.wrong == 0, "{} answers were wrong", later.wrong);
        Ok((seen, wall))
    }

    fn floor(&mut self) -> Result<f64> {
        let pid = self.probe.pid().to_string();
        timed(self.bench.floor.as_os_str(), &[pid.as_ref()])
    }

    fn apply(&mut self) -> Result<f64> {
        let pid = self.probe.pid().to_string();
        let bundle = self.subject.bundle.as_os_str();
        let livepatch = tool("livepatch")?;
        let arguments = ["apply".as_ref(), "--pid".as_ref(), pid.as_ref(), bundle];
        let wall = timed(livepatch.as_os_str(), &arguments)?;
        self.check_answer(NEW)?;
        Ok(wall)
    }

    fn revert(&mut self) -> Result<f64> {
        let pid = self.probe.pid().to_string();
        let livepatch = tool("livepatch")?;
        let arguments = ["revert".as_ref(), "--pid".as_ref(), pid.as_ref()];
        let wall = timed(livepatch.as_os_str(), &arguments)?;
        self.check_answer(OLD)?;
        Ok(wall)
    }

    /// Waits until the spinning thread, which others may keep from running, sees the change.
    fn check_answer(&mut self, wanted: i64) -> Result<()> {
        let begin = Instant::now();
        loop {
            let last = self.probe.report()?.last;
            if last == wanted {
                return Ok(());
            }
            ensure!(
                begin.elapsed() < PATIENCE,
                "the process answers {last}, not {wanted}"
            );
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Bytes that a patch adds, and that stay after its revert.
    fn memory(&mut self) -> Result<(i64, i64)> {
        let pid = self.probe.pid();
        let before = private_bytes(pid)?.cast_signed();
        self.apply()?;
        let patched = private_bytes(pid)?.cast_signed();
        self.revert()?;
        let after = private_bytes(pid)?.cast_signed();
        Ok((patched - before, after - before))
    }
}

/// Runs a command on the last processor (the probe spins on the first); milliseconds of wall time.
fn timed(program: &OsStr, arguments: &[&OsStr]) -> Result<f64> {
    let processors = thread::available_parallelism()?.get();
    let mut command = Command::new("taskset");
    command.args(["-c", &(processors - 1).to_string()]);
    command.arg(program).args(arguments);
    let begin = Instant::now();
    tools::run(&mut command)?.expect(0)?;
    Ok(begin.elapsed().as_secs_f64() * 1e3)
}
