//! Stopping and releasing.

use crate::child::{Live, wait_for_state};
use crate::exclusive;
use livepatch_bundle::RunAddr;
use livepatch_user::memory::Memory;
use livepatch_user::process::{ProcessMemory, Target};
use livepatch_user::stop::{Roster, StopError, Stopped, Timings, on_tracer_thread, stop};
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

pub(crate) fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// Stops everything, asking nothing.
pub(crate) fn stop_all(target: &Target, memory: &ProcessMemory) -> Result<Stopped, StopError> {
    let roster = Roster::take(target)?;
    let check = |_: &[_], _: &_| ControlFlow::<Infallible>::Continue(());
    match stop(roster, memory, deadline(), check)? {
        ControlFlow::Continue(stopped) => Ok(stopped),
    }
}

pub(crate) fn cycle(target: &Target, memory: &ProcessMemory) -> Timings {
    stop_all(target, memory)
        .expect("stops")
        .release()
        .expect("is released")
}

#[test]
fn sleeping_calls_see_no_interruption() {
    let _turn = exclusive();
    let mut live = Live::start("sleepers", &[]);
    let (target, memory) = (live.target(), live.memory());
    for round in 0..200 {
        let stopped = stop_all(&target, &memory).expect("stops");
        assert_eq!(stopped.threads().len(), 33);
        stopped.release().expect("is released");
        if round % 50 == 49 {
            assert_eq!(live.ask("poke"), "ok", "round {round}");
        }
    }
    let report = live.ask("report");
    for line in report.split_terminator(';') {
        assert!(
            line.ends_with(" 4 0 0/0"),
            "{line}: want 4 rounds, no EINTR, no error"
        );
    }
}

/// The word that every thread of `crowd` counts up.
fn word(live: &mut Live) -> RunAddr {
    RunAddr(live.ask("where").parse().expect("an address"))
}

fn moment() {
    std::thread::sleep(Duration::from_millis(2));
}

/// Whether the word changes within a moment.
fn counts(memory: &ProcessMemory, word: RunAddr) -> bool {
    let before = memory.read_u64(word).expect("readable");
    moment();
    memory.read_u64(word).expect("readable") != before
}

/// Waits until the word changes.
fn await_count(memory: &ProcessMemory, word: RunAddr) {
    let deadline = deadline();
    while !counts(memory, word) {
        assert!(Instant::now() < deadline, "no thread runs");
    }
}

#[test]
fn nothing_runs_in_a_stop() {
    let _turn = exclusive();
    for how in ["spin", "storm"] {
        let mut live = Live::start("crowd", &[how, "4"]);
        let word = word(&mut live);
        let (target, memory) = (live.target(), live.memory());
        for _ in 0..100 {
            let stopped = stop_all(&target, &memory).expect("stops");
            assert!(
                !counts(&memory, word),
                "{how}: a thread of {:?} runs",
                stopped.threads()
            );
            stopped.release().expect("is released");
        }
        let deadline = deadline();
        while !counts(&memory, word) {
            assert!(
                Instant::now() < deadline,
                "{how}: nothing runs after the release"
            );
        }
    }
}

#[test]
fn a_thousand_threads_stop_and_sleep_on() {
    let _turn = exclusive();
    let mut live = Live::start("crowd", &["sleep", "1000"]);
    let (target, memory) = (live.target(), live.memory());
    for _ in 0..10 {
        let stopped = stop_all(&target, &memory).expect("stops");
        assert_eq!(stopped.threads().len(), 1002);
        stopped.release().expect("is released");
    }
    assert_eq!(live.ask("eintr"), "0");
}

#[test]
fn a_stopped_process_stays_stopped() {
    let _turn = exclusive();
    let mut live = Live::start("crowd", &["sleep", "8"]);
    let word = word(&mut live);
    let (target, memory) = (live.target(), live.memory());
    for _ in 0..20 {
        live.signal(libc::SIGSTOP);
        wait_for_state(live.pid(), 'T');
        cycle(&target, &memory);
        moment();
        wait_for_state(live.pid(), 'T');
        assert!(!counts(&memory, word), "a stopped process runs");
        live.signal(libc::SIGCONT);
        await_count(&memory, word);
    }
}

#[test]
fn a_check_that_breaks_releases_everything() {
    let _turn = exclusive();
    let mut live = Live::start("crowd", &["sleep", "8"]);
    let word = word(&mut live);
    let (target, memory) = (live.target(), live.memory());
    for batch in 1..=2 {
        let mut calls = 0;
        let roster = Roster::take(&target).expect("listed");
        let outcome = stop(roster, &memory, deadline(), |threads, _| {
            calls += 1;
            if calls == batch {
                ControlFlow::Break(threads.len())
            } else {
                ControlFlow::Continue(())
            }
        });
        let ControlFlow::Break(threads) = outcome.expect("stops") else {
            panic!("must break")
        };
        assert!(threads > 0);
        await_count(&memory, word);
    }
    assert_eq!(live.ask("eintr"), "0");
}

#[test]
fn a_target_killed_in_the_stop_harms_nobody() {
    let _turn = exclusive();
    for when in 0..3 {
        let live = Live::start("crowd", &["storm", "4"]);
        let (target, memory) = (live.target(), live.memory());
        let mut batch = 0;
        let roster = Roster::take(&target).expect("listed");
        let outcome = stop(roster, &memory, deadline(), |_, _| {
            batch += 1;
            if batch == when {
                live.signal(libc::SIGKILL);
            }
            ControlFlow::<Infallible>::Continue(())
        });
        match outcome {
            Ok(ControlFlow::Continue(stopped)) => {
                live.signal(libc::SIGKILL);
                stopped.release().expect("nothing to release is no failure");
            }
            Err(error) => {
                let expected = matches!(error, StopError::Gone(_) | StopError::Replaced(_));
                assert!(expected, "killed in batch {when}: {error}");
            }
        }
    }
}

#[test]
fn tasks_that_share_the_memory_are_named() {
    let _turn = exclusive();
    for how in ["vfork", "clone"] {
        let mut live = Live::start("crowd", &[how, "1"]);
        let error = Roster::take(&live.target()).expect_err("memory is shared");
        let StopError::SharedMemory { stranger, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(stranger.pid.0.to_string(), live.ask("clone"));
        assert_eq!(stranger.name, "live-crowd");
    }
}

#[test]
fn a_thread_that_does_not_stop_is_named_and_the_others_go_on() {
    let _turn = exclusive();
    let mut live = Live::start("crowd", &["spin", "2"]);
    let word = word(&mut live);
    let (target, memory) = (live.target(), live.memory());
    let error = on_tracer_thread(|| {
        let roster = Roster::take(&target).expect("listed");
        live.tell("vfork");
        wait_for_state(target.pid, 'D');
        let soon = Instant::now() + Duration::from_millis(100);
        let check = |_: &[_], _: &_| ControlFlow::<Infallible>::Continue(());
        let error = stop(roster, &memory, soon, check).err();
        await_count(&memory, word);
        error
    });
    let Some(StopError::Unstoppable { tid, what, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!(tid, target.pid.leader());
    assert!(what.starts_with("state `D`"), "{what}");
    // The kernel released the main thread with the tracing thread.
    assert_eq!(live.ask("x"), "back");
    cycle(&target, &memory);
}

#[test]
fn an_exec_in_the_middle_is_noticed() {
    let _turn = exclusive();
    let mut live = Live::start("crowd", &["storm", "2"]);
    for round in 0..40 {
        let (target, memory) = (live.target(), live.memory());
        let roster = Roster::take(&target).expect("listed");
        live.tell("exec");
        std::thread::sleep(Duration::from_micros(round * 10));
        let check = |_: &[_], _: &_| ControlFlow::<Infallible>::Continue(());
        match stop(roster, &memory, deadline(), check) {
            Ok(ControlFlow::Continue(stopped)) => drop(stopped.release().expect("is released")),
            Err(StopError::Replaced(_) | StopError::Gone(_)) => {}
            Err(error) => panic!("{error}"),
        }
        assert_eq!(live.line(), "ready", "round {round}");
    }
}

#[test]
fn threads_of_the_kernel_are_left_alone() {
    let _turn = exclusive();
    let mut live = Live::start("crowd", &["uring", "1"]);
    let word = word(&mut live);
    let (target, memory) = (live.target(), live.memory());
    assert_eq!(
        livepatch_user::process::threads(target.pid)
            .expect("listed")
            .len(),
        3
    );
    for _ in 0..20 {
        let stopped = stop_all(&target, &memory).expect("stops");
        assert_eq!(stopped.threads().len(), 2);
        assert!(!counts(&memory, word));
        stopped.release().expect("is released");
    }
}
