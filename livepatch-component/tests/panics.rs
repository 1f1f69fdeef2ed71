//! Panics of a module in Rust: whatever it does then, the component goes on, with all data, and no message is lost.

mod common;

use common::{Place, Running, wait_for};
use livepatch_component::{How, Reply, Request, Status};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

const ACCOUNTS: &str = "1000";

/// A ledger whose version `panicking` panics in one operation, while messages come.
struct Panicking {
    component: Running,
    sender: Sender,
    _place: Place,
}

/// Sends numbers until it is told to stop.
struct Sender {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Sender {
    fn start(socket: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let client = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
            client.connect(socket).expect("the component listens");
            let mut sent = 0_u64;
            while !is_over.load(Ordering::Relaxed) {
                sent += 1;
                let mut message = [0; 16];
                message[..8].copy_from_slice(&sent.to_le_bytes());
                client.send(&message).expect("the component reads");
            }
            sent
        });
        Self { stop, thread }
    }

    /// How many it has sent.
    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it does not panic")
    }
}

impl Panicking {
    fn new(modules: &Path, operation: &str, version: &str) -> Self {
        let place = Place::new();
        std::fs::remove_dir(place.repository()).expect("it is empty");
        std::os::unix::fs::symlink(modules, place.repository()).expect("writable");
        let environment = [("LEDGER_PANICS", operation)];
        let component = place.run_in("ledger", version, &[], &environment);
        component.command(&["fill", ACCOUNTS]);
        let socket = place.path("messages");
        component.command(&["listen", socket.to_str().expect("plain")]);
        Self {
            component,
            sender: Sender::start(socket),
            _place: place,
        }
    }

    /// Tries an upgrade that fails with these words, after which `version` runs on with all that it had.
    fn fails(&self, version: &str, to: &str, how: How, status: Status, text: &str) {
        let bytes = self.component.show().data_bytes;
        let reply = self.component.upgrade_how(to, how);
        assert_eq!(reply.result, status, "{reply:?}");
        tells(&reply.errors, text);
        assert_eq!(self.component.show().version, version);
        assert_eq!(self.component.show().data_bytes, bytes);
        let history = self.component.ask(&Request::History {}).history;
        tells(&history.last().expect("there is one").reasons, text);
    }

    /// Checks that all messages were handled, once, in order.
    fn end(self, version: &str) {
        let sent = self.sender.stop();
        let expected = format!("{version} accounts {ACCOUNTS} count {sent} lost 0 late 0");
        let component = &self.component;
        wait_for("all are handled", || {
            component.command(&["show"]) == expected
        });
        self.component.stop();
    }
}

fn tells(reasons: &[String], text: &str) {
    let found = reasons.iter().any(|reason| reason.contains(text));
    assert!(found, "{text:?} is not in {reasons:?}");
}

fn modules() -> Place {
    let place = Place::new();
    place.rust_modules();
    place
}

#[test]
fn a_panic_of_the_new_version_is_rolled_back() {
    let modules = modules();
    let trial = How {
        trial: true,
        ..How::default()
    };
    let fresh = How {
        fresh: true,
        ..How::default()
    };
    let usual = How::default;
    // From 1.0.0 data migrates, from 2.0.0 it is handed over.
    for (operation, from, how, text) in [
        (
            "migrate",
            "1.0.0",
            usual(),
            "migration of the data panicked",
        ),
        ("restart", "1.0.0", usual(), "RESTART panicked"),
        ("restart", "2.0.0", usual(), "RESTART panicked"),
        ("init", "1.0.0", fresh, "INIT panicked"),
        (
            "migrate",
            "1.0.0",
            trial.clone(),
            "migration of the data panicked",
        ),
        (
            "validate",
            "2.0.0",
            trial,
            "validation of the data panicked",
        ),
    ] {
        let panicking = Panicking::new(&modules.repository(), operation, from);
        let text = format!("{text}: panic at ");
        let status = if how.trial {
            Status::Refused
        } else {
            Status::Error
        };
        panicking.fails(from, "panicking", how, status, &text);
        panicking.end(from);
    }
}

#[test]
fn a_panic_of_the_old_version_calls_the_upgrade_off() {
    let modules = modules();
    for (operation, text) in [("term", "TERM panicked"), ("hold", "HOLD panicked")] {
        let panicking = Panicking::new(&modules.repository(), operation, "panicking");
        let how = How::default();
        panicking.fails("panicking", "2.0.0", how, Status::Busy, text);
        panicking.end("panicking");
    }
}

#[test]
fn a_panic_in_the_health_call_goes_back() {
    let modules = modules();
    let panicking = Panicking::new(&modules.repository(), "health", "1.0.0");
    let component = &panicking.component;
    let how = How {
        probation_ns: 100_000_000,
        ..How::default()
    };
    let reply = component.upgrade_how("panicking", how);
    assert_eq!(reply.result, Status::Done, "{reply:?}");
    wait_for("it goes back", || component.show().version == "1.0.0");
    let last = || component.ask(&Request::History {}).history.pop();
    wait_for("it is written down", || {
        last().is_some_and(|last| last.action == "probation")
    });
    let last = last().expect("there is a history");
    tells(&last.reasons, "health call panicked: panic at ");
    panicking.end("1.0.0");
}

#[test]
fn a_panic_in_a_call_back_is_told_and_the_next_event_is_handled() {
    let modules = modules();
    let panicking = Panicking::new(&modules.repository(), "command", "1.0.0");
    let component = &panicking.component;
    let reply = component.upgrade("panicking");
    assert_eq!(reply.result, Status::Done, "{reply:?}");
    let reply: Reply = component.ask(&Request::Command {
        words: vec!["show".to_owned()],
    });
    assert_eq!(reply.result, Status::Error, "{reply:?}");
    tells(&reply.errors, "`command` panicked: panic at ");
    assert_eq!(component.show().failed, 1);
    assert_eq!(component.upgrade("1.0.0").result, Status::Done);
    panicking.end("1.0.0");
}

#[test]
fn a_component_whose_first_version_panics_does_not_start() {
    let place = modules();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_livepatch-component"))
        .args(["run", "ledger", "panicking", "--directory"])
        .arg(place.directory.path())
        .arg("--repository")
        .arg(place.repository())
        .env("LEDGER_PANICS", "init")
        .output()
        .expect("it can be run");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("INIT panicked: panic at "), "{errors}");
}
