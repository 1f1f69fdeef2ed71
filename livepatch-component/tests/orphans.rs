//! One component, when the command that upgrades it is killed, or its supervisor.

mod common;

use common::traced::Traced;
use common::{Place, Running, wait_for};
use livepatch_component::Status;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

const VERSIONS: [&str; 2] = ["1.0.0", "2.0.0"];

/// A component that counts, whose versions keep their data in different forms.
struct Scene {
    place: Place,
    component: Running,
    client: UnixDatagram,
    sent: u64,
}

impl Scene {
    fn new() -> Self {
        let place = Place::new();
        place.counter(VERSIONS[0], &[]);
        place.counter(VERSIONS[1], &["WIDE"]);
        let component = place.run("counter", VERSIONS[0], &[]);
        component.command(&["open", place.path("numbers").to_str().expect("plain")]);
        let client = place.client();
        Self {
            place,
            component,
            client,
            sent: 0,
        }
    }

    /// Sends some messages: each must be counted, by whichever version runs then.
    fn check(&mut self, what: &str) {
        for _ in 0..10 {
            self.sent += 1;
            let sent = self.client.send(&self.sent.to_le_bytes());
            sent.expect("the component reads");
        }
        let wanted = format!("count {} lost 0 late 0", self.sent);
        wait_for(&format!("all messages are handled ({what})"), || {
            self.component.command(&["show"]).contains(&wanted)
        });
    }

    /// The version that does not run.
    fn other(&self) -> &'static str {
        let running = self.component.show().version;
        let other = VERSIONS.into_iter().find(|version| *version != running);
        other.expect("there are two")
    }
}

/// Kills the command at its steps of these numbers, until it has none so late.
fn kill_commands(options: &[&str]) {
    let mut scene = Scene::new();
    let pid = scene.component.show().pid;
    for step in 1.. {
        let what = format!("killed at step {step}");
        let mut arguments = options.to_vec();
        arguments.extend(["counter", scene.other()]);
        let mut command = Traced::upgrade(scene.place.directory.path(), &arguments);
        if !command.steps(step) {
            assert!(step > 3, "there are {step} steps");
            break;
        }
        command.kill();
        scene.check(&what);
        wait_for(&format!("it can be upgraded again ({what})"), || {
            scene.component.upgrade(scene.other()).result == Status::Done
        });
        scene.check(&what);
    }
    assert_eq!(scene.component.show().pid, pid);
    scene.component.stop();
}

#[test]
fn an_upgrade_whose_command_is_killed_is_made_or_not() {
    kill_commands(&[]);
}

#[test]
fn an_upgrade_on_probation_whose_command_is_killed_is_made_or_not() {
    kill_commands(&["--probation", "50ms"]);
}

#[test]
fn a_component_ends_with_its_supervisor_and_can_be_started_again() {
    let mut scene = Scene::new();
    scene.check("it was started");
    let main_task = scene.component.show().pid;
    let supervisor = Pid::from_raw(scene.component.process.id().cast_signed());
    kill(supervisor, Signal::SIGKILL).expect("our child");
    scene.component.process.wait().expect("our child");
    let is_there = || Path::new(&format!("/proc/{main_task}")).exists();
    wait_for("the main task ends, too", || !is_there());
    let again = scene.place.run("counter", VERSIONS[0], &[]);
    assert_ne!(again.show().pid, main_task);
    again.stop();
}
