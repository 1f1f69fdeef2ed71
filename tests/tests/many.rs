//! One command on many processes.

use anyhow::{Context, Result, ensure};
use livepatch_tests::case::start;
use livepatch_tests::program::Program;
use livepatch_tests::snapshot::{Extent, Snapshot};
use livepatch_tests::target::Target;
use livepatch_tests::tools::{Finished, livepatch};
use std::fs;
use std::path::Path;

/// A program of which several processes run.
struct Crowd {
    program: Program,
    targets: Vec<Target>,
}

impl Crowd {
    fn start(case: &str, test: &str, count: usize) -> Result<Self> {
        let program = Program::build(case, test)?;
        program.patch()?;
        let targets = (0..count).map(|_| start(&program));
        Ok(Self {
            targets: targets.collect::<Result<_>>()?,
            program,
        })
    }

    fn executable(&self) -> Result<String> {
        let path = fs::canonicalize(self.program.executable())?;
        Ok(path.to_str().context("a plain path")?.to_owned())
    }

    fn bundle(&self) -> String {
        self.program.path("fix.lpatch").display().to_string()
    }

    /// `--pid` for each.
    fn pids(&self) -> Vec<String> {
        let pids = self.targets.iter().map(Target::pid_text);
        pids.flat_map(|pid| ["--pid".to_owned(), pid]).collect()
    }

    fn apply(&self, options: &[&str]) -> Result<Finished> {
        livepatch([&["apply", &self.bundle()], options].concat())
    }

    fn answers(&mut self, question: &str, answer: &str) -> Result<()> {
        for target in &mut self.targets {
            let said = target.ask(question)?;
            ensure!(said == answer, "process {} said {said}", target.pid());
        }
        Ok(())
    }

    fn undisturbed(&mut self) -> Result<()> {
        self.targets
            .iter_mut()
            .try_for_each(Target::check_undisturbed)
    }
}

fn json(finished: &Finished) -> Result<serde_json::Value> {
    serde_json::from_str(&finished.stdout).with_context(|| format!("no document: {finished}"))
}

fn says(finished: &Finished, text: &str) -> Result<()> {
    ensure!(finished.stdout.contains(text), "no `{text}`: {finished}");
    Ok(())
}

#[test]
fn every_process_of_an_executable() -> Result<()> {
    let mut crowd = Crowd::start("cases/changed_body", "many_exe", 5)?;
    let exe = crowd.executable()?;
    let applied = crowd.apply(&["--exe", &exe])?.expect(0)?;
    says(&applied, "5 processes: 5 done")?;
    ensure!(
        applied.stdout.lines().count() == 6,
        "a line each: {applied}"
    );
    crowd.answers("40", "42")?;
    let again = crowd.apply(&["--exe", &exe, "--json"])?.expect(0)?;
    let document = json(&again)?;
    let results = document["results"].as_array().context("a list")?;
    let known = |one: &serde_json::Value| one["result"] == "already-applied";
    ensure!(results.len() == 5 && results.iter().all(known), "{again}");
    ensure!(
        document["summary"]["done"] == 5 && document["status"] == 0,
        "{again}"
    );
    let listed = livepatch(["list", "--exe", &exe])?.expect(0)?;
    ensure!(
        listed.stdout.matches("fix  active").count() == 5,
        "{listed}"
    );
    livepatch(["revert", "--exe", &exe])?.expect(0)?;
    crowd.answers("40", "41")?;
    // There is nothing left to revert, which is no failure.
    let reverted = livepatch(["revert", "--exe", &exe, "fix"])?.expect(0)?;
    says(&reverted, "no such patch")?;
    crowd.undisturbed()
}

#[test]
fn a_replaced_executable() -> Result<()> {
    let mut crowd = Crowd::start("cases/changed_body", "many_replaced", 2)?;
    let exe = crowd.executable()?;
    let copy = crowd.program.path("copy");
    fs::copy(&exe, &copy)?;
    fs::remove_file(&exe)?;
    crowd.apply(&["--exe", &exe])?.expect(0)?;
    crowd.answers("40", "42")?;
    // The package was upgraded: another file of that name.
    fs::rename(&copy, &exe)?;
    livepatch(["revert", "--exe", &exe])?.expect(0)?;
    crowd.answers("40", "41")?;
    crowd.undisturbed()
}

#[test]
fn every_process_that_maps_a_library() -> Result<()> {
    let mut crowd = Crowd::start("cases/shared", "many_lib", 3)?;
    let library = fs::canonicalize(crowd.program.module())?;
    let name = library.file_name().context("a file")?.to_str();
    let name = name.context("a plain name")?;
    let path = library.to_str().context("a plain path")?;
    // By path; others that map a library of this name are not touched.
    crowd.apply(&["--lib", path])?.expect(0)?;
    // Other tests' processes are listed, too, and may not let themselves be looked into at the moment.
    let listed = livepatch(["list", "--lib", name, "--json"])?;
    let document = json(&listed)?;
    let results = document["results"].as_array().context("a list")?;
    for target in &crowd.targets {
        let own = results.iter().any(|one| one["pid"] == target.pid());
        ensure!(own, "process {} is not listed: {listed}", target.pid());
    }
    livepatch(["revert", "--lib", path])?.expect(0)?;
    crowd.undisturbed()
}

#[test]
fn named_processes_and_a_missing_one() -> Result<()> {
    let mut crowd = Crowd::start("cases/changed_body", "many_pids", 2)?;
    let pids = crowd.pids();
    let mut options: Vec<&str> = pids.iter().map(String::as_str).collect();
    // Larger than the kernel's greatest pid_max.
    options.extend(["--pid", "4194305"]);
    let applied = crowd.apply(&options)?.expect(1)?;
    says(&applied, "3 processes: 2 done, 1 failed")?;
    let failed = applied.expect_error(1, "there is no process 4194305")?;
    ensure!(failed.stderr.lines().count() == 1, "{failed}");
    crowd.answers("40", "42")?;
    options.push("--json");
    let document = json(&crowd.apply(&options)?.expect(1)?)?;
    ensure!(document["summary"]["failed"] == 1 && document["status"] == 1);
    Ok(())
}

#[test]
fn nothing_that_is_meant() -> Result<()> {
    let crowd = Crowd::start("cases/changed_body", "many_none", 0)?;
    let exe = crowd.executable()?;
    crowd
        .apply(&["--exe", &exe])?
        .expect_error(1, "no process")?;
    crowd
        .apply(&["--lib", "libnobodyhasthis.so"])?
        .expect_error(1, "no process")?;
    crowd.apply(&["--jobs", "3"])?.expect_error(2, "--exe")?;
    crowd
        .apply(&["--exe", &exe, "--jobs", "0"])?
        .expect_error(2, "--jobs")
        .map(drop)
}

/// One of them is another program, so that the patch cannot fit.
#[test]
fn all_or_nothing_where_one_does_not_fit() -> Result<()> {
    let mut crowd = Crowd::start("cases/changed_body", "many_unfit", 2)?;
    let other = start(&Program::build("cases/recursion", "many_unfit_other")?)?;
    let before = Snapshot::take(crowd.targets[0].pid())?;
    let (pids, other) = (crowd.pids(), other.pid_text());
    let mut options: Vec<&str> = pids.iter().map(String::as_str).collect();
    options.extend(["--pid", &other, "--all-or-nothing"]);
    let applied = crowd.apply(&options)?.expect_error(4, "does not fit")?;
    says(&applied, "nothing was applied")?;
    says(&applied, "3 processes: 2 untouched, 1 refused")?;
    let after = Snapshot::take(crowd.targets[0].pid())?;
    before.check_same(&after, Extent::Everything)?;
    crowd.answers("40", "41")?;
    crowd.undisturbed()
}

/// One of them stays inside the function, which only the switch finds out.
#[test]
fn all_or_nothing_where_one_stays_busy() -> Result<()> {
    let mut crowd = Crowd::start("scenarios/busy", "many_busy", 4)?;
    let exe = crowd.executable()?;
    crowd.targets[2].ask("enter")?;
    let options = ["--exe", &exe, "--all-or-nothing", "--timeout", "300ms"];
    let applied = crowd.apply(&options)?.expect(3)?;
    says(&applied, "was taken back where it had been applied")?;
    says(&applied, "4 processes: 3 taken back, 1 busy")?;
    let helps = applied.stderr.matches("--consistency function").count();
    ensure!(helps == 1, "{applied}");
    crowd.targets[2].ask("leave")?;
    crowd.answers("", "1")?;
    let listed = livepatch(["list", "--exe", &exe])?.expect(0)?;
    ensure!(!listed.stdout.contains("active"), "{listed}");
    // Without it, those that can be patched are.
    crowd.targets[2].ask("enter")?;
    let applied = crowd
        .apply(&["--exe", &exe, "--timeout", "300ms"])?
        .expect(3)?;
    says(&applied, "4 processes: 3 done, 1 busy")?;
    crowd.targets[2].ask("leave")?;
    crowd
        .apply(&["--exe", &exe, "--all-or-nothing"])?
        .expect(0)?;
    crowd.answers("", "2")?;
    crowd.undisturbed()
}

/// More than processors; no progress bar where nobody watches.
#[test]
fn forty_processes() -> Result<()> {
    let mut crowd = Crowd::start("cases/changed_body", "many_forty", 40)?;
    let exe = crowd.executable()?;
    let path = Path::new(&exe).to_owned();
    let applied = crowd.apply(&["--exe", &exe, "--jobs", "8"])?.expect(0)?;
    says(&applied, "40 processes: 40 done")?;
    ensure!(applied.stderr.is_empty(), "{applied}");
    crowd.answers("40", "42")?;
    livepatch(["revert".as_ref(), "--exe".as_ref(), path.as_os_str()])?.expect(0)?;
    crowd.answers("40", "41")?;
    crowd.undisturbed()
}
