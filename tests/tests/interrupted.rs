//! Users who change their mind: SIGINT, SIGTERM and SIGHUP to the command.

use anyhow::{Context, Result, ensure};
use livepatch_tests::case::{apply, apply_command, start};
use livepatch_tests::program::Program;
use livepatch_tests::snapshot::{Extent, Snapshot};
use livepatch_tests::target::Target;
use livepatch_tests::tools::{Finished, Running, finish, livepatch, spawn, tool};
use nix::sys::signal::{Signal, kill};
use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// Long enough for a guardian to wait for a busy function.
const UNTIL_IT_WAITS: Duration = Duration::from_millis(400);
/// Longer than a test may take: who waits so long was not interrupted.
const FOR_EVER: &str = "600s";

fn scenario(name: &str, test: &str) -> Result<(Program, Target)> {
    let program = Program::build(&format!("scenarios/{name}"), test)?;
    program.patch()?;
    let target = start(&program)?;
    Ok((program, target))
}

fn send(running: &Running, signal: Signal) -> Result<()> {
    let pid = nix::unistd::Pid::from_raw(running.id().cast_signed());
    Ok(kill(pid, signal)?)
}

/// Waits until the command waits for a busy function, and interrupts it.
fn interrupt(running: Running, signal: Signal) -> Result<Finished> {
    thread::sleep(UNTIL_IT_WAITS);
    send(&running, signal)?;
    finish(running)
}

fn waiting_apply(target: &Target, program: &Program) -> Result<Command> {
    apply_command(target, program, &["fix.lpatch", "--timeout", FOR_EVER])
}

fn nothing_is_left(target: &Target) -> Result<()> {
    let listed = livepatch(["list", "--pid", &target.pid_text()])?.expect(0)?;
    ensure!(listed.stdout.is_empty(), "{listed}");
    Ok(())
}

#[test]
fn an_apply_that_waits_changes_nothing() -> Result<()> {
    let (program, mut target) = scenario("busy", "interrupted_apply")?;
    apply(&target, &program)?;
    livepatch(["revert", "--pid", &target.pid_text()])?.expect(0)?;
    // The stack of its thread stays.
    target.ask("enter")?;
    target.ask("leave")?;
    let before = Snapshot::take(target.pid())?;
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        target.ask("enter")?;
        let applying = spawn(&mut waiting_apply(&target, &program)?)?;
        let told = format!(
            "interrupted: no code of process {} was changed",
            target.pid()
        );
        interrupt(applying, signal)?.expect_error(128 + signal as i32, &told)?;
        nothing_is_left(&target)?;
        target.ask("leave")?;
        ensure!(target.ask("")? == "1", "the patch came into force");
        let after = Snapshot::take(target.pid())?;
        before.check_same(&after, Extent::Mapped)?;
    }
    target.check_undisturbed()
}

#[test]
fn an_interrupted_apply_tells_machines() -> Result<()> {
    let (program, mut target) = scenario("busy", "interrupted_json")?;
    target.ask("enter")?;
    let applying = spawn(waiting_apply(&target, &program)?.arg("--json"))?;
    let finished = interrupt(applying, Signal::SIGTERM)?.expect(143)?;
    let fact: serde_json::Value = serde_json::from_str(&finished.stdout)?;
    ensure!(
        fact["result"] == "interrupted" && fact["status"] == 130,
        "{finished}"
    );
    target.ask("leave").map(drop)
}

#[test]
fn a_revert_that_waits_changes_nothing() -> Result<()> {
    let (program, mut target) = scenario("busy", "interrupted_revert")?;
    apply(&target, &program)?;
    target.ask("enter")?;
    let pid = target.pid_text();
    let revert = ["revert", "--pid", &pid, "--timeout", FOR_EVER];
    let reverting = spawn(Command::new(tool("livepatch")?).args(revert))?;
    interrupt(reverting, Signal::SIGINT)?.expect_error(130, "interrupted: no code of process")?;
    let listed = livepatch(["list", "--pid", &pid])?.expect(0)?;
    ensure!(listed.stdout.contains("fix  active"), "{listed}");
    target.ask("leave")?;
    ensure!(target.ask("")? == "2", "the patch is not in force");
    target.check_undisturbed()
}

/// One livepatch waits until another has finished with the process.
#[test]
fn who_waits_for_another_livepatch_can_be_interrupted() -> Result<()> {
    let (program, mut target) = scenario("busy", "interrupted_lock")?;
    target.ask("enter")?;
    let first = spawn(&mut waiting_apply(&target, &program)?)?;
    thread::sleep(UNTIL_IT_WAITS);
    let second = spawn(&mut waiting_apply(&target, &program)?)?;
    interrupt(second, Signal::SIGINT)?.expect_error(130, "interrupted")?;
    target.ask("leave")?;
    finish(first)?.expect(0)?;
    ensure!(target.ask("")? == "2", "the patch is not in force");
    target.check_undisturbed()
}

#[test]
fn what_nohup_ignores_does_not_interrupt() -> Result<()> {
    let (program, mut target) = scenario("busy", "interrupted_nohup")?;
    target.ask("enter")?;
    let apply = waiting_apply(&target, &program)?;
    let mut command = Command::new("env");
    command
        .args(["--ignore-signal=HUP", "--"])
        .arg(apply.get_program())
        .args(apply.get_args())
        .current_dir(program.path(""));
    let applying = spawn(&mut command)?;
    thread::sleep(UNTIL_IT_WAITS);
    send(&applying, Signal::SIGHUP)?;
    thread::sleep(UNTIL_IT_WAITS);
    target.ask("leave")?;
    finish(applying)?.expect(0)?;
    ensure!(target.ask("")? == "2", "the patch is not in force");
    target.check_undisturbed()
}

/// The target is wholly old or wholly new, as the command says, whenever the signal comes; a second one changes nothing.
#[test]
fn at_any_moment_the_command_says_what_is_true() -> Result<()> {
    const ROUNDS: u64 = 40;
    let (program, mut target) = scenario("stacked", "interrupted_any")?;
    apply(&target, &program)?;
    livepatch(["revert", "--pid", &target.pid_text()])?.expect(0)?;
    let before = Snapshot::take(target.pid())?;
    for round in 0..ROUNDS {
        let signal = [Signal::SIGINT, Signal::SIGTERM][round as usize % 2];
        let applying = spawn(&mut waiting_apply(&target, &program)?)?;
        thread::sleep(Duration::from_millis(5 * round));
        send(&applying, signal)?;
        thread::sleep(Duration::from_millis(round % 5));
        // It may have ended.
        send(&applying, signal).ok();
        let finished = finish(applying)?;
        let answer = target.ask("40")?;
        match finished.status {
            0 => {
                ensure!(answer == "42", "answered {answer}: {finished}");
                livepatch(["revert", "--pid", &target.pid_text(), "fix"])?.expect(0)?;
            }
            status if status == 128 + signal as i32 => {
                ensure!(answer == "41", "answered {answer}: {finished}");
                nothing_is_left(&target)?;
            }
            _ => anyhow::bail!("round {round}: {finished}"),
        }
        let after = Snapshot::take(target.pid())?;
        before
            .check_same(&after, Extent::Mapped)
            .with_context(|| format!("after round {round}: {finished}"))?;
    }
    target.check_undisturbed()
}

/// Four processes, of which the third stays inside the function.
struct Crowd {
    program: Program,
    targets: Vec<Target>,
}

impl Crowd {
    fn start(test: &str) -> Result<Self> {
        let (program, first) = scenario("busy", test)?;
        let mut targets = vec![first];
        for _ in 0..3 {
            targets.push(start(&program)?);
        }
        targets[2].ask("enter")?;
        Ok(Self { program, targets })
    }

    fn interrupted(&self, option: &str) -> Result<Finished> {
        let bundle = self.program.path("fix.lpatch");
        let exe = fs::canonicalize(self.program.executable())?;
        let mut apply = Command::new(tool("livepatch")?);
        apply
            .arg("apply")
            .arg(bundle)
            .arg("--exe")
            .arg(exe)
            // The busy one is waited for from the beginning.
            .args(["--jobs", "4", "--timeout", FOR_EVER, option]);
        let applying = spawn(&mut apply)?;
        thread::sleep(UNTIL_IT_WAITS);
        interrupt(applying, Signal::SIGINT)
    }

    fn answer(mut self, wanted: [&str; 4]) -> Result<()> {
        self.targets[2].ask("leave")?;
        for (target, wanted) in self.targets.iter_mut().zip(wanted) {
            let answer = target.ask("")?;
            ensure!(answer == wanted, "process {} said {answer}", target.pid());
            target.check_undisturbed()?;
        }
        nothing_is_left(&self.targets[2])
    }
}

#[test]
fn of_several_processes_those_that_wait_are_interrupted() -> Result<()> {
    let crowd = Crowd::start("interrupted_several")?;
    let finished = crowd.interrupted("--json")?.expect(130)?;
    let document: serde_json::Value = serde_json::from_str(&finished.stdout)?;
    let summary = &document["summary"];
    ensure!(
        summary["done"] == 3 && summary["interrupted"] == 1 && document["status"] == 130,
        "{finished}"
    );
    crowd.answer(["2", "2", "1", "2"])
}

#[test]
fn all_or_nothing_is_taken_back() -> Result<()> {
    let crowd = Crowd::start("interrupted_all")?;
    let finished = crowd.interrupted("--all-or-nothing")?.expect(130)?;
    let told = finished.stdout.contains("was taken back");
    ensure!(told, "{finished}");
    crowd.answer(["1", "1", "1", "1"])
}
