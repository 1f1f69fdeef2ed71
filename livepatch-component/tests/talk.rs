//! Two components that talk, upgraded in turn and as a group.

mod common;

use common::{Place, Running, wait_for};
use livepatch_component::Status;
use std::process::{Command, Output};

struct Talk {
    ask: Running,
    answer: Running,
    place: Place,
}

impl Talk {
    fn new() -> Self {
        let place = Place::new();
        let talk = |name: &str, version: &str, define: &str| {
            let named = format!("NAME=\"{name}\"");
            let mut defines = vec![named.as_str(), define];
            if name == "ask" {
                defines.push("ASK");
            }
            place.compile("samples/talk/talk.c", name, version, &defines);
        };
        for name in ["ask", "answer"] {
            talk(name, "1.0.0", "GOOD");
            talk(name, "1.1.0", "GOOD");
            talk(name, "broken", "FAIL_RESTART");
            talk(name, "2.0.0", "ONE_WAY");
        }
        let (ask, answer) = (
            place.run("ask", "1.0.0", &[]),
            place.run("answer", "1.0.0", &[]),
        );
        let path = |name| place.path(name).display().to_string();
        ask.command(&["listen", &path("asks")]);
        answer.command(&["listen", &path("answers")]);
        ask.command(&["begin", &path("answers")]);
        let talk = Self { ask, answer, place };
        talk.goes_on();
        talk
    }

    fn said(&self) -> u64 {
        let shown = self.ask.command(&["show"]);
        let (said, wrong) = shown.split_once(" wrong ").expect("as it shows it");
        assert_eq!(wrong, "0");
        said.parse().expect("a number")
    }

    /// The talk goes on: nothing was lost.
    fn goes_on(&self) {
        let before = self.said();
        wait_for("the talk goes on", || self.said() > before + 100);
    }

    fn versions(&self) -> (String, String) {
        (self.ask.show().version, self.answer.show().version)
    }

    fn group(&self, arguments: &[&str]) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_livepatch-component"))
            .args(["upgrade", "--group", "--directory"])
            .arg(self.place.directory.path())
            .args(arguments)
            .output();
        output.expect("it can be run")
    }
}

#[test]
fn each_is_upgraded_while_the_other_goes_on() {
    let talk = Talk::new();
    for version in ["1.1.0", "1.0.0", "1.1.0"] {
        assert_eq!(talk.ask.upgrade(version).result, Status::Done);
        talk.goes_on();
        assert_eq!(talk.answer.upgrade(version).result, Status::Done);
        talk.goes_on();
    }
}

#[test]
fn a_group_is_upgraded_whole_or_not_at_all() {
    let talk = Talk::new();
    let output = talk.group(&["answer=1.1.0", "ask=broken"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(talk.versions(), ("1.0.0".into(), "1.0.0".into()));
    talk.goes_on();
    let output = talk.group(&["answer=1.1.0", "ask=none"]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let output = talk.group(&["answer=2.0.0", "ask=1.1.0"]);
    assert_eq!(
        output.status.code(),
        Some(4),
        "there is no way back: {output:?}"
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("no way back"));
    assert_eq!(talk.versions(), ("1.0.0".into(), "1.0.0".into()));
    let output = talk.group(&["answer=1.1.0", "ask=1.1.0"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(talk.versions(), ("1.1.0".into(), "1.1.0".into()));
    talk.goes_on();
    let output = talk.group(&["answer", "ask=1.1.0"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
