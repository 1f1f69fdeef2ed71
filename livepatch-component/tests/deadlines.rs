//! What takes too long, and trials: what would hang, crash or do harm does so in a copy.

mod common;

use common::counting::{Counting, tells, with};
use common::wait_for;
use livepatch_component::{How, Reply, Status};
use std::os::unix::net::UnixDatagram;

#[test]
fn an_operation_that_is_late_is_rolled_back() {
    let mut counting = Counting::new();
    let soon = |how: &mut How| how.deadline_ns = 30_000_000;
    let fresh = |how: &mut How| {
        soon(how);
        how.fresh = true;
    };
    let cases: [(&str, &[&str], How, &str); 4] = [
        ("restart", &["SLOW_RESTART"], with(soon), "RESTART took"),
        (
            "migrate",
            &["WIDE", "SLOW_MIGRATE"],
            with(soon),
            "migration of the data took",
        ),
        ("init", &["SLOW_INIT"], with(fresh), "INIT took"),
        (
            "both",
            &["WIDE", "SLOW_RESTART"],
            with(soon),
            "RESTART took",
        ),
    ];
    for (version, defines, how, text) in cases {
        let reply = counting.try_version(version, defines, how);
        assert_eq!(reply.history[0].outcome, "rolled-back", "{reply:?}");
        tells(&reply, text);
        tells(&reply, "longer than 30ms");
    }
    // The old version may be late, too: then it runs on.
    for (version, define) in [("term", "SLOW_TERM"), ("hold", "SLOW_HOLD")] {
        counting.place.counter(version, &[define]);
        let component = &counting.component;
        assert_eq!(component.upgrade(version).result, Status::Done);
        let reply = component.upgrade_how("1.0.0", with(soon));
        assert_eq!(reply.result, Status::Busy, "{reply:?}");
        tells(&reply, "longer than 30ms");
        assert_eq!(component.show().version, version);
        assert_eq!(component.upgrade("1.0.0").result, Status::Done);
        counting.check();
    }
    counting.component.stop();
}

/// Nothing of the new version ran but in the trial, which has the time.
fn refused(reply: &Reply) {
    assert_eq!(reply.result, Status::Refused, "{reply:?}");
    let record = &reply.history[0];
    assert_eq!(record.outcome, "refused");
    assert!(record.phases.trial_ns > record.phases.end_ns, "{record:?}");
}

#[test]
fn a_trial_finds_what_would_have_crashed() {
    let mut counting = Counting::new();
    let trial = || with(|how| how.trial = true);
    let crash = &["WIDE", "CRASH_MIGRATE"];
    let reply = counting.try_version("crash", crash, trial());
    tells(&reply, "it crashed (SIGABRT)");
    refused(&reply);
    let reply = counting.try_version("invalid", &["FAIL_VALIDATE"], trial());
    tells(&reply, "validation of the data failed: as it was made to");
    refused(&reply);
    counting.place.counter("2.0.0", &["WIDE"]);
    let reply = counting.component.upgrade_how("2.0.0", trial());
    assert_eq!(reply.result, Status::Done, "{reply:?}");
    counting.component.stop();
}

#[test]
fn a_trial_ends_what_hangs() {
    let mut counting = Counting::new();
    let soon = || {
        with(|how| {
            how.trial = true;
            how.deadline_ns = 50_000_000;
        })
    };
    for define in ["HANG_MIGRATE", "HANG_VALIDATE"] {
        let reply = counting.try_version("hangs", &["WIDE", define], soon());
        tells(&reply, "it was not done after 50ms");
        refused(&reply);
        let record = &reply.history[0];
        assert!(record.phases.trial_ns > record.pause_ns / 2, "{reply:?}");
    }
    assert_eq!(counting.component.show().restarts, 0);
    counting.component.stop();
}

#[test]
fn what_a_version_does_in_a_trial_is_not_done() {
    let mut counting = Counting::new();
    let peer = counting.place.path("peer");
    let socket = UnixDatagram::bind(&peer).expect("a new name");
    socket.set_nonblocking(true).expect("it can be");
    counting.component.command(&["tick", "100000000"]);
    let before = counting.component.show();
    let peer = format!("PEER=\"{}\"", peer.display());
    let defines = ["WIDE", "MEDDLE_VALIDATE", &peer];
    let trial = with(|how| how.trial = true);
    counting.place.counter("meddles", &defines);
    let reply = counting.component.upgrade_how("meddles", trial);
    assert_eq!(reply.result, Status::Done, "{reply:?}");
    let sent = counting.sent;
    let expected = format!("meddles count {sent} lost 0 late 0 ticks 0 signals 0");
    let component = &counting.component;
    wait_for("it runs", || component.command(&["show"]) == expected);
    let after = component.show();
    assert_eq!(after.timers, before.timers);
    let names = |sockets: &[livepatch_component::ShownSocket]| {
        let names = sockets.iter().map(|socket| socket.name.clone());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&after.sockets), names(&before.sockets));
    let mut room = [0; 16];
    assert!(socket.recv(&mut room).is_err(), "something was sent");
    assert_eq!(component.upgrade("1.0.0").result, Status::Done);
    counting.check();
    counting.component.stop();
}

#[test]
fn probation_without_a_way_back_is_refused() {
    let counting = Counting::new();
    let component = &counting.component;
    // Its data is what no other version takes.
    counting.place.counter("strange", &["TAKES_NARROW"]);
    let probation = with(|how| how.probation_ns = 100_000_000);
    let reply = component.upgrade_how("strange", probation);
    assert_eq!(reply.result, Status::Refused, "{reply:?}");
    tells(&reply, "there would be no way back");
    let reply = component.upgrade("strange");
    assert_eq!(reply.result, Status::Done, "{reply:?}");
    assert_eq!(component.upgrade("1.0.0").result, Status::Refused);
    counting.component.stop();
}
