//! A group of two, while somebody is killed: the command, or a component, at each step of the command. All are upgraded, or none.

mod common;

use common::traced::Traced;
use common::{Place, Running, wait_for};
use livepatch_component::{Request, Shown};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

const NAMES: [&str; 2] = ["ask", "answer"];
const OLD: &str = "1.0.0";
const NEW: &str = "1.1.0";

/// Whom a round kills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Command,
    /// The main task of one of the two; the command goes on at once, or when that has been started anew.
    Component(usize, Pace),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    AtOnce,
    WhenItRuns,
}

const VICTIMS: [Victim; 5] = [
    Victim::Command,
    Victim::Component(0, Pace::AtOnce),
    Victim::Component(0, Pace::WhenItRuns),
    Victim::Component(1, Pace::AtOnce),
    Victim::Component(1, Pace::WhenItRuns),
];

/// Both versions of both modules.
fn modules() -> Place {
    let place = Place::new();
    for name in NAMES {
        let named = format!("NAME=\"{name}\"");
        let kind = if name == "ask" { "ASK" } else { "ANSWER" };
        for version in [OLD, NEW] {
            place.compile("samples/talk/talk.c", name, version, &[&named, kind]);
        }
    }
    place
}

/// What a component shows once there is nothing to be decided any more.
fn settled(component: &Running) -> Option<Shown> {
    let reply = component.try_ask(&Request::Show { symbols: false })?;
    reply.component.filter(|shown| !shown.on_probation)
}

/// Kills at the step of this number; false when the command has ended before.
fn round(modules: &Place, victim: Victim, step: usize) -> bool {
    let place = Place::new();
    std::fs::remove_dir(place.repository()).expect("it is empty");
    std::os::unix::fs::symlink(modules.repository(), place.repository()).expect("writable");
    let components = NAMES.map(|name| place.run(name, OLD, &[]));
    let pids = components.each_ref().map(|component| component.show().pid);
    let [first, second] = NAMES.map(|name| format!("{name}={NEW}"));
    let mut command = Traced::upgrade(place.directory.path(), &["--group", &first, &second]);
    if !command.steps(step + 1) {
        return false;
    }
    let status = match victim {
        Victim::Command => command.kill(),
        Victim::Component(index, pace) => {
            let main_task = Pid::from_raw(pids[index].cast_signed());
            // It runs: its supervisor, our child, waits for it.
            kill(main_task, Signal::SIGKILL).expect("it runs");
            let runs_anew = || settled(&components[index]).is_some_and(|shown| shown.restarts == 1);
            if pace == Pace::WhenItRuns {
                wait_for("it runs again", runs_anew);
            }
            let status = command.finish();
            wait_for("it runs again", runs_anew);
            status
        }
    };
    let what = format!("{victim:?} at step {step}: {status:?}");
    let mut versions = [String::new(), String::new()];
    wait_for(&format!("both settle ({what})"), || {
        let shown = components.each_ref().map(settled);
        versions = shown.map(|shown| shown.map(|shown| shown.version).unwrap_or_default());
        versions.iter().all(|version| !version.is_empty())
    });
    assert_eq!(versions[0], versions[1], "{what}");
    if matches!(status, WaitStatus::Exited(_, 0)) {
        assert_eq!(versions[0], NEW, "{what}");
    }
    for component in components {
        component.stop();
    }
    true
}

/// Kills each at every so many steps.
fn sweep(every: usize) {
    let modules = modules();
    let mut reached = 0;
    for (index, victim) in VICTIMS.into_iter().enumerate() {
        // Not all at the same ones.
        let first = index % every;
        let steps = (first..).step_by(every);
        let rounds = steps
            .take_while(|step| round(&modules, victim, *step))
            .count();
        reached = reached.max(first + rounds * every);
    }
    assert!(reached > 20, "there are {reached} steps at most");
}

#[test]
fn a_group_is_upgraded_whole_or_not_at_all_whoever_is_killed() {
    sweep(5);
}

#[test]
#[ignore = "long: `scripts/test --full` runs it"]
fn a_group_is_upgraded_whole_or_not_at_all_whoever_is_killed_at_any_step() {
    sweep(1);
}
