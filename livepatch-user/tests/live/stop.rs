//! Stopping and releasing.

use crate::child::Live;
use crate::exclusive;
use livepatch_user::process::{ProcessMemory, Target};
use livepatch_user::stop::{Roster, StopError, Stopped, Timings, stop};
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
