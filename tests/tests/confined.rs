//! Targets that confine themselves, or that belong to somebody else. As root on the host all of them are patched; without the
//! privilege they are refused, with the confinement named, and untouched.

use anyhow::{Context, Result, ensure};
use livepatch_tests::killer::build::{Built, Patch};
use livepatch_tests::killer::subject::Subject;
use livepatch_tests::snapshot::{Extent, Snapshot};
use livepatch_tests::tools::{Finished, run, tool};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Names of `tests/kill/confine.h`, and with how many threads: strict mode is for one, a user namespace is entered by one.
const CONFINEMENTS: [(&str, usize); 12] = [
    ("filter", 1),
    ("filter", 16),
    ("refusing", 16),
    ("systemd-mdwe", 16),
    ("strict", 1),
    ("mdwe", 16),
    ("no-new-privs", 16),
    ("landlock", 1),
    ("nobody", 16),
    ("nobody-filter", 16),
    ("nobody-not-dumpable", 16),
    ("user-namespace", 1),
];
/// How often each is patched and reverted: the worker sleeps and runs in turn.
const ROUNDS: usize = 5;

#[test]
fn root_patches_every_confined_process() -> Result<()> {
    let built = Built::make("confined")?;
    for (how, threads) in CONFINEMENTS {
        let cycle = || -> Result<()> {
            let mut subject = Subject::start_confined(&built, Patch::Three, threads, how)?;
            (0..ROUNDS).try_for_each(|_| subject.cycle())
        };
        cycle().with_context(|| format!("`{how}` with {threads} threads"))?;
    }
    built.remove()
}

/// Runs `livepatch VERB` as another user than root, without any capability.
fn as_nobody(directory: &Path, verb: &str, pid: u32) -> Result<Finished> {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(directory.join("livepatch"))
        .args([verb, "--pid", &pid.to_string()])
        .arg(directory.join("three.lpatch"));
    run(&mut command)
}

#[test]
fn others_are_told_what_stands_in_the_way() -> Result<()> {
    let built = Built::make("confined-others")?;
    // The build directory may not be open to everybody.
    let open = tempfile::tempdir()?;
    fs::set_permissions(open.path(), fs::Permissions::from_mode(0o755))?;
    fs::copy(tool("livepatch")?, open.path().join("livepatch"))?;
    for name in ["three.lpatch", "target"] {
        fs::copy(built.path(name), open.path().join(name))?;
    }
    let built_open = Built {
        directory: open.path().to_path_buf(),
    };
    for (how, status, reason) in [
        (
            "nobody-filter",
            4,
            "confined by seccomp, which takes CAP_SYS_ADMIN",
        ),
        ("nobody", 1, "not dumpable"),
        ("nobody-not-dumpable", 1, "not dumpable"),
        ("filter", 1, "runs as user 0 and livepatch as user 65534"),
    ] {
        let subject = Subject::start_plain(&built_open, Patch::Three, 8, how)?;
        let before = Snapshot::take(subject.pid())?;
        for verb in ["check", "apply"] {
            let refused = as_nobody(open.path(), verb, subject.pid())?;
            refused.expect_error(status, reason).context(how)?;
        }
        before.check_same(&Snapshot::take(subject.pid())?, Extent::Mapped)?;
    }
    let gone = fs::read_dir(open.path())?.count();
    ensure!(gone == 3, "something else was written");
    built.remove()
}
