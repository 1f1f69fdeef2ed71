//! Two components that talk, upgraded in turn and as a group.

mod common;

use common::{Place, Running, wait_for};
use livepatch_component::{Client, How, Request, Status, Upgrade};
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
            talk(name, "slow", "SLOW_RESTART");
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

    fn group_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_livepatch-component"));
        command
            .args(["upgrade", "--group", "--directory"])
            .arg(self.place.directory.path())
            .args(arguments);
        command
    }

    fn group(&self, arguments: &[&str]) -> Output {
        let output = self.group_command(arguments).output();
        output.expect("it can be run")
    }

    /// Both run these versions, and nothing of another is kept.
    fn settle_at(&self, versions: [&str; 2]) {
        let [ask, answer] = versions.map(str::to_owned);
        wait_for("both are where they should be", || {
            self.versions() == (ask.clone(), answer.clone())
                && !self.ask.show().on_probation
                && !self.answer.show().on_probation
        });
        self.goes_on();
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

#[test]
fn a_group_whose_command_is_killed_half_way_goes_back() {
    let talk = Talk::new();
    let command = talk.group_command(&["answer=1.1.0", "ask=slow"]).spawn();
    let mut command = command.expect("it can be run");
    wait_for("one is upgraded", || talk.answer.show().version == "1.1.0");
    // The other one is still at it: it takes half a second.
    command.kill().expect("it is our child");
    command.wait().expect("it is our child");
    talk.settle_at(["1.0.0", "1.0.0"]);
    let history = talk.answer.ask(&Request::History {}).history;
    let last = history.last().expect("there is a history");
    assert_eq!(
        (last.action.as_str(), last.to.as_str()),
        ("rollback", "1.0.0")
    );
    assert!(last.reasons[0].contains("has gone before"), "{last:?}");
}

#[test]
fn a_decision_that_was_made_stands_whoever_is_killed() {
    let talk = Talk::new();
    let directory = talk.place.directory.path();
    let decision = talk.place.path("decision");
    let upgrade = Request::Upgrade(Upgrade {
        version: "1.1.0".to_owned(),
        dry_run: false,
        reversible: true,
        how: How {
            decision: Some(decision.clone()),
            ..How::default()
        },
    });
    let both = || {
        let clients = ["ask", "answer"].map(|name| Client::connect(directory, name));
        clients.map(|client| {
            let mut client = client.expect("it listens");
            let reply = client.ask(&upgrade).expect("it answers");
            assert_eq!(reply.result, Status::Done, "{reply:?}");
            client
        })
    };
    let clients = both();
    let reply = talk.ask.upgrade("1.0.0");
    assert_eq!(reply.result, Status::Refused, "it waits for the decision");
    assert_eq!(talk.ask.ask(&Request::Commit {}).result, Status::Refused);
    drop(clients);
    talk.settle_at(["1.0.0", "1.0.0"]);
    let decided = std::fs::read_link(&decision).expect("they have decided");
    assert_eq!(decided.to_str(), Some("off"));
    std::fs::remove_file(&decision).expect("ours");
    let [mut ask, answer] = both();
    std::os::unix::fs::symlink("stands", &decision).expect("writable");
    let reply = ask.ask(&Request::Commit {}).expect("it answers");
    assert_eq!(reply.result, Status::Done);
    drop(answer);
    talk.settle_at(["1.1.0", "1.1.0"]);
}
