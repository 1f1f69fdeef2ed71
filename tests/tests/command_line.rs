//! What the command lines take, and what they say.

use anyhow::{Context, Result, ensure};
use livepatch_tests::case::{apply, apply_with, start};
use livepatch_tests::program::Program;
use livepatch_tests::target::dying;
use livepatch_tests::tools::{Finished, livepatch, run, tool};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use tempfile::TempDir;

/// The options of `setpriv` for a user without any right.
const NOBODY: [&str; 4] = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];

/// `livepatch` where every user can run it.
struct Open(TempDir);

impl Open {
    fn new() -> Result<Self> {
        let directory = tempfile::tempdir_in("/tmp")?;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        fs::copy(tool("livepatch")?, directory.path().join("livepatch"))?;
        Ok(Self(directory))
    }

    fn as_nobody(&self, arguments: &[&str]) -> Result<Finished> {
        let mut command = Command::new("setpriv");
        command.args(NOBODY).arg(self.0.path().join("livepatch"));
        run(command.args(arguments))
    }
}

#[test]
fn processes_that_may_not_be_looked_into_are_counted() -> Result<()> {
    let open = Open::new()?;
    let listed = open.as_nobody(&["list"])?.expect(0)?;
    let told = listed.stderr.contains("could not be looked into");
    ensure!(told && listed.stdout.is_empty(), "{listed}");
    let listed = open.as_nobody(&["list", "--json"])?.expect(0)?;
    let last = listed.stdout.lines().last().context("nothing")?;
    let last: serde_json::Value = serde_json::from_str(last)?;
    ensure!(
        last["result"] == "hidden" && last["hidden"].as_u64() > Some(0),
        "{listed}"
    );
    ensure!(listed.stderr.is_empty(), "{listed}");
    Ok(())
}

#[test]
fn a_selection_counts_them_too() -> Result<()> {
    let open = Open::new()?;
    let sleep = open.0.path().join("sleep");
    fs::copy("/bin/sleep", &sleep)?;
    let mut sleeper = dying("setpriv")
        .args(NOBODY)
        .arg(&sleep)
        .arg("1000")
        .spawn()?;
    let program = sleep.to_str().context("a plain path")?;
    let link = format!("/proc/{}/exe", sleeper.id());
    while fs::read_link(&link)? != sleep {
        std::thread::yield_now();
    }
    let listed = open.as_nobody(&["list", "--exe", program, "--json"]);
    sleeper.kill()?;
    sleeper.wait()?;
    let listed = listed?.expect(0)?;
    let document: serde_json::Value = serde_json::from_str(&listed.stdout)?;
    ensure!(document["hidden"].as_u64() > Some(0), "{listed}");
    Ok(())
}

#[test]
fn what_somebody_meant_is_said() -> Result<()> {
    for arguments in [
        ["apply", "1234", "fix.lpatch"],
        ["check", "fix.lpatch", "1234"],
        ["revert", "1234", "fix"],
    ] {
        livepatch(arguments)?.expect_error(2, "a process is named by `--pid 1234`")?;
    }
    livepatch(["list", "1234"])?.expect_error(2, "`--pid 1234`")?;
    Ok(())
}

#[test]
fn what_no_process_or_time_can_be_is_wrong_usage() -> Result<()> {
    for pid in ["--pid=-5", "--pid=0"] {
        livepatch(["list", pid])?.expect_error(2, "--pid")?;
        livepatch(["symbols", pid])?.expect_error(2, "--pid")?;
    }
    livepatch(["list", "--pid", "-5"])?.expect_error(2, "-5 is not in 1..")?;
    let long = ["revert", "--pid", "1", "--timeout", "99999999999999999999s"];
    livepatch(long)?.expect_error(2, "too long: 525600m, a year, is the most")?;
    Ok(())
}

#[test]
fn a_file_is_no_name_of_a_patch() -> Result<()> {
    let program = Program::build("cases/changed_body", "name_of_a_patch")?;
    program.patch()?;
    let target = start(&program)?;
    apply(&target, &program)?;
    let pid = target.pid_text();
    livepatch(["revert", "--pid", &pid, "/tmp/fix.lpatch"])?
        .expect_error(1, "by its name and not by its file's: `fix`?")?;
    livepatch(["revert", "--pid", &pid, "other"])?
        .expect_error(1, &format!("`livepatch list --pid {pid}` shows"))?;
    livepatch(["revert", "--pid", &pid, "fix"])?
        .expect(0)
        .map(drop)
}

#[test]
fn who_stays_busy_is_told_of_consistency() -> Result<()> {
    let program = Program::build("scenarios/busy", "told_of_consistency")?;
    program.patch()?;
    let mut target = start(&program)?;
    target.ask("enter")?;
    let arguments = ["fix.lpatch", "--timeout", "100ms"];
    apply_with(&target, &program, &arguments)?.expect_error(3, "`--consistency function`")?;
    target.ask("leave").map(drop)
}

#[test]
fn shells_complete_and_there_are_manual_pages() -> Result<()> {
    for name in ["livepatch", "patchgen"] {
        let command = |arguments: &[&str]| run(Command::new(tool(name)?).args(arguments));
        for (shell, checker) in [("bash", Some("bash")), ("zsh", None), ("fish", None)] {
            let script = command(&["completions", shell])?.expect(0)?.stdout;
            ensure!(script.contains("completions"), "{name} {shell}: {script}");
            let component = script.contains("probation");
            ensure!(
                component == (name == "livepatch"),
                "{name} {shell}: {script}"
            );
            if let Some(checker) = checker {
                run(Command::new(checker).args(["-n", "-c", &script]))?.expect(0)?;
            }
        }
        command(&["completions", "dos"])?.expect_error(2, "possible values: bash")?;
        let directory = tempfile::tempdir()?;
        let pages = directory.path().join("man1");
        let pages_text = pages.to_str().context("a plain path")?;
        command(&["man", pages_text])?.expect(0)?;
        let page = fs::read_to_string(pages.join(format!("{name}.1")))?;
        ensure!(page.contains(".SH SYNOPSIS"), "{page}");
        let upgrade = pages.join("livepatch-component-upgrade.1");
        ensure!(upgrade.exists() == (name == "livepatch"), "{name}");
        command(&["man", "/proc/none"])?.expect_error(1, "cannot write manual pages to")?;
    }
    Ok(())
}
