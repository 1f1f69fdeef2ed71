//! Upgrades that fail: the version that ran runs on, with its data, its timers and its queue.

mod common;

use common::counting::{Counting, tells, with};
use common::{Place, wait_for};
use livepatch_component::{How, Request, Status, Upgrade};
use std::process::{Command, Stdio};

#[test]
fn a_version_that_fails_is_rolled_back() {
    let mut counting = Counting::new();
    counting.component.command(&["tick", "100000000"]);
    let cases: [(&str, &[&str], &str); 4] = [
        (
            "restart",
            &["FAIL_RESTART"],
            "RESTART failed: as it was made to",
        ),
        (
            "migrate",
            &["WIDE", "FAIL_MIGRATE"],
            "migration of the data failed",
        ),
        ("busy", &["FAIL_RESTART"], "RESTART failed"),
        ("both", &["WIDE", "FAIL_RESTART"], "RESTART failed"),
    ];
    for (version, defines, text) in cases {
        let reply = counting.try_version(version, defines, How::default());
        assert_eq!(reply.result, Status::Error);
        assert_eq!(reply.history[0].outcome, "rolled-back");
        tells(&reply, text);
    }
    let fresh = with(|how| how.fresh = true);
    let reply = counting.try_version("init", &["FAIL_INIT"], fresh);
    tells(&reply, "INIT failed: as it was made to");
    counting.component.stop();
}

/// Writes another value into a word of a module's note.
fn change_note(file: &std::path::Path, word: usize, value: u32) {
    let mut bytes = std::fs::read(file).expect("just compiled");
    let owner = b"livepatch\0\0\0";
    let found = bytes
        .windows(owner.len())
        .position(|window| window == owner);
    let at = found.expect("modules have notes") + owner.len() + word * 4;
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    std::fs::write(file, bytes).expect("writable");
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_held() {
    let mut counting = Counting::new();
    let refused = |counting: &mut Counting, version: &str, defines: &[&str], text: &str| {
        let reply = counting.try_version(version, defines, How::default());
        assert_eq!(reply.result, Status::Refused, "{reply:?}");
        assert_eq!(reply.history[0].pause_ns, 0);
        tells(&reply, text);
    };
    refused(
        &mut counting,
        "entry",
        &["NO_MESSAGE"],
        "no call-backs for what is in use: message",
    );
    refused(
        &mut counting,
        "other",
        &["NAME=\"sum\""],
        "is a module for `sum`, not for `counter`",
    );
    refused(&mut counting, "schema", &["STRANGE"], "no migration");
    for (word, text) in [
        (0, "version 7 of the module interface"),
        (1, "`struct lp_module` has 7 bytes"),
        (5, "it has another size, or accepts too much"),
    ] {
        let file = counting.place.counter("note", &[]);
        change_note(&file, word, if word == 5 { 9 } else { 7 });
        let reply = counting.component.upgrade("note");
        assert_eq!(reply.result, Status::Refused, "{reply:?}");
        tells(&reply, text);
    }
    let reply = counting.component.upgrade("9.9");
    tells(&reply, "there is no `libcounter_9.9.so`");
    tells(&reply, "1.0.0, entry");
    refused(&mut counting, "undefined", &["UNDEFINED"], "cannot load it");
    refused(
        &mut counting,
        "nameless",
        &["livepatch_module=something_else"],
        "has no symbol `livepatch_module`",
    );
    let file = counting.place.path("text.so");
    std::fs::write(&file, "not a library").expect("writable");
    let reply = counting.component.upgrade(file.to_str().expect("plain"));
    tells(&reply, "not a shared library");
    std::fs::copy("/bin/true", &file).expect("it is there");
    let reply = counting.component.upgrade(file.to_str().expect("plain"));
    assert_eq!(reply.result, Status::Refused, "{reply:?}");
    tells(&reply, "no livepatch module");
    counting.check();
    counting.component.stop();
}

#[test]
fn a_standby_goes_on_when_the_new_version_crashes_or_hangs() {
    let mut counting = Counting::new();
    let standby = |how: &mut How| {
        how.standby = true;
        how.deadline_ns = 50_000_000;
    };
    for (version, define, restarts) in [
        ("crash", "CRASH_RESTART", 1),
        ("hang", "HANG_RESTART", 2),
        ("write", "WRITE_RESTART", 3),
    ] {
        let reply = counting.try_version(version, &[define], with(standby));
        tells(&reply, "its standby has taken over");
        assert_eq!(counting.component.show().restarts, restarts);
    }
    counting.place.counter("1.0.1", &[]);
    let reply = counting.component.upgrade_how("1.0.1", with(standby));
    assert_eq!(reply.result, Status::Done, "{reply:?}");
    counting.component.stop();
}

#[test]
fn without_a_standby_the_supervisor_starts_the_old_version_anew() {
    let place = Place::new();
    place.counter("1.0.0", &[]);
    place.counter("1.0.1", &[]);
    place.counter("crash", &["CRASH_RESTART"]);
    let component = place.run("counter", "1.0.0", &[]);
    assert_eq!(component.upgrade("1.0.1").result, Status::Done);
    let request = Request::Upgrade(Upgrade {
        version: "crash".to_owned(),
        dry_run: false,
        reversible: false,
        how: How::default(),
    });
    assert!(
        component.try_ask(&request).is_none(),
        "the connection is lost"
    );
    let show = Request::Show { symbols: false };
    wait_for("it runs again", || component.try_ask(&show).is_some());
    let shown = component.show();
    assert_eq!((shown.version.as_str(), shown.restarts), ("1.0.1", 1));
    component.stop();
}

#[test]
fn a_supervisor_whose_words_nobody_takes_goes_on() {
    let (reader, gone) = std::io::pipe().expect("a pipe");
    drop(reader);
    let full = std::fs::File::options().write(true).open("/dev/full");
    let full = full.expect("it is there");
    for stderr in [Stdio::from(full), Stdio::from(gone)] {
        let place = Place::new();
        place.counter("1.0.0", &[]);
        place.counter("crash", &["CRASH_RESTART"]);
        let mut program = Command::new(env!("CARGO_BIN_EXE_livepatch-component"));
        program.stderr(stderr);
        let component = place.run_as(program, "counter", "1.0.0", &[]);
        let request = Request::Upgrade(Upgrade {
            version: "crash".to_owned(),
            dry_run: false,
            reversible: false,
            how: How::default(),
        });
        assert!(component.try_ask(&request).is_none(), "it crashes");
        let show = Request::Show { symbols: false };
        wait_for("it runs again", || component.try_ask(&show).is_some());
        assert_eq!(component.show().restarts, 1);
        component.stop();
    }
}

#[test]
fn a_module_that_cannot_be_held_runs_on() {
    let place = Place::new();
    place.counter("1.0.0", &[]);
    for (version, define, status, text) in [
        ("term", "FAIL_TERM", Status::Busy, "TERM failed"),
        ("hold", "BUSY", Status::Busy, "HOLD found the module busy"),
    ] {
        place.counter(version, &[define]);
        let component = place.run("counter", version, &[]);
        component.command(&["open", place.path("numbers").to_str().expect("plain")]);
        let reply = component.upgrade("1.0.0");
        assert_eq!(reply.result, status, "{reply:?}");
        assert_eq!(reply.history[0].outcome, "busy");
        tells(&reply, text);
        let message = 1_u64.to_le_bytes();
        place.client().send(&message).expect("the component reads");
        let shown = format!("{version} count 1 lost 0 late 0 ticks 0 signals 0");
        wait_for("it runs on", || component.command(&["show"]) == shown);
        component.ask(&Request::Stop {});
    }
}

#[test]
fn a_panic_in_a_module_in_rust_is_rolled_back() {
    let place = Place::new();
    place.rust_modules();
    let component = place.run("ledger", "1.0.0", &[]);
    component.command(&["fill", "1000"]);
    let before = component.show().data_bytes;
    for (version, text) in [
        ("broken", "RESTART panicked: panic at "),
        ("refusing", "RESTART failed: 1000 accounts are too many"),
    ] {
        let reply = component.upgrade(version);
        assert_eq!(reply.result, Status::Error, "{reply:?}");
        tells(&reply, text);
        assert_eq!(component.show().data_bytes, before);
        let shown = component.command(&["show"]);
        assert_eq!(shown, "1.0.0 accounts 1000 count 0 lost 0 late 0");
    }
    component.stop();
}

/// Sends a message that the version under probation does not survive.
fn provoke(place: &Place) {
    let message = 999_999_u64.to_le_bytes();
    place.client().send(&message).expect("the component reads");
}

#[test]
fn a_crash_in_a_call_back_during_probation_goes_back() {
    let counting = Counting::new();
    let place = &counting.place;
    let (component, sent) = (&counting.component, counting.sent);
    let how = |standby| {
        with(|how| {
            how.probation_ns = 5_000_000_000;
            how.deadline_ns = 100_000_000;
            how.standby = standby;
        })
    };
    // With a standby the data is as it was when the upgrade began.
    for (version, define) in [("crash", "CRASH_MESSAGE"), ("hang", "HANG_MESSAGE")] {
        place.counter(version, &["WIDE", define]);
        let reply = component.upgrade_how(version, how(true));
        assert_eq!(reply.result, Status::Done, "{reply:?}");
        provoke(place);
        let shown = format!("1.0.0 count {sent} lost 0 late 0 ticks 0 signals 0");
        let command = Request::Command {
            words: vec!["show".to_owned()],
        };
        wait_for("its standby has taken over", || {
            let reply = component.try_ask(&command);
            reply.is_some_and(|reply| reply.answer.as_ref() == Some(&shown))
        });
        let history = component.ask(&Request::History {});
        let last = history.history.last().expect("there is a history");
        assert!(
            last.reasons[0].contains("standby has taken over"),
            "{last:?}"
        );
    }
    // Without one the supervisor starts the version before, with new data.
    let reply = component.upgrade_how("crash", how(false));
    assert_eq!(reply.result, Status::Done, "{reply:?}");
    provoke(place);
    let show = Request::Show { symbols: false };
    wait_for("it runs again", || {
        let reply = component.try_ask(&show).and_then(|reply| reply.component);
        reply.is_some_and(|shown| shown.version == "1.0.0" && shown.restarts == 1)
    });
    let shown = component.command(&["show"]);
    assert!(shown.starts_with("1.0.0 count 0 "), "{shown}");
    counting.component.stop();
}

#[test]
fn probation_ends_with_the_version_that_is_well() {
    let mut counting = Counting::new();
    let probation = || with(|how| how.probation_ns = 100_000_000);
    counting.place.counter("ill", &["FAIL_HEALTH"]);
    let reply = counting.component.upgrade_how("ill", probation());
    assert_eq!(reply.result, Status::Done, "{reply:?}");
    let component = &counting.component;
    wait_for("it goes back", || component.show().version == "1.0.0");
    let last = || {
        let request = Request::History {};
        component.ask(&request).history.pop()
    };
    // It is written down when the version is gone.
    wait_for("it is written down", || {
        last().is_some_and(|last| last.action == "probation")
    });
    let last = last().expect("there is a history");
    assert_eq!(last.outcome, "done");
    assert!(last.reasons[0].contains("health call failed"), "{last:?}");
    counting.check();
    counting.place.counter("well", &["WIDE"]);
    let reply = counting.component.upgrade_how("well", probation());
    assert_eq!(reply.result, Status::Done, "{reply:?}");
    let component = &counting.component;
    assert!(component.show().on_probation);
    tells(&component.upgrade("well"), "on probation");
    wait_for("its probation ends", || !component.show().on_probation);
    assert_eq!(component.show().version, "well");
    counting.component.stop();
}

#[test]
fn the_paper_s_order_works_and_goes_back_too() {
    let mut counting = Counting::new();
    let strict = || with(|how| how.strict_order = true);
    let reply = counting.try_version("restart", &["FAIL_RESTART"], strict());
    tells(&reply, "RESTART failed");
    let reply = counting.try_version("entry", &["NO_MESSAGE"], strict());
    tells(&reply, "no call-backs for what is in use");
    counting.place.counter("2.0.0", &["WIDE"]);
    let reply = counting.component.upgrade_how("2.0.0", strict());
    assert_eq!(reply.result, Status::Done, "{reply:?}");
    assert!(reply.history[0].phases.load_ns > 0);
    counting.component.stop();
}
