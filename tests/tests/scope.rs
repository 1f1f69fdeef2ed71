//! Whose definition new code means depends on how libraries were opened, and on what the linker was told: where that cannot be
//! known, the patch is refused.

use anyhow::{Result, ensure};
use livepatch_tests::target::{Target, dying};
use livepatch_tests::tools::{livepatch, patchgen, run, target_directory, tests_directory};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

struct Case(PathBuf);

impl Case {
    /// Makes a patch whose new code is the first to use `used`.
    fn new(name: &str, used: &str) -> Result<Self> {
        let directory = target_directory().join("built").join(name);
        let case = Self(std::path::absolute(directory)?);
        fs::create_dir_all(&case.0)?;
        let object = ["-c", "-fPIC", "-fno-builtin", "answer.c"];
        case.gcc(&object, "old.o")?;
        let used = format!("-DUSED={used}");
        case.gcc(&[&object[..], &[&used]].concat(), "new.o")?;
        let [old, new, fix] = ["old.o", "new.o", "fix.lpatch"].map(|name| case.path(name));
        patchgen([&old, &new, "-o", &fix])?.expect(0)?;
        case.gcc(&["-shared", "-fPIC", "other.c"], "libother.so")?;
        Ok(case)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn gcc(&self, arguments: &[&str], output: &str) -> Result<()> {
        let mut compiler = Command::new("gcc");
        compiler.current_dir(tests_directory().join("scenarios/scope"));
        compiler.args(["-O2", "-g"]).args(arguments);
        compiler.arg("-o").arg(self.path(output));
        run(&mut compiler)?.expect(0).map(drop)
    }

    /// Links the library, with another one if that is given, and an executable that exports its functions.
    fn opened(&self, more: &[&str]) -> Result<()> {
        let old = self.path("old.o");
        self.gcc(
            &[&["-shared", "-Wl,--no-as-needed", &old], more].concat(),
            "answer.so",
        )?;
        self.gcc(&["-rdynamic", "main.c"], "host")
    }

    fn start(&self, arguments: &[&str]) -> Result<Target> {
        let mut host = dying(self.path("host"));
        let mut target = Target::start(host.args(arguments))?;
        ensure!(target.ask("40")? == "47", "before the patch");
        Ok(target)
    }

    fn refused(&self, arguments: &[&str], text: &str) -> Result<()> {
        let mut target = self.start(arguments)?;
        let apply = [
            "apply",
            "--pid",
            &target.pid_text(),
            &self.path("fix.lpatch"),
        ];
        livepatch(apply)?.expect_error(4, text)?;
        ensure!(target.ask("40")? == "47", "after the refusal");
        Ok(())
    }

    fn patched(&self, arguments: &[&str], wanted: &str) -> Result<()> {
        let mut target = self.start(arguments)?;
        let apply = [
            "apply",
            "--pid",
            &target.pid_text(),
            &self.path("fix.lpatch"),
        ];
        livepatch(apply)?.expect(0)?;
        let answer = target.ask("40")?;
        ensure!(answer == wanted, "answered `{answer}`, wanted `{wanted}`");
        Ok(())
    }

    /// The linker's arguments for what has a library beside the program.
    fn with_other(&self) -> [String; 2] {
        let directory = self.0.display();
        [self.path("libother.so"), format!("-Wl,-rpath,{directory}")]
    }
}

#[test]
fn a_library_that_was_opened_for_others_is_not_bound_to() -> Result<()> {
    let case = Case::new("scope_local", "extra")?;
    case.opened(&[])?;
    let (other, answer) = (case.path("libother.so"), case.path("answer.so"));
    case.refused(&[&other, &answer], "libother.so` has `extra`")
}

#[test]
fn what_was_opened_with_a_library_is_bound_to() -> Result<()> {
    let case = Case::new("scope_group", "extra")?;
    let [other, path] = case.with_other();
    case.opened(&[&other, &path])?;
    case.patched(&[&case.path("answer.so")], "42")
}

#[test]
fn a_library_that_may_prefer_its_own_is_refused() -> Result<()> {
    let case = Case::new("scope_deep", "step")?;
    let [other, path] = case.with_other();
    case.opened(&[&other, &path])?;
    let text = "libother.so` has `step`";
    case.refused(&[&case.path("answer.so"), "deep"], text)
}

#[test]
fn a_wrapper_in_a_library_is_seen() -> Result<()> {
    let case = Case::new("scope_wrapped", "labs")?;
    let [other, path] = case.with_other();
    let old = case.path("old.o");
    let wrap = ["-rdynamic", "-Wl,--wrap=labs", "-Wl,--no-as-needed"];
    let files = ["main.c", &old, &other, &path];
    case.gcc(&[&wrap[..], &files].concat(), "host")?;
    case.refused(&[], "the program has `__wrap_labs`, too")
}
