//! The command line: every verb with `--json`, its exit status, and what people read.

mod common;

use common::{Place, Running, wait_for};
use livepatch_component::Request;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::process::Command;

struct Line {
    place: Place,
    component: Running,
}

impl Line {
    fn new() -> Self {
        let place = Place::new();
        place.counter("1.0.0", &[]);
        place.counter("1.0.1", &[]);
        place.counter("busy", &["BUSY"]);
        place.counter("broken", &["FAIL_RESTART"]);
        let component = place.run("counter", "1.0.0", &[]);
        Self { place, component }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_livepatch-component"));
        command
            .args(words)
            .env("LIVEPATCH_COMPONENTS", self.place.directory.path());
        command
    }

    fn run(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = self.command(words).output().expect("it can be run");
        let text = String::from_utf8(output.stdout).expect("text");
        (output.status.code(), text)
    }

    /// The answer of a verb with `--json`, one object on one line, whose `status` is the exit status.
    fn json(&self, words: &[&str], status: i32) -> Value {
        let (verb, rest) = words.split_first().expect("a verb");
        let mut all = vec![*verb, "--json"];
        all.extend(rest);
        let (code, text) = self.run(&all);
        assert_eq!(code, Some(status), "{words:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{words:?}: {text}");
        let value: Value = serde_json::from_str(&text).expect("an object");
        assert_eq!(value["status"], status, "{words:?}: {text}");
        value
    }
}

#[test]
fn every_verb_has_json() {
    let line = Line::new();
    let shown = line.json(&["show", "counter", "--symbols"], 0);
    let component = &shown["component"];
    assert_eq!(component["version"], "1.0.0");
    assert_eq!(component["queue"]["bound"], 65536);
    for table in ["callbacks", "library", "data"] {
        let symbols = component["symbols"][table].as_array();
        assert!(
            symbols.is_some_and(|symbols| !symbols.is_empty()),
            "{table}"
        );
    }
    let done = line.json(&["upgrade", "counter", "1.0.1"], 0);
    assert_eq!(done["result"], "done");
    assert_eq!(done["history"][0]["transfer"], "handed-over");
    assert!(done["history"][0]["pause_ns"].as_u64() > Some(0));
    assert!(done["history"][0]["pause_busy_ns"].as_u64() > Some(0));
    assert_eq!(
        line.json(&["upgrade", "counter", "9.9"], 4)["result"],
        "refused"
    );
    let failed = line.json(&["upgrade", "counter", "broken"], 1);
    assert_eq!(failed["history"][0]["outcome"], "rolled-back");
    assert_eq!(failed["errors"].as_array().map(Vec::len), Some(2));
    let back = line.json(&["rollback", "counter"], 0);
    assert_eq!(back["history"][0]["to"], "1.0.0");
    let answer = line.json(&["command", "counter", "show"], 0);
    // What follows the name is the module's.
    for words in [["counter", "--json"], ["counter", "--no-such"]] {
        let (code, text) = line.run(&["command", words[0], words[1]]);
        assert_eq!(code, Some(1), "{words:?}: {text}");
        assert!(serde_json::from_str::<Value>(&text).is_err(), "{text}");
    }
    assert_eq!(line.run(&["command", "a/b", "show"]).0, Some(2));
    assert_eq!(line.run(&["command", "counter"]).0, Some(2));
    assert_eq!(
        answer["answer"],
        "1.0.0 count 0 lost 0 late 0 ticks 0 signals 0"
    );
    assert_eq!(
        line.json(&["command", "counter", "nonsense"], 1)["result"],
        "error"
    );
    assert_eq!(
        line.json(&["upgrade", "counter", "busy"], 0)["result"],
        "done"
    );
    assert_eq!(
        line.json(&["upgrade", "counter", "1.0.0"], 3)["result"],
        "busy"
    );
    let history = line.json(&["history", "counter"], 0);
    let actions: Vec<&str> = history["history"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|record| record["action"].as_str())
        .collect();
    assert_eq!(
        actions,
        [
            "start", "upgrade", "upgrade", "upgrade", "rollback", "upgrade", "upgrade"
        ]
    );
    assert_eq!(line.json(&["show", "nobody"], 1)["result"], "error");
    let group = line.json(&["upgrade", "--group", "counter=1.0.1"], 3);
    assert_eq!(group["name"], "counter");
    assert_eq!(line.json(&["stop", "counter"], 0)["result"], "done");
}

#[test]
fn people_read_what_was_done() {
    let line = Line::new();
    let (code, text) = line.run(&["upgrade", "counter", "1.0.1"]);
    assert_eq!(code, Some(0));
    assert!(
        text.starts_with("upgrade 1.0.0 -> 1.0.1: done; pause "),
        "{text}"
    );
    let (_, text) = line.run(&["show", "counter", "--symbols"]);
    for part in [
        "counter 1.0.1 in process",
        "previous  1.0.0",
        "call-backs",
        "library",
        "data",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let output = line.command(&["upgrade", "counter", "broken"]).output();
    let output = output.expect("it can be run");
    let text = String::from_utf8(output.stdout).expect("text");
    let errors = String::from_utf8(output.stderr).expect("text");
    assert!(text.starts_with("upgrade 1.0.1 -> broken: rolled-back; pause "));
    let reason = "RESTART failed: as it was made to";
    assert!(!text.contains(reason), "it is told once: {text}");
    assert!(errors.contains(reason), "{errors}");
    let (_, text) = line.run(&["history", "counter"]);
    assert!(text.contains("pause in µs:"), "{text}");
    assert!(text.contains(reason), "{text}");
    let (time, first) = text.split_once(' ').expect("a time");
    assert!(first.starts_with("start 1.0.0: done"), "{text}");
    assert!(time.len() == 24 && time.starts_with("20") && time.ends_with('Z'));
    let (code, text) = line.run(&["upgrade", "counter", "1.0.0", "--probation", "1s"]);
    assert_eq!(code, Some(0));
    let outlook = "; on probation for 1s: may still go back, `component show` tells\n";
    assert!(text.ends_with(outlook), "{text}");
    for wrong in [
        &["upgrade"][..],
        &["explode"],
        &["show", "../x"],
        &["upgrade", "counter", "1", "2"],
        &["upgrade", "counter", "1.0.1", "--deadline", "0"],
    ] {
        assert_eq!(line.run(wrong).0, Some(2), "{wrong:?}");
    }
    line.component.stop();
}

#[test]
fn a_result_that_cannot_be_written_is_told() {
    let line = Line::new();
    for (verb, status) in [
        (&["show", "counter"][..], 1),
        (&["history", "counter", "--json"], 1),
        (&["show", "nobody", "--json"], 1),
        (&["upgrade", "counter", "9.9"], 4),
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let mut command = line.command(verb);
        let output = command.stdout(full.expect("it is there")).output();
        let output = output.expect("it can be run");
        assert_eq!(output.status.code(), Some(status), "{verb:?}: {output:?}");
        let errors = String::from_utf8_lossy(&output.stderr);
        let text = "livepatch: cannot write the result to the standard output";
        assert!(errors.contains(text), "{errors}");
    }
    // A reader that has gone has read what it wanted.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = line.command(&["history", "counter"]);
    let output = command.stdout(writer).output().expect("it can be run");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    line.component.stop();
}

/// Signs, and returns the exit status and what was printed.
fn sign(line: &Line, file: &std::path::Path, json: &[&str]) -> (Option<i32>, String) {
    let key = line.place.path("key");
    let paths = [key.to_str(), file.to_str()].map(|path| path.expect("plain"));
    let words = ["sign", "--key", paths[0], paths[1]];
    line.run(&[&words[..], json].concat())
}

#[test]
fn only_modules_are_signed() {
    let line = Line::new();
    let key = livepatch_bundle::PrivateKey::generate().expect("random numbers");
    key.store(&line.place.path("key")).expect("writable");
    let id = key.public().id().to_string();
    let module = line.place.repository().join("libcounter_1.0.1.so");
    let (status, text) = sign(&line, &module, &[]);
    assert_eq!(status, Some(0));
    let expected = format!(" (counter 1.0.1) is signed with key {id}\n");
    assert!(text.ends_with(&expected), "{text}");
    let signed = std::fs::read(&module).expect("there");
    let (status, text) = sign(&line, &module, &["--json"]);
    assert_eq!(status, Some(0));
    let value: Value = serde_json::from_str(&text).expect("an object");
    assert_eq!(value["result"], "done");
    assert_eq!(value["version"], "1.0.1");
    assert_eq!(value["key"], id);
    assert_eq!(std::fs::read(&module).expect("there"), signed, "replaced");
    let other = line.place.path("other");
    for original in ["/etc/hostname", "/bin/true"] {
        std::fs::copy(original, &other).expect("it is there");
        let before = std::fs::read(&other).expect("there");
        let (status, text) = sign(&line, &other, &["--json"]);
        assert_eq!(status, Some(1), "{text}");
        let value: Value = serde_json::from_str(&text).expect("an object");
        assert_eq!(value["status"], 1);
        let error = value["errors"][0].as_str().expect("text");
        assert!(error.contains("is no module that can be used"), "{error}");
        assert_eq!(std::fs::read(&other).expect("there"), before);
    }
    line.component.stop();
}

#[test]
fn failures_of_groups_and_starts_have_json() {
    let line = Line::new();
    for (words, status, result) in [
        (&["upgrade", "--group", "counter"][..], 2, "usage"),
        (
            &["upgrade", "--group", "nobody=1", "counter=1.0.1"],
            1,
            "error",
        ),
        (&["run", "counter", "1.0.0"], 1, "error"),
        (&["run", "other", "1.0.0", "--unsupervised"], 1, "error"),
    ] {
        let value = line.json(words, status);
        assert_eq!(value["result"], result);
        assert!(value["errors"][0].is_string(), "{value}");
    }
    line.component.stop();
}

#[test]
fn a_crash_in_an_upgrade_is_told_and_written_down() {
    let line = Line::new();
    let cases: [(&str, &[&str], &str); 3] = [
        (
            "restart",
            &["CRASH_RESTART"],
            "the process crashed (SIGABRT)",
        ),
        (
            "migrate",
            &["WIDE", "CRASH_MIGRATE"],
            "the process crashed (SIGABRT)",
        ),
        ("hang", &["HANG_RESTART"], "the process hung (SIGALRM)"),
    ];
    for (version, defines, reason) in cases {
        line.place.counter(version, defines);
        let words = ["upgrade", "--deadline", "20ms", "counter", version];
        let told = line.json(&words, 5);
        assert_eq!(told["result"], "broken");
        let error = told["errors"][0].as_str().expect("text");
        let expected = format!(
            "the upgrade to {version} crashed the process, or hung; 1.0.0 was started again WITH NEW DATA"
        );
        assert!(error.starts_with(&expected), "{error}");
        assert_eq!(told["errors"][1], reason);
        let history = line.json(&["history", "counter"], 0);
        let records = history["history"].as_array().expect("a list");
        let [.., record, start] = &records[..] else {
            panic!("{history}");
        };
        assert_eq!(record, &told["history"][0]);
        assert_eq!(start["action"], "start");
        let facts = ["action", "from", "to", "outcome"].map(|name| record[name].as_str());
        let expected = ["upgrade", "1.0.0", version, "crashed"];
        assert_eq!(facts, expected.map(Some));
        assert_eq!(record["reasons"][0], reason);
    }
    // What ended well is not told again.
    assert_eq!(line.json(&["upgrade", "counter", "1.0.1"], 0)["status"], 0);
    line.json(&["upgrade", "counter", "9.9"], 4);
    line.json(&["upgrade", "--dry-run", "counter", "1.0.0"], 0);
    let begun = line.place.path("counter.begun");
    assert!(!begun.exists());
    let shown = line.component.show();
    assert_eq!((shown.version.as_str(), shown.restarts), ("1.0.1", 3));
    line.component.stop();
}

/// The names of files in the component's directory, but those of modules.
fn files(place: &Place) -> Vec<String> {
    let files = std::fs::read_dir(place.directory.path()).expect("ours");
    let names = files.map(|file| file.expect("ours").file_name().into_string());
    let mut names: Vec<String> = names.map(|name| name.expect("text")).collect();
    names.retain(|name| name != "repository");
    names.sort();
    names
}

#[test]
fn a_start_that_fails_leaves_no_files() {
    let place = Place::new();
    place.counter("init", &["FAIL_INIT"]);
    place.compile(
        "samples/counter/counter.c",
        "counter",
        "other",
        &["NAME=\"sum\""],
    );
    for version in ["none", "other", "init"] {
        let mut line = Command::new(env!("CARGO_BIN_EXE_livepatch-component"));
        line.args(["run", "counter", version, "--repository"]);
        line.arg(place.repository());
        line.env("LIVEPATCH_COMPONENTS", place.directory.path());
        let output = line.output().expect("it can be run");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(files(&place), [""; 0], "{version}");
    }
}

#[test]
fn a_component_that_crashes_again_and_again_leaves_its_history_alone() {
    let place = Place::new();
    place.counter("1.0.0", &[]);
    let mut component = place.run("counter", "1.0.0", &[]);
    for restarts in 0..5 {
        let show = Request::Show { symbols: false };
        let shown = || component.try_ask(&show).and_then(|reply| reply.component);
        let runs = || shown().filter(|shown| shown.restarts == restarts);
        wait_for("it runs", || runs().is_some());
        let pid = runs().expect("it runs").pid;
        // Its supervisor, our child, waits for it: the number is its own.
        kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).expect("it runs");
    }
    let status = component.process.wait().expect("our child");
    assert_eq!(status.code(), Some(1));
    assert_eq!(files(&place), ["counter.history"]);
}
