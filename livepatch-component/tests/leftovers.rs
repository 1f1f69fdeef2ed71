//! What versions leave behind: found, told, bounded; and nothing where there is nothing.

mod common;

use common::{Place, Running, wait_for};
use livepatch_component::{Request, Status};
use std::fs;

/// Until what the last upgrade left is known.
fn settled(component: &Running) -> Vec<String> {
    // The version before is let go in a thread, which the next request may overtake.
    let pid = component.show().pid;
    wait_for("the helper has ended", || {
        let threads = fs::read_dir(format!("/proc/{pid}/task"));
        threads.expect("it runs").count() == 1
    });
    component.show().leftovers
}

#[test]
fn what_stays_is_told_and_bounded() {
    let place = Place::new();
    place.counter("1.0.0", &[]);
    let component = place.run("counter", "1.0.0", &["--leftovers", "2"]);
    place.counter("atexit", &["LEAVE_ATEXIT"]);
    place.counter("unique", &["LEAVE_UNIQUE"]);
    place.counter("tls", &["LEAVE_TLS"]);
    for version in ["atexit", "1.0.0"] {
        assert_eq!(component.upgrade(version).result, Status::Done);
    }
    assert_eq!(settled(&component), Vec::<String>::new());
    let history = component.ask(&Request::History {}).history;
    let last = history.last().expect("there is a history");
    assert!(last.leftovers[0].contains("exit handlers"), "{last:?}");
    for (version, text) in [
        ("unique", "STB_GNU_UNIQUE"),
        ("tls", "__cxa_thread_atexit_impl"),
    ] {
        assert_eq!(component.upgrade(version).result, Status::Done);
        assert_eq!(component.upgrade("1.0.0").result, Status::Done);
        let leftovers = settled(&component);
        let last = leftovers.last().expect("it stays");
        assert!(last.contains(version) && last.contains(text), "{last}");
    }
    let reply = component.upgrade("1.0.0");
    assert_eq!(reply.result, Status::Refused, "{reply:?}");
    assert!(
        reply.errors[0].contains("2 old versions are still mapped"),
        "{reply:?}"
    );
    component.stop();
}

#[test]
fn code_that_a_thread_may_be_in_stays() {
    let place = Place::new();
    place.counter("1.0.0", &[]);
    place.counter("thread", &["LEAVE_THREAD"]);
    let component = place.run("counter", "1.0.0", &[]);
    assert_eq!(component.upgrade("thread").result, Status::Done);
    let reply = component.upgrade("1.0.0");
    assert_eq!(reply.result, Status::Done, "{reply:?}");
    assert!(component.show().leftovers[0].contains("1 threads of it may still run"));
    let trial = livepatch_component::How {
        trial: true,
        ..Default::default()
    };
    let reply = component.upgrade_how("1.0.0", trial);
    assert_eq!(reply.result, Status::Refused, "{reply:?}");
    assert!(
        reply
            .errors
            .iter()
            .any(|error| error.contains("has 2 threads")),
        "{reply:?}"
    );
    component.stop();
}

/// Mappings, descriptors, and kilobytes of memory of a process.
fn holds(pid: u32) -> (usize, usize, u64) {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("it runs");
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let kilobytes = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let number = number.and_then(|number| number.parse().ok());
        number.expect("in kB")
    };
    (
        maps.lines().count(),
        descriptors.count(),
        kilobytes("RssAnon:") + kilobytes("RssShmem:"),
    )
}

/// Upgrades through some versions, again and again, some of which fail, and checks that nothing is left of it.
fn leave_nothing(component: &Running, versions: &[(&str, Status)], upgrades: usize) {
    let upgrade = |count: usize| {
        for (version, status) in versions.iter().cycle().take(count) {
            let reply = component.upgrade(version);
            assert_eq!(reply.result, *status, "{reply:?}");
        }
        assert_eq!(settled(component), Vec::<String>::new());
    };
    // What the first ones bring is kept for the others.
    upgrade(30 - 30 % versions.len());
    let (pid, data) = (component.show().pid, component.show().data_bytes);
    let before = holds(pid);
    upgrade(upgrades - upgrades % versions.len());
    let after = holds(pid);
    assert_eq!(component.show().data_bytes, data);
    assert!(after.0 <= before.0 + 2, "mappings: {before:?} {after:?}");
    // The connection of the last request may not be closed yet.
    assert!(after.1 <= before.1 + 1, "descriptors: {before:?} {after:?}");
    // The history is kept, less than a page for each. What the allocator keeps depends on when it was asked: 26 MB or 32 MB, and
    // still that after 300 upgrades.
    let pages = 4 * upgrades as u64 + (8 << 10);
    assert!(after.2 < before.2 + pages, "memory: {before:?} {after:?}");
}

#[test]
fn a_thousand_upgrades_leave_nothing() {
    let place = Place::new();
    place.counter("1.0.0", &[]);
    place.counter("1.0.1", &[]);
    place.counter("2.0.0", &["WIDE"]);
    let component = place.run("counter", "1.0.0", &[]);
    let versions = ["1.0.1", "2.0.0", "1.0.0"].map(|version| (version, Status::Done));
    leave_nothing(&component, &versions, 1000);
    component.stop();
}

/// The ledger: data kept, migrated there and back, RESTART refused, RESTART panics.
fn upgrade_in_rust(upgrades: usize) {
    let place = Place::new();
    place.rust_modules();
    let component = place.run("ledger", "1.0.0", &[]);
    component.command(&["fill", "1000"]);
    let versions = [
        ("1.0.1", Status::Done),
        ("2.0.0", Status::Done),
        ("1.0.0", Status::Done),
        ("refusing", Status::Error),
        ("broken", Status::Error),
    ];
    leave_nothing(&component, &versions, upgrades);
    component.stop();
}

#[test]
fn modules_in_rust_leave_nothing_either() {
    upgrade_in_rust(60);
}

#[test]
#[ignore = "long: `scripts/test --full` runs it"]
fn a_thousand_upgrades_of_modules_in_rust_leave_nothing() {
    upgrade_in_rust(1000);
}
