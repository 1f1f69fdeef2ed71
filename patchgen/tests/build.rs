//! `patchgen build` with small projects of several build systems.

mod support;

use livepatch_bundle::Bundle;
use nix::sys::signal::Signal;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use support::{Run, read_bundle, run};
use tempfile::TempDir;

/// A project in a directory of its own.
struct Project {
    directory: TempDir,
}

impl Project {
    fn new(system: &str) -> Self {
        let directory = tempfile::tempdir().expect("writable");
        let projects = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/projects");
        let tree = directory.path().join("tree");
        fs::create_dir(&tree).expect("writable");
        for from in ["common", system].map(|name| projects.join(name)) {
            for entry in fs::read_dir(from).expect("readable") {
                let path = entry.expect("readable").path();
                fs::copy(&path, tree.join(path.file_name().expect("named"))).expect("writable");
            }
        }
        fs::rename(tree.join("fix.diff"), directory.path().join("fix.diff")).expect("writable");
        Self { directory }
    }

    fn tree(&self) -> PathBuf {
        self.path("tree")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs `patchgen build` with these options and this build script.
    fn build(&self, options: &[&str], script: &str) -> Run {
        self.build_to("fix.lpatch", options, script)
    }

    fn build_to(&self, output: &str, options: &[&str], script: &str) -> Run {
        let work = self.path("work");
        fs::create_dir_all(&work).expect("writable");
        run(Command::new(env!("CARGO_BIN_EXE_patchgen"))
            .current_dir(self.directory.path())
            .args([
                "build", "--source", "tree", "--patch", "fix.diff", "-o", output,
            ])
            .arg("--work")
            .arg(work)
            .args(options)
            .args(["--", "sh", "-ec", script]))
    }

    /// Builds a copy of the tree at its own path, as the user did it; returns that copy of what was made.
    fn installed(&self, script: &str, made: &str) -> PathBuf {
        let kept = self.path("kept");
        let copied = run(Command::new("cp").arg("-a").arg(self.tree()).arg(&kept));
        assert_eq!(copied.status, 0, "{}", copied.stderr);
        let built = run(Command::new("sh")
            .args(["-ec", script])
            .current_dir(self.tree()));
        assert_eq!(built.status, 0, "{}{}", built.stdout, built.stderr);
        let installed = self.path("installed");
        fs::create_dir_all(&installed).expect("writable");
        let installed = installed.join(Path::new(made).file_name().expect("named"));
        fs::copy(self.tree().join(made), &installed).expect("made");
        fs::remove_dir_all(self.tree()).expect("writable");
        fs::rename(kept, self.tree()).expect("writable");
        installed
    }

    fn bundle(&self) -> Bundle {
        read_bundle(&self.path("fix.lpatch"))
    }

    /// Every file below a directory with its mode and the digest of its contents.
    fn state(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        let mut left = vec![self.tree(), PathBuf::from("/usr/bin/gcc")];
        while let Some(path) = left.pop() {
            let metadata = fs::metadata(&path).expect("there");
            if metadata.is_dir() {
                let entries = fs::read_dir(&path).expect("readable");
                left.extend(entries.map(|entry| entry.expect("readable").path()));
            } else {
                let digest = hex::encode(Sha256::digest(fs::read(&path).expect("readable")));
                let times = metadata.modified().expect("told");
                found.insert(
                    path,
                    format!("{digest} {:?} {times:?}", metadata.permissions()),
                );
            }
        }
        found
    }
}

/// Builds with each system; the target is what the same commands made before, stripped.
fn check(system: &str, script: &str, made: &str) {
    let project = Project::new(system);
    let target = project.installed(script, made);
    let stripped = run(Command::new("strip").arg(&target));
    assert_eq!(stripped.status, 0, "{}", stripped.stderr);
    let before = project.state();
    let target = target.to_str().expect("plain");
    let found = project.build(&["--target", target], script);
    assert_eq!(found.status, 0, "{}{}", found.stdout, found.stderr);
    assert_eq!(before, project.state(), "the tree changed");
    let left = fs::read_dir(project.path("work"))
        .expect("readable")
        .count();
    assert_eq!(left, 0, "the work is left");
    let bundle = project.bundle();
    let names: Vec<&str> = bundle
        .manifest
        .functions
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, ["parse"]);
    assert_eq!(bundle.manifest.modules.len(), 1);
    let unchecked = |warning: &String| warning.contains("not checked");
    assert!(!bundle.manifest.warnings.iter().any(unchecked));
}

#[test]
fn make_with_an_absolute_compiler_and_an_archive() {
    check("make", "make -j2", "program");
}

#[test]
fn make_with_ccache() {
    let script =
        "export CCACHE_DIR=\"$PWD/cache\"; sed -i 's,/usr/bin/gcc,ccache gcc,' Makefile; make";
    check("make", script, "program");
}

#[test]
fn cmake_with_a_shared_library() {
    check(
        "cmake",
        "cmake -B out . && cmake --build out",
        "out/libparse.so",
    );
}

#[test]
fn meson_with_a_thin_archive() {
    check("meson", "meson setup out && ninja -C out", "out/program");
}

#[test]
fn autotools_with_libtool() {
    let script = "autoreconf -fi && ./configure && make";
    check("autotools", script, ".libs/libparse.so.0.0.0");
}

#[test]
fn without_a_target_the_only_program_that_changes_is_taken() {
    let project = Project::new("make");
    let found = project.build(&[], "make");
    assert_eq!(found.status, 0, "{}{}", found.stdout, found.stderr);
    assert!(
        found.stderr.contains("program`: 1 of 3 objects changed"),
        "{}",
        found.stderr
    );
}

#[test]
fn a_program_that_did_not_take_the_member_in_does_not_count() {
    let project = Project::new("make");
    let script = "make; echo 'int twice(int); int main(void) { return twice(1); }' > other.c; \
                  gcc other.c -L. -lparse -o another";
    let found = project.build(&[], script);
    assert_eq!(found.status, 0, "{}{}", found.stdout, found.stderr);
    let said = &found.stderr;
    assert!(said.contains("program`: 1 of 3 objects changed"), "{said}");
}

#[test]
fn what_the_linker_would_optimise_is_compiled_by_itself() {
    let project = Project::new("make");
    let script = "gcc -O2 -flto -c parse.c; gcc -O2 -flto -c twice.c; \
                  gcc -O2 -flto -c main.c; gcc -O2 -flto main.o parse.o twice.o -o program";
    let found = project.build(&[], script);
    assert_eq!(found.status, 0, "{}{}", found.stdout, found.stderr);
    let said = &found.stderr;
    assert!(said.contains("the linker optimises this program"), "{said}");
    assert_eq!(project.bundle().manifest.functions[0].name, "parse");
}

/// The user and group `nobody`.
const NOBODY: u32 = 65534;

#[test]
fn an_ordinary_user_builds() {
    if !nix::unistd::geteuid().is_root() {
        // Then all tests here are this one.
        return;
    }
    let project = Project::new("make");
    let own = project.path("patchgen");
    fs::copy(env!("CARGO_BIN_EXE_patchgen"), &own).expect("writable");
    let owner = format!("{NOBODY}:{NOBODY}");
    let given = run(Command::new("chown")
        .args(["-R", &owner])
        .arg(project.directory.path()));
    assert_eq!(given.status, 0, "{}", given.stderr);
    let found = run(Command::new(own)
        .args(["build", "--source", "tree", "--patch", "fix.diff"])
        .args(["--work", ".", "-o", "fix.lpatch", "--", "make"])
        .current_dir(project.directory.path())
        .uid(NOBODY)
        .gid(NOBODY));
    assert_eq!(found.status, 0, "{}{}", found.stdout, found.stderr);
    assert_eq!(project.bundle().manifest.functions.len(), 1);
}

#[test]
fn a_source_of_the_program_itself_may_change() {
    let project = Project::new("make");
    let text = "--- main.c\n+++ main.c\n@@ -3,3 +3,3 @@\n \n-int main(void) {\n+int main(int count, char **words) {\n     struct state state = {0, 0};\n";
    fs::write(project.path("fix.diff"), text).expect("writable");
    let found = project.build(&[], "make");
    assert_eq!(found.status, 3, "{}{}", found.stdout, found.stderr);
    fs::write(project.path("fix.diff"), text.replace("{0, 0}", "{0, 0}; ")).expect("writable");
    assert_eq!(project.build(&[], "make").status, 5);
}

#[test]
fn what_goes_wrong_is_told() {
    let project = Project::new("make");
    let fails = |options: &[&str], script: &str, status: i32, text: &str| {
        fs::write(project.path("fix.lpatch"), "stale").expect("writable");
        let found = project.build(options, script);
        assert_eq!(
            found.status, status,
            "{text}: {}{}",
            found.stdout, found.stderr
        );
        assert!(found.stderr.contains(text), "{text}: {}", found.stderr);
        assert!(
            !project.path("fix.lpatch").exists(),
            "{text}: the stale bundle is left"
        );
    };
    fails(
        &[],
        "make; exit 3",
        6,
        "the build of the old source failed with exit status: 3",
    );
    fails(
        &[],
        "grep -q 'return -1' parse.c && exit 1; make",
        6,
        "the build of the new source failed",
    );
    fails(
        &[],
        "true",
        7,
        "the build of the old source linked nothing: is the tree built already?",
    );
    fails(
        &["--target", "/bin/true"],
        "make",
        7,
        "no program or library that the build links is `/bin/true`; it links: `",
    );
    fails(
        &[],
        "sed -i s/twice.c/parse.c/g Makefile; make",
        7,
        "choose one of these with `--link`",
    );
    let program = project.path("program");
    let other = project.path("other.c");
    fs::write(&other, "int main(void) { return 0; }").expect("writable");
    let compiled = run(Command::new("gcc").arg(&other).arg("-o").arg(&program));
    assert_eq!(compiled.status, 0, "{}", compiled.stderr);
    let program = program.to_str().expect("plain");
    fails(&["--target", program], "make", 4, "`parse` in ");
    let fix = fs::read_to_string(project.path("fix.diff")).expect("there");
    fs::write(
        project.path("fix.diff"),
        fix.replace("limit(strtol", "bound(strtol"),
    )
    .expect("writable");
    fails(&[], "make", 5, "does not apply to the source");
    let comment = "--- a/twice.c\n+++ b/twice.c\n@@ -1,3 +1,4 @@\n #include \"parse.h\"\n \n+/* twofold */\n int twice(int number) { return 2 * number; }\n";
    fs::write(project.path("fix.diff"), comment).expect("writable");
    fails(&[], "make", 3, "no functional change");
}

/// However it ends, its copies go, and the build with it.
#[test]
fn what_interrupts_a_build_leaves_nothing() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        let project = Project::new("make");
        let (work, started) = (project.path("work"), project.path("started"));
        fs::create_dir_all(&work).expect("writable");
        let script = format!("echo $$ > {}; sleep 600", started.display());
        let mut building = Command::new(env!("CARGO_BIN_EXE_patchgen"))
            .current_dir(project.directory.path())
            .args(["build", "--source", "tree", "--patch", "fix.diff"])
            .args(["--work", "work", "-o", "fix.lpatch"])
            .args(["--", "sh", "-ec", &script])
            .spawn()
            .expect("it starts");
        let build = until(|| {
            fs::read_to_string(&started)
                .ok()?
                .trim()
                .parse::<u32>()
                .ok()
        });
        let pid = nix::unistd::Pid::from_raw(building.id().cast_signed());
        nix::sys::signal::kill(pid, signal).expect("it runs");
        let status = building.wait().expect("ours");
        assert_eq!(status.signal(), Some(signal as i32), "{status}");
        until(|| (fs::read_dir(&work).expect("readable").count() == 0).then_some(()));
        until(|| (!Path::new(&format!("/proc/{build}/exe")).exists()).then_some(()));
    }
}

/// Waits until there is an answer, a minute at most.
fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        match ask() {
            Some(answer) => return answer,
            None => assert!(Instant::now() < end, "waited in vain"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_output_that_cannot_be_written_is_told_before_the_build() {
    let project = Project::new("make");
    for output in ["none/fix.lpatch", "tree"] {
        let found = project.build_to(output, &[], "make");
        assert_eq!(found.status, 1, "{}{}", found.stdout, found.stderr);
        let told = format!("cannot write `{output}`");
        assert!(found.stderr.contains(&told), "{}", found.stderr);
        assert!(!found.stderr.contains("copying"), "{}", found.stderr);
    }
}
