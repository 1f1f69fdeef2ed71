//! Data where the system gives no huge pages: it lies in memory files, and nothing that becomes of an upgrade changes it.

mod common;

use common::counting::{tells, with};
use common::{Place, Running, wait_for};
use livepatch_component::{How, Reply, Request, Status};
use nix::sys::prctl::set_thp_disable;

/// A component with 24 MiB of data.
struct Bulk {
    _place: Place,
    component: Running,
}

impl Bulk {
    fn new(backing: &str) -> Self {
        let place = Place::new();
        let bulk = |version, defines| {
            let module = "livepatch-component/tests/modules/bulk.c";
            place.compile(module, "bulk", version, defines)
        };
        for (version, defines) in [
            ("1.0.0", &[][..]),
            ("1.0.1", &["ALLOCATE_RESTART"]),
            ("2.0.0", &["WIDE", "ALLOCATE_RESTART"]),
            ("fail", &["FAIL_RESTART"]),
            ("fail-wide", &["WIDE", "FAIL_RESTART"]),
            ("write", &["WRITE_RESTART"]),
            ("crash", &["CRASH_RESTART"]),
            ("meddle", &["MEDDLE_VALIDATE"]),
            ("meddle-wide", &["WIDE", "MEDDLE_VALIDATE"]),
        ] {
            bulk(version, defines);
        }
        // What is started from here inherits it.
        set_thp_disable(true).expect("the kernel knows it");
        let component = place.run("bulk", "1.0.0", &["--backing", backing]);
        Self {
            _place: place,
            component,
        }
    }

    /// All words of the data are those of this generation.
    fn check(&self, version: &str, generation: u64) {
        let shown = format!("{version} generation {generation} wrong 0");
        assert_eq!(self.component.command(&["check"]), shown);
    }

    fn write(&self, generation: u64) {
        let number = generation.to_string();
        self.component.command(&["write", &number]);
    }

    fn backing(&self) -> String {
        self.component.show().backing
    }

    fn upgrade(&self, version: &str, how: How, expected: Status) -> Reply {
        let reply = self.component.upgrade_how(version, how);
        assert_eq!(reply.result, expected, "{version}: {reply:?}");
        reply
    }

    /// Waits until something happened that nobody answers.
    fn wait_for_restart(&self, restarts: u64) {
        wait_for("it runs again", || {
            let reply = self.component.try_ask(&Request::Show { symbols: false });
            let shown = reply.and_then(|reply| reply.component);
            shown.is_some_and(|shown| shown.restarts == restarts)
        });
    }
}

fn standby() -> How {
    with(|how| how.standby = true)
}

fn probation(nanos: u64) -> How {
    with(|how| (how.standby, how.probation_ns) = (true, nanos))
}

#[test]
fn without_huge_pages_data_is_in_memory_files() {
    for (asked, got) in [
        ("auto", "memfd"),
        ("memfd", "memfd"),
        ("anonymous", "anonymous"),
    ] {
        let bulk = Bulk::new(asked);
        assert_eq!(bulk.backing(), got);
        bulk.component.stop();
    }
}

#[test]
fn data_is_handed_over_migrated_and_kept_when_that_fails() {
    let bulk = Bulk::new("auto");
    let mut generation = 1;
    for (version, expected) in [
        ("1.0.1", Status::Done),
        ("1.0.0", Status::Done),
        ("fail", Status::Error),
        ("fail-wide", Status::Error),
        ("2.0.0", Status::Done),
        ("1.0.0", Status::Done),
    ]
    .into_iter()
    .cycle()
    .take(24)
    {
        let before = bulk.component.show();
        bulk.upgrade(version, How::default(), expected);
        let runs = match expected {
            Status::Done => version,
            _ => &before.version,
        };
        bulk.check(runs, generation);
        generation += 1;
        bulk.write(generation);
        bulk.check(runs, generation);
    }
    let shown = bulk.component.show();
    assert_eq!(shown.backing, "memfd");
    assert!(shown.memory_bytes <= 32 << 20, "{}", shown.memory_bytes);
    bulk.component.stop();
}

#[test]
fn a_trial_changes_nothing() {
    let bulk = Bulk::new("auto");
    let trial = || with(|how| how.trial = true);
    let reply = bulk.upgrade("meddle", trial(), Status::Refused);
    tells(&reply, "it crashed (SIGSEGV)");
    bulk.check("1.0.0", 1);
    bulk.upgrade("meddle-wide", trial(), Status::Done);
    bulk.check("meddle-wide", 1);
    bulk.upgrade("1.0.1", trial(), Status::Done);
    bulk.write(2);
    bulk.check("1.0.1", 2);
    assert_eq!(bulk.backing(), "memfd");
    bulk.component.stop();
}

#[test]
fn what_a_module_forks_changes_nothing() {
    let bulk = Bulk::new("auto");
    assert_eq!(
        bulk.component.command(&["fork"]),
        "1.0.0 generation 1 wrong 0"
    );
    bulk.write(2);
    bulk.check("1.0.0", 2);
    bulk.component.stop();
}

#[test]
fn a_standby_goes_on_with_the_data_that_both_had() {
    let bulk = Bulk::new("auto");
    let versions = ["write", "crash"].into_iter().cycle().take(4);
    for (restarts, version) in (1..).zip(versions) {
        let memory = bulk.component.show().memory_bytes;
        let reply = bulk.upgrade(version, standby(), Status::Error);
        tells(&reply, "its standby has taken over");
        bulk.check("1.0.0", restarts);
        bulk.write(restarts + 1);
        bulk.check("1.0.0", restarts + 1);
        let shown = bulk.component.show();
        assert_eq!(
            (shown.backing.as_str(), shown.restarts),
            ("memfd", restarts)
        );
        wait_for("memory is given back", || {
            bulk.component.show().memory_bytes == memory
        });
    }
    bulk.upgrade("fail", standby(), Status::Error);
    bulk.check("1.0.0", 5);
    bulk.upgrade("1.0.1", standby(), Status::Done);
    bulk.write(6);
    bulk.upgrade("2.0.0", standby(), Status::Done);
    bulk.check("2.0.0", 6);
    assert_eq!(bulk.backing(), "memfd");
    bulk.component.stop();
}

#[test]
fn a_standby_that_stays_has_the_data_of_the_upgrade() {
    let bulk = Bulk::new("auto");
    for (restarts, version) in [(1, "1.0.1"), (2, "2.0.0")] {
        bulk.upgrade(version, probation(60_000_000_000), Status::Done);
        // The original has left the files to it.
        assert_eq!(bulk.backing(), "anonymous");
        bulk.write(77);
        bulk.check(version, 77);
        let words = vec!["crash".to_owned()];
        let request = Request::Command { words };
        assert!(bulk.component.try_ask(&request).is_none(), "it crashes");
        bulk.wait_for_restart(restarts);
        bulk.check("1.0.0", 1);
        assert_eq!(bulk.backing(), "memfd");
    }
    bulk.upgrade("2.0.0", probation(50_000_000), Status::Done);
    bulk.write(3);
    let component = &bulk.component;
    wait_for("its probation ends", || !component.show().on_probation);
    for (version, expected, runs) in [
        ("fail-wide", Status::Error, "2.0.0"),
        ("1.0.0", Status::Done, "1.0.0"),
        ("fail", Status::Error, "1.0.0"),
    ] {
        bulk.upgrade(version, How::default(), expected);
        bulk.check(runs, 3);
    }
    bulk.component.stop();
}

#[test]
fn a_write_of_restart_to_the_data_is_a_crash() {
    let bulk = Bulk::new("auto");
    let request = Request::Upgrade(livepatch_component::Upgrade {
        version: "write".to_owned(),
        dry_run: false,
        reversible: false,
        how: How::default(),
    });
    assert!(bulk.component.try_ask(&request).is_none(), "it crashes");
    bulk.wait_for_restart(1);
    let history = bulk.component.ask(&Request::History {}).history;
    let crash = &history[history.len() - 2];
    assert!(crash.reasons[0].contains("SIGSEGV"), "{crash:?}");
    bulk.check("1.0.0", 1);
    bulk.component.stop();
}
