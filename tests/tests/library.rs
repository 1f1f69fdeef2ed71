//! The library that is patched goes away, or comes back: nothing is written to what is there then, and the list says so.

use anyhow::{Result, ensure};
use livepatch_tests::target::{Target, dying};
use livepatch_tests::tools::{
    Finished, livepatch, patchgen, run, target_directory, tests_directory,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the library's three builds add: the running one, the fixed one, and another one that was never patched.
const OLD: &str = "-DADD=1000";
const NEW: &str = "-DADD=2000";
const OTHER: &str = "-DADD=3000";

struct Case {
    directory: PathBuf,
    target: Target,
    /// Where the library was when it was patched.
    place: String,
}

impl Case {
    /// Compiles all, starts the host, and has its library patched.
    fn patched(name: &str) -> Result<Self> {
        let directory = std::path::absolute(target_directory().join("built").join(name))?;
        fs::create_dir_all(&directory)?;
        let gcc = |arguments: &[&str], output: &str| gcc(&directory, arguments, output);
        gcc(&["host.c"], "host")?;
        let library = ["-shared", "-fPIC", "-Wl,--build-id", "answer.c"];
        gcc(&[&library[..], &[OLD]].concat(), "answer.so")?;
        gcc(&[&library[..], &[OTHER]].concat(), "other.so")?;
        let object = [
            "-c",
            "-fPIC",
            "-ffunction-sections",
            "-fdata-sections",
            "answer.c",
        ];
        gcc(&[&object[..], &[OLD]].concat(), "old.o")?;
        gcc(&[&object[..], &[NEW]].concat(), "new.o")?;
        let path = |name| directory.join(name);
        patchgen([
            path("old.o"),
            path("new.o"),
            "-o".into(),
            path("fix.lpatch"),
        ])?
        .expect(0)?;
        let target = Target::start(&mut dying(path("host")))?;
        let mut case = Self {
            directory,
            target,
            place: String::new(),
        };
        case.place = case.open("answer.so")?;
        case.expect("1007")?;
        case.livepatch("apply")?;
        case.expect("2007")?;
        Ok(case)
    }

    /// Opens a library and tells where it is.
    fn open(&mut self, name: &str) -> Result<String> {
        let path = self.directory.join(name);
        self.target.ask(&format!("open {}", path.display()))
    }

    /// Opens a library, which comes to lie where the patched one was.
    fn open_again(&mut self, name: &str) -> Result<()> {
        let place = self.open(name)?;
        ensure!(
            place == self.place,
            "it was at {} and is at {place}",
            self.place
        );
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let closed = self.target.ask("close")?;
        ensure!(closed == "0", "`dlclose` returned {closed}");
        Ok(())
    }

    /// What the library answers to 1.
    fn expect(&mut self, wanted: &str) -> Result<()> {
        let answer = self.target.ask("call 1")?;
        ensure!(answer == wanted, "answered `{answer}`, wanted `{wanted}`");
        Ok(())
    }

    fn livepatch(&self, verb: &str) -> Result<Finished> {
        let bundle = self.directory.join("fix.lpatch").display().to_string();
        let pid = self.target.pid_text();
        let mut arguments = vec![verb, "--pid", &pid];
        if verb == "apply" {
            arguments.push(&bundle);
        }
        livepatch(arguments)?.expect(0)
    }

    fn check_listed(&self, state: &str) -> Result<()> {
        let list = livepatch(["list", "--json", "--pid", &self.target.pid_text()])?.expect(0)?;
        let shown = list.stdout.contains(&format!("\"state\":\"{state}\""));
        ensure!(shown, "`{state}` is not listed: {list}");
        Ok(())
    }

    /// Reverts until nothing of ours is mapped.
    fn check_removed(&self, reverts: usize) -> Result<()> {
        for _ in 0..reverts {
            self.livepatch("revert")?;
        }
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.target.pid()))?;
        ensure!(
            !maps.contains("/memfd:livepatch"),
            "something is left:\n{maps}"
        );
        Ok(())
    }
}

fn gcc(directory: &Path, arguments: &[&str], output: &str) -> Result<()> {
    let mut compiler = Command::new("gcc");
    compiler.current_dir(tests_directory().join("library"));
    compiler.args(["-O2", "-g"]).args(arguments);
    run(compiler.arg("-o").arg(directory.join(output)))?
        .expect(0)
        .map(drop)
}

#[test]
fn a_library_that_was_closed_is_gone() -> Result<()> {
    let mut case = Case::patched("library_closed")?;
    case.close()?;
    case.check_listed("gone")?;
    case.check_removed(1)
}

#[test]
fn a_library_that_came_back_elsewhere_is_patched_anew() -> Result<()> {
    let mut case = Case::patched("library_elsewhere")?;
    case.close()?;
    ensure!(
        case.target.ask("block")? == "blocked",
        "the place is not free"
    );
    case.open("answer.so")?;
    case.expect("1007")?;
    case.check_listed("gone")?;
    case.livepatch("apply")?;
    case.expect("2007")?;
    case.check_removed(2)?;
    case.expect("1007")
}

#[test]
fn the_same_library_at_the_same_place_is_not_patched_and_can_be() -> Result<()> {
    let mut case = Case::patched("library_back")?;
    case.close()?;
    case.open_again("answer.so")?;
    case.expect("1007")?;
    case.check_listed("inactive")?;
    case.livepatch("apply")?;
    case.expect("2007")?;
    case.check_removed(1)?;
    case.expect("1007")
}

#[test]
fn another_library_at_the_same_place_is_left_alone() -> Result<()> {
    let mut case = Case::patched("library_other")?;
    case.close()?;
    case.open_again("other.so")?;
    case.expect("3007")?;
    case.check_listed("gone")?;
    case.check_removed(1)?;
    case.expect("3007")
}
