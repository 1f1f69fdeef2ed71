//! `--target`: what the linked program tells.

mod support;

use livepatch_bundle::{Located, Manifest};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{compile_text, patchgen, read_bundle, run};

const MAIN: &str = "
    #include <stdio.h>
    int request(int), reply(int);
    __thread int depth = 3;
    int main(int argc, char **argv) { printf(\"%d\\n\", request(argc) + reply(argc)); return depth - 3; }
";
const ONE: &str = "
    extern __thread int depth;
    static int counter = 5;
    static int __attribute__((noinline)) check(int x) { depth++; counter++; return x > LIMIT; }
    int request(int x) { return check(x) + counter; }
";
const OTHER: &str = "
    static int counter = 9;
    static int __attribute__((noinline)) check(int x) { counter += 2; return x * 3; }
    int reply(int x) { return check(x) - counter; }
";

struct Program {
    directory: tempfile::TempDir,
    old: PathBuf,
    new: PathBuf,
    target: PathBuf,
}

/// A program whose objects were compiled without function sections, as distributions do.
fn program(flags: &[&str]) -> Program {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path();
    let (old, new) = (path.join("old"), path.join("new"));
    compile_text(&old, "one.o", ONE, &["-DLIMIT=4"]);
    compile_text(&new, "one.o", ONE, &["-DLIMIT=5"]);
    let plain = ["-fno-function-sections", "-fno-data-sections", "-DLIMIT=4"];
    let built = path.join("built");
    let objects = [
        compile_text(&built, "other.o", OTHER, &plain),
        compile_text(&built, "one.o", ONE, &plain),
        compile_text(&built, "main.o", MAIN, &plain),
    ];
    let target = path.join("program");
    let mut gcc = Command::new("gcc");
    let result = run(gcc
        .args(flags)
        .arg("-Wl,--build-id")
        .args(&objects)
        .arg("-o")
        .arg(&target));
    assert_eq!(result.status, 0, "{}", result.stderr);
    Program {
        directory,
        old,
        new,
        target,
    }
}

fn manifest(program: &Program) -> Manifest {
    let output = program.directory.path().join("fix.lpatch");
    let target = program.target.to_string_lossy().into_owned();
    let result = patchgen(&program.old, &program.new, &output, &["--target", &target]);
    assert_eq!(result.status, 0, "{}", result.stderr);
    read_bundle(&output).manifest
}

/// `nm`'s address of the symbol that follows `after` in the symbol table.
fn address(target: &Path, file: &str, name: &str) -> u64 {
    let table = run(Command::new("readelf").arg("-sW").arg(target)).stdout;
    let mut in_file = file.is_empty();
    for line in table.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [_, value, _, kind, _, _, _, symbol] = fields[..] {
            if kind == "FILE" && !file.is_empty() {
                in_file = symbol == file;
            }
            if in_file && symbol == name {
                return u64::from_str_radix(value, 16).expect("hex");
            }
        }
    }
    panic!("no `{name}` of `{file}` in {table}");
}

fn located(manifest: &Manifest, symbol: &str) -> Vec<u64> {
    let reference = manifest
        .references
        .iter()
        .find(|reference| reference.symbol == symbol);
    let reference = reference.unwrap_or_else(|| panic!("no `{symbol}`: {:?}", manifest.references));
    let places: Vec<&Located> = reference.located.iter().collect();
    places.iter().map(|place| place.address.0).collect()
}

fn finds_everything(flags: &[&str]) {
    let program = program(flags);
    let manifest = manifest(&program);
    let build_id = manifest.modules[0]
        .build_id
        .as_ref()
        .expect("built with one")
        .to_string();
    let notes = run(Command::new("readelf").arg("-n").arg(&program.target)).stdout;
    assert!(notes.contains(&build_id), "{build_id}: {notes}");
    assert_eq!(manifest.modules[0].file_name, "program");
    let target = &program.target;
    assert_eq!(
        located(&manifest, "check@running"),
        [address(target, "one.c", "check")]
    );
    assert_eq!(
        located(&manifest, "counter"),
        [address(target, "one.c", "counter")]
    );
    assert_eq!(located(&manifest, "depth"), [address(target, "", "depth")]);
}

#[test]
fn locals_of_one_name_are_told_apart() {
    finds_everything(&[]);
    finds_everything(&["-no-pie"]);
    finds_everything(&["-static"]);
}

#[test]
fn a_function_that_is_chosen_at_start_is_not_located() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path();
    let source = "
        #include <string.h>
        int f(const char *s) { return strlen(s) NEWLY; }
        int main(int argc, char **argv) { return f(argv[0]) + strnlen(argv[0], 9); }
    ";
    let old = compile_text(
        &path.join("old"),
        "one.o",
        source,
        &["-DNEWLY=", "-fno-builtin"],
    );
    let flags = ["-DNEWLY=+ strnlen(s, 3)", "-fno-builtin"];
    let new = compile_text(&path.join("new"), "one.o", source, &flags);
    let target = path.join("program");
    let mut gcc = Command::new("gcc");
    assert_eq!(
        run(gcc.arg("-static").arg("-o").arg(&target).arg(&old)).status,
        0
    );
    let output = path.join("fix.lpatch");
    let target = target.to_string_lossy().into_owned();
    let result = patchgen(&old, &new, &output, &["--target", &target]);
    assert_eq!(result.status, 0, "{}", result.stderr);
    let manifest = read_bundle(&output).manifest;
    // glibc's symbol names the function that chooses.
    assert!(located(&manifest, "strnlen").is_empty());
    assert_eq!(located(&manifest, "f@running").len(), 1);
}

#[test]
fn a_function_that_the_linker_folded_with_another_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path();
    let source = "int f(int x) { return x * 3 + BY; }";
    let old = compile_text(&path.join("old"), "one.o", source, &["-DBY=1"]);
    let new = compile_text(&path.join("new"), "one.o", source, &["-DBY=2"]);
    let main = "int f(int); int same(int x) { return x * 3 + 1; } int main(int c, char **v) { return f(c) + same(c); }";
    let main = compile_text(path, "main.o", main, &[]);
    let target = path.join("program");
    let mut gcc = Command::new("gcc");
    let gcc = gcc.args(["-fuse-ld=lld", "-Wl,--icf=all", "-o"]);
    let linked = run(gcc.arg(&target).args([&old, &main]));
    assert_eq!(linked.status, 0, "{}", linked.stderr);
    let target = target.to_string_lossy().into_owned();
    let output = path.join("fix.lpatch");
    let result = patchgen(&old, &new, &output, &["--target", &target]);
    assert_eq!(result.status, 4, "{}", result.stderr);
    let text = "`same` of the target has the same code: it was folded by the linker";
    assert!(result.stderr.contains(text), "{}", result.stderr);
}

#[test]
fn an_object_that_the_target_was_not_built_from_is_refused() {
    let program = program(&[]);
    let output = program.directory.path().join("fix.lpatch");
    fs::write(&output, "stale").expect("writable");
    compile_text(&program.old, "one.o", ONE, &["-DLIMIT=3"]);
    let target = program.target.to_string_lossy().into_owned();
    let result = patchgen(&program.old, &program.new, &output, &["--target", &target]);
    assert_eq!(result.status, 4, "{}", result.stderr);
    let text =
        "`check` in `one.o`: the old object is not what the target was built from: instruction at";
    assert!(result.stderr.contains(text), "{}", result.stderr);
    assert!(!output.exists());
}

#[test]
fn a_stripped_target_tells_its_identity_only() {
    let program = program(&[]);
    let strip = run(Command::new("strip").arg(&program.target));
    assert_eq!(strip.status, 0);
    let manifest = manifest(&program);
    assert!(manifest.modules[0].build_id.is_some());
    assert!(located(&manifest, "check@running").is_empty());
}

#[test]
fn a_stripped_target_that_has_nothing_of_the_objects_is_refused() {
    let program = program(&[]);
    let output = program.directory.path().join("fix.lpatch");
    let other = program.directory.path().join("other");
    let object = compile_text(
        program.directory.path(),
        "alone.o",
        "int main(int argc, char **argv) { return argc * 3; }",
        &[],
    );
    let mut gcc = Command::new("gcc");
    let linked = run(gcc.arg("-s").arg(&object).arg("-o").arg(&other));
    assert_eq!(linked.status, 0, "{}", linked.stderr);
    let target = other.to_string_lossy().into_owned();
    let result = patchgen(&program.old, &program.new, &output, &["--target", &target]);
    assert_eq!(result.status, 4, "{}", result.stderr);
    let told = "nothing of the old objects is in the target";
    assert!(result.stderr.contains(told), "{}", result.stderr);
}

#[test]
fn a_target_without_the_function_is_refused() {
    let program = program(&[]);
    let output = program.directory.path().join("fix.lpatch");
    let result = patchgen(
        &program.old,
        &program.new,
        &output,
        &["--target", "/bin/true"],
    );
    // Whether it is stripped or not.
    assert_eq!(result.status, 4, "{}", result.stderr);
    let object = program.old.join("one.o").to_string_lossy().into_owned();
    let result = patchgen(&program.old, &program.new, &output, &["--target", &object]);
    assert_eq!(result.status, 1);
    assert!(
        result
            .stderr
            .contains("no executable and no shared library"),
        "{}",
        result.stderr
    );
}

#[test]
fn a_variable_of_another_object_is_not_doubled() {
    let program = program(&[]);
    let output = program.directory.path().join("fix.lpatch");
    let moved = format!("{ONE}\nint fresh; int *use(void) {{ return &fresh; }}");
    let moved = moved.replace(
        "return x > LIMIT;",
        "extern int shared; return x > LIMIT + shared++;",
    );
    compile_text(
        &program.new,
        "one.o",
        &format!("int shared = 1;\n{moved}"),
        &["-DLIMIT=5"],
    );
    compile_text(
        &program.directory.path().join("built"),
        "more.o",
        "int shared = 1;",
        &[],
    );
    let built = program.directory.path().join("built");
    let objects = ["other.o", "one.o", "main.o", "more.o"].map(|name| built.join(name));
    let linked = run(Command::new("gcc")
        .args(&objects)
        .arg("-o")
        .arg(&program.target));
    assert_eq!(linked.status, 0, "{}", linked.stderr);
    let target = program.target.to_string_lossy().into_owned();
    let result = patchgen(&program.old, &program.new, &output, &["--target", &target]);
    assert_eq!(result.status, 4, "{}", result.stderr);
    assert!(
        result.stderr.contains("has this variable already"),
        "{}",
        result.stderr
    );
}

#[test]
fn a_shared_library_is_named_by_its_soname() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path();
    let old = compile_text(&path.join("old"), "one.o", OTHER, &["-fPIC"]);
    let changed = OTHER.replace("x * 3", "x * 4");
    let new = compile_text(&path.join("new"), "one.o", &changed, &["-fPIC"]);
    let library = path.join("libone.so.1.2");
    let mut gcc = Command::new("gcc");
    let gcc = gcc
        .args(["-shared", "-Wl,-soname,libone.so.1", "-o"])
        .arg(&library)
        .arg(&old);
    assert_eq!(run(gcc).status, 0);
    let link = path.join("libone.so");
    std::os::unix::fs::symlink(&library, &link).expect("writable");
    let output = path.join("fix.lpatch");
    let target = link.to_string_lossy().into_owned();
    let result = patchgen(&old, &new, &output, &["--target", &target]);
    assert_eq!(result.status, 0, "{}", result.stderr);
    let module = &read_bundle(&output).manifest.modules[0];
    assert_eq!(module.soname.as_deref(), Some("libone.so.1"));
    assert_eq!(module.file_name, "libone.so.1.2");
}
