//! Tests that need a process of their own: this test program again, with one of its ignored tests.

use crate::child::spawn;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The variable that tells the ignored test what it is about.
pub(crate) const SUBJECT: &str = "LIVEPATCH_TEST_SUBJECT";

/// The user `nobody`.
pub(crate) const NOBODY: u32 = 65534;

fn command(program: &Path, test: &str, subject: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--exact", test, "--nocapture", "--ignored"])
        .env(SUBJECT, subject)
        .current_dir("/");
    command
}

/// Runs the ignored test `test` as `nobody` and returns what it prints. `subject` is copied to where nobody can reach
/// it if it is a file.
pub(crate) fn as_nobody(test: &str, subject: &Path) -> String {
    assert!(
        nix::unistd::geteuid().is_root(),
        "this test needs root, to become nobody"
    );
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).expect("opened");
    let copy = |from: &Path, name| {
        let to = directory.path().join(name);
        std::fs::copy(from, &to).expect("copied");
        to
    };
    let program = copy(&std::env::current_exe().expect("a path"), "live");
    let subject: PathBuf = if subject.is_file() {
        copy(subject, "subject")
    } else {
        subject.to_owned()
    };
    let mut command = command(&program, test, &subject);
    let child = spawn(command.uid(NOBODY).stderr(Stdio::piped()));
    let output = child.wait_with_output().expect("its output is read");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Runs the ignored test `test` until it prints `word`, and kills it.
pub(crate) fn killed_at(test: &str, subject: &str, word: &str) {
    let program = std::env::current_exe().expect("a path");
    let mut child = Killed(spawn(&mut command(&program, test, subject)));
    let output = BufReader::new(child.0.stdout.take().expect("piped"));
    let found = output
        .lines()
        .map_while(Result::ok)
        .any(|line| line.contains(word));
    assert!(found, "{test} says `{word}`");
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
