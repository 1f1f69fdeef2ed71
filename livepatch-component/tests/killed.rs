//! A group of two, while somebody is killed: the command, or a component, at each step of the command. All are upgraded, or none.

mod common;

use common::{Place, Running, wait_for};
use livepatch_component::{Request, Shown};
use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::process::{Child, Command, Stdio};

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

/// What the command does to others, or tells: system calls of these numbers are its steps.
const STEPS: [i64; 11] = [
    libc::SYS_connect,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_close,
    libc::SYS_symlink,
    libc::SYS_symlinkat,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_exit_group,
];

/// The command, traced; it stops before each of its steps.
struct Traced {
    /// Waited for by its number, as tracing needs it.
    _child: Child,
    pid: Pid,
    has_connected: bool,
}

impl Traced {
    fn start(place: &Place) -> Self {
        let child = Command::new("sh")
            .args(["-c", "kill -STOP $$; exec \"$@\"", "sh"])
            .arg(env!("CARGO_BIN_EXE_livepatch-component"))
            .args(["upgrade", "--group", "--directory"])
            .arg(place.directory.path())
            .args(NAMES.map(|name| format!("{name}={NEW}")))
            .stdout(Stdio::null())
            .spawn();
        let child = child.expect("a shell is there");
        let pid = Pid::from_raw(child.id().cast_signed());
        let status = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).expect("our child");
        assert_eq!(status, WaitStatus::Stopped(pid, Signal::SIGSTOP));
        let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL;
        ptrace::seize(pid, options).expect("our child");
        kill(pid, Signal::SIGCONT).expect("our child");
        Self {
            _child: child,
            pid,
            has_connected: false,
        }
    }

    /// Lets it go on until it is about to do the next step; false when it has ended.
    fn step(&mut self) -> bool {
        loop {
            let status = waitpid(self.pid, Some(WaitPidFlag::__WALL)).expect("our child");
            let mut pass_on = None;
            match status {
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return false,
                WaitStatus::Stopped(_, signal) => pass_on = Some(signal),
                WaitStatus::PtraceSyscall(_) if self.is_at_a_step() => return true,
                _ => {}
            }
            self.go_on(pass_on);
        }
    }

    fn is_at_a_step(&mut self) -> bool {
        let registers = ptrace::getregs(self.pid).expect("it is stopped");
        // What the kernel has there before the system call.
        let is_before = registers.rax.cast_signed() == -i64::from(Errno::ENOSYS as i32);
        let number = registers.orig_rax.cast_signed();
        self.has_connected |= number == libc::SYS_connect;
        is_before && self.has_connected && STEPS.contains(&number)
    }

    fn go_on(&self, signal: Option<Signal>) {
        ptrace::syscall(self.pid, signal).expect("it is stopped");
    }

    /// Lets it go on to its end.
    fn finish(&self) -> WaitStatus {
        ptrace::detach(self.pid, None).expect("it is stopped");
        waitpid(self.pid, None).expect("our child")
    }

    fn kill(&self) -> WaitStatus {
        kill(self.pid, Signal::SIGKILL).expect("our child");
        waitpid(self.pid, None).expect("our child")
    }
}

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
    let mut command = Traced::start(&place);
    for _ in 0..step {
        if !command.step() {
            return false;
        }
        command.go_on(None);
    }
    if !command.step() {
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
