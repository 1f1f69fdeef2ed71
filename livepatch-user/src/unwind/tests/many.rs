//! Many threads, each more than twenty frames deep: the same frames as gdb's, and all judged in one stop.

use super::support::build::{Program, many};
use super::support::process::ProcessSpace;
use super::support::target::{Stopped, Target};
use crate::memory::Registers;
use crate::unwind::{StackCheck, Verdict};
use livepatch_bundle::RunAddr;
use nix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

fn probe(threads: &str) -> (Program, Target) {
    let program = many();
    let target = Target::start(&program, &[threads]);
    (program, target)
}

/// Every thread's frames as gdb sees them, by thread.
fn frames_by_gdb(pid: i32) -> BTreeMap<i32, Vec<u64>> {
    let script = "\
import gdb
for thread in gdb.selected_inferior().threads():
    thread.switch()
    frame, pcs = gdb.newest_frame(), []
    while frame:
        if frame.type() != gdb.INLINE_FRAME:
            pcs.append(hex(frame.pc()))
        frame = frame.older()
    print('FRAMES', thread.ptid[1], *pcs)
";
    let file = tempfile::NamedTempFile::with_suffix(".py").expect("a temporary file");
    std::fs::write(file.path(), script).expect("it can be written");
    let output = Command::new("gdb")
        .args([
            "-q",
            "-nx",
            "-batch",
            "-ex",
            "set backtrace past-main on",
            "-ex",
            "set backtrace past-entry on",
        ])
        .args([
            "-p",
            &pid.to_string(),
            "-x",
            &file.path().display().to_string(),
        ])
        .output()
        .expect("gdb is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let frames = text.lines().filter_map(|line| {
        let mut words = line.strip_prefix("FRAMES ")?.split(' ');
        let thread = words.next()?.parse().ok()?;
        let pcs = words.filter_map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok());
        Some((thread, pcs.collect()))
    });
    frames.collect()
}

fn frames_by_us(
    check: &mut StackCheck,
    stopped: &Stopped,
    space: &ProcessSpace,
) -> BTreeMap<i32, Vec<u64>> {
    let frames = |(thread, registers): &(nix::unistd::Pid, _)| {
        let frames = check.frames(registers, space);
        (
            thread.as_raw(),
            frames.iter().map(|frame| frame.pc.0).collect(),
        )
    };
    stopped.threads.iter().map(frames).collect()
}

#[test]
fn the_frames_are_those_that_gdb_sees() {
    let (_program, target) = probe("12");
    let theirs = frames_by_gdb(target.pid.as_raw());
    let stopped = target.stop();
    let ours = frames_by_us(&mut target.check("main"), &stopped, &target.space());
    assert_eq!(theirs.len(), 12);
    let spinner = |frames: &Vec<u64>| frames.len() < 20; // and the control thread: at another place by now
    for (thread, frames) in ours.iter().filter(|(_, frames)| !spinner(frames)) {
        assert_eq!(Some(frames), theirs.get(thread), "thread {thread}");
    }
    assert_eq!(ours.values().filter(|frames| !spinner(frames)).count(), 10);
}

/// Not a timed test: it prints processor time, which `cargo test --release -- --nocapture` shows.
#[test]
fn all_threads_are_judged_in_one_stop() {
    let (_program, target) = probe("1000");
    let mut check = target.check("answer");
    let space = target.space();
    let asleep: Vec<(RunAddr, RunAddr)> = {
        let stopped = target.stop();
        let place = |registers: &Registers| (RunAddr(registers.rip), RunAddr(registers.rsp));
        stopped
            .threads
            .iter()
            .map(|thread| place(&thread.1))
            .collect()
    };
    let ((), rehearsal) = timed(|| check.rehearse(&asleep, &space));
    let known = check.unwinder().known_sites();
    for _ in 0..3 {
        let stopped = target.stop();
        let (verdicts, all) = timed(|| check.judge_many(&stopped.threads, &space));
        drop(stopped);
        let total: usize = verdicts.iter().map(|(_, verdict)| frames(verdict)).sum();
        println!(
            "{} threads, {total} frames: rehearsed in {rehearsal:?}, judged in {all:?}",
            verdicts.len(),
        );
        assert!(total > 22_000, "{total}");
        assert!(
            check.unwinder().known_sites() < known + 20,
            "the rehearsal prepared the rows"
        );
    }
}

#[track_caller]
fn frames(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Clear {
            frames,
            by_scan: false,
        } => *frames,
        Verdict::Busy { frames, .. } => frames.len(), // the spinner
        other => panic!("{other:?}"),
    }
}

/// Runs `work`, and tells the processor time of this thread.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let now = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("there is such a clock");
    let start = now();
    let result = work();
    (result, Duration::from(now() - start))
}
