//! Directories, archives, reproducibility, and input that is no good.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{Run, compile_text, patchgen, read_bundle, run};
use tempfile::TempDir;

const REQUESTS: &str = "
    static int counter;
    static int __attribute__((noinline)) check(int x) { counter++; return x > LIMIT; }
    int request(int x) { return check(x) + counter; }
";
const REPLIES: &str = "
    static int counter;
    static int __attribute__((noinline)) check(int x) { counter += 2; return x < LIMIT; }
    int reply(int x) { return check(x) - counter; }
";

fn sandbox() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Two objects in `VERSION/`, the second in a directory below.
fn tree(directory: &Path, version: &str, limit: &str) -> PathBuf {
    let root = directory.join(version);
    let flag = format!("-DLIMIT={limit}");
    compile_text(&root, "requests.o", REQUESTS, &[&flag]);
    compile_text(&root, "sub/replies.o", REPLIES, &[&flag]);
    root
}

fn expect(run: &Run, status: i32, text: &str) {
    assert_eq!(run.status, status, "{}{}", run.stdout, run.stderr);
    let all = format!("{}{}", run.stdout, run.stderr);
    assert!(all.contains(text), "no `{text}` in: {all}");
}

#[test]
fn directories_pair_by_relative_path_and_local_names_stay_apart() {
    let directory = sandbox();
    let (old, new) = (
        tree(directory.path(), "old", "5"),
        tree(directory.path(), "new", "6"),
    );
    let output = directory.path().join("fix.lpatch");
    expect(&patchgen(&old, &new, &output, &[]), 0, "2 function(s)");
    let bundle = read_bundle(&output);
    let functions = bundle.manifest.functions.iter();
    let objects: Vec<&str> = functions.map(|function| function.object.as_str()).collect();
    assert_eq!(objects, ["requests.o", "sub/replies.o"]);
    for name in [
        "check",
        "check@replies.c",
        "check@running",
        "check@replies.c@running",
    ] {
        assert!(
            bundle.symbol(name).is_some(),
            "{name}: {:?}",
            bundle.symbols
        );
    }
    let counters = bundle
        .manifest
        .references
        .iter()
        .filter(|reference| reference.name == "counter");
    let sources: Vec<_> = counters
        .map(|reference| reference.source.as_deref())
        .collect();
    assert_eq!(sources, [Some("requests.c"), Some("replies.c")]);
}

#[test]
fn archives_pair_by_member() {
    let directory = sandbox();
    let (old, new) = (
        tree(directory.path(), "old", "5"),
        tree(directory.path(), "new", "6"),
    );
    for root in [&old, &new] {
        let mut ar = Command::new("ar");
        ar.arg("rcs")
            .arg(root.join("lib.a"))
            .arg(root.join("requests.o"))
            .arg(root.join("sub/replies.o"));
        assert_eq!(run(&mut ar).status, 0);
    }
    let output = directory.path().join("fix.lpatch");
    let result = patchgen(&old.join("lib.a"), &new.join("lib.a"), &output, &[]);
    expect(&result, 0, "`check` in `replies.o`");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let directory = sandbox();
    let (old, new) = (
        tree(directory.path(), "old", "5"),
        tree(directory.path(), "new", "6"),
    );
    let (one, other) = (
        directory.path().join("a/fix.lpatch"),
        directory.path().join("b/fix.lpatch"),
    );
    for output in [&one, &other] {
        fs::create_dir_all(output.parent().expect("in a directory")).expect("writable");
        expect(&patchgen(&old, &new, output, &[]), 0, "2 function(s)");
    }
    assert_eq!(
        fs::read(one).expect("written"),
        fs::read(other).expect("written")
    );
}

#[test]
fn a_function_that_another_object_needs_is_carried_from_there() {
    let directory = sandbox();
    let (old, new) = (directory.path().join("old"), directory.path().join("new"));
    compile_text(&old, "a.o", "int f(int x) { return x; }", &[]);
    compile_text(
        &new,
        "a.o",
        "int helper(int); int f(int x) { return helper(x); }",
        &[],
    );
    compile_text(&new, "b.o", "int helper(int x) { return x * 3; }", &[]);
    let output = directory.path().join("fix.lpatch");
    expect(&patchgen(&old, &new, &output, &[]), 0, "1 function(s)");
    assert!(
        read_bundle(&output)
            .symbol("helper")
            .is_some_and(|id| { read_bundle(&output).symbols[id.0].definition.is_some() })
    );
}

#[test]
fn a_function_that_moved_replaces_the_old_one() {
    let directory = sandbox();
    let (old, new) = (directory.path().join("old"), directory.path().join("new"));
    let moved = "int moved(int x) { return x * 3; }";
    let user = "int moved(int); int f(int x) { return moved(x) + 1; }";
    compile_text(&old, "a.o", moved, &[]);
    compile_text(&old, "b.o", user, &[]);
    compile_text(&new, "a.o", "int other;", &[]);
    compile_text(
        &new,
        "b.o",
        &format!("{user}\n__attribute__((noipa)) {moved}"),
        &[],
    );
    let output = directory.path().join("fix.lpatch");
    expect(
        &patchgen(&old, &new, &output, &[]),
        0,
        "it moved from `a.o` to `b.o`",
    );
    assert_eq!(read_bundle(&output).manifest.functions.len(), 1);
}

#[test]
fn objects_of_several_programs_are_refused_where_it_matters() {
    let directory = sandbox();
    let (old, new) = (directory.path().join("old"), directory.path().join("new"));
    let helper = "int helper(int x) { return x * N; }";
    for root in [&old, &new] {
        compile_text(root, "one.o", helper, &["-DN=3"]);
        compile_text(root, "other.o", helper, &["-DN=4"]);
    }
    let user = "int helper(int); int f(int x) { return helper(x) + N; }";
    compile_text(&old, "user.o", user, &["-DN=1"]);
    compile_text(&new, "user.o", user, &["-DN=2"]);
    let output = directory.path().join("fix.lpatch");
    let result = patchgen(&old, &new, &output, &[]);
    expect(
        &result,
        4,
        "`f` in `user.o`: several objects define `helper`",
    );
}

#[test]
fn a_variable_that_moved_is_refused() {
    let directory = sandbox();
    let (old, new) = (directory.path().join("old"), directory.path().join("new"));
    compile_text(&old, "a.o", "int state = 4;", &[]);
    compile_text(
        &old,
        "b.o",
        "extern int state; int f(void) { return state; }",
        &[],
    );
    compile_text(&new, "a.o", "int other;", &[]);
    compile_text(
        &new,
        "b.o",
        "int state = 4; int f(void) { return state + 1; }",
        &[],
    );
    let output = directory.path().join("fix.lpatch");
    expect(
        &patchgen(&old, &new, &output, &[]),
        4,
        "it was defined in another object",
    );
}

#[test]
fn an_object_that_is_gone_is_a_warning() {
    let directory = sandbox();
    let (old, new) = (
        tree(directory.path(), "old", "5"),
        tree(directory.path(), "new", "6"),
    );
    fs::remove_file(new.join("sub/replies.o")).expect("there");
    let output = directory.path().join("fix.lpatch");
    expect(
        &patchgen(&old, &new, &output, &[]),
        0,
        "warning: `sub/replies.o` has no new version",
    );
}

#[test]
fn quiesce_takes_functions_of_the_old_objects() {
    let directory = sandbox();
    let (old, new) = (
        tree(directory.path(), "old", "5"),
        tree(directory.path(), "new", "6"),
    );
    let output = directory.path().join("fix.lpatch");
    expect(
        &patchgen(&old, &new, &output, &["--quiesce", "request"]),
        0,
        "",
    );
    assert_eq!(read_bundle(&output).manifest.quiesce, ["request"]);
    let result = patchgen(&old, &new, &output, &["--quiesce", "nowhere"]);
    expect(&result, 1, "the old objects define no function `nowhere`");
}

#[test]
fn what_is_allowed_must_be_there() {
    let directory = sandbox();
    let (old, new) = (
        tree(directory.path(), "old", "5"),
        tree(directory.path(), "new", "6"),
    );
    let output = directory.path().join("fix.lpatch");
    let text = "struct session { int a; }; struct session last; \
                int request(int x) { last.a = x; return x > LIMIT; }";
    for (directory, limit) in [(&old, "5"), (&new, "6")] {
        let limit = format!("-DLIMIT={limit}");
        compile_text(directory, "session.o", text, &["-g", &limit]);
    }
    for (option, name, told) in [
        (
            "--allow-data",
            "nothing",
            "the objects have no variable `nothing`",
        ),
        (
            "--allow-layout",
            "nobody",
            "no object with new code describes a type `nobody`",
        ),
        ("--allow-layout", "union session", "`union session`"),
    ] {
        expect(&patchgen(&old, &new, &output, &[option, name]), 1, told);
    }
    for options in [
        ["--allow-data", "last"],
        ["--allow-layout", "session"],
        ["--allow-layout", "struct session"],
    ] {
        expect(&patchgen(&old, &new, &output, &options), 0, "");
    }
}

#[test]
fn names_come_from_the_output_or_the_option() {
    let directory = sandbox();
    let (old, new) = (
        tree(directory.path(), "old", "5"),
        tree(directory.path(), "new", "6"),
    );
    let output = directory.path().join("CVE-1.lpatch");
    expect(
        &patchgen(&old, &new, &output, &["--description", "a fix"]),
        0,
        "",
    );
    let manifest = read_bundle(&output).manifest;
    assert_eq!(
        (manifest.name.as_str(), manifest.description.as_str()),
        ("CVE-1", "a fix")
    );
    expect(&patchgen(&old, &new, &output, &["--name", "other"]), 0, "");
    assert_eq!(read_bundle(&output).manifest.name, "other");
    expect(
        &patchgen(&old, &new, &output, &["--name", "a b"]),
        1,
        "cannot name a patch",
    );
}

#[test]
fn input_that_is_no_good_is_an_error_with_its_cause() {
    let directory = sandbox();
    let path = directory.path();
    let good = compile_text(path, "good.o", "int f(int x) { return x; }", &[]);
    let narrow = compile_text(
        path,
        "narrow.o",
        "int f(int x) { return x; }",
        &["-m32", "-fno-pic"],
    );
    let linked = path.join("linked.so");
    let mut gcc = Command::new("gcc");
    assert_eq!(
        run(gcc.args(["-shared", "-o"]).arg(&linked).arg(&good)).status,
        0
    );
    let text = path.join("text.o");
    fs::write(&text, "hello").expect("writable");
    let cut = path.join("cut.o");
    let bytes = fs::read(&good).expect("compiled");
    fs::write(&cut, &bytes[..bytes.len() / 2]).expect("writable");
    let empty = path.join("empty");
    fs::create_dir(&empty).expect("writable");
    let output = path.join("fix.lpatch");
    for (bad, text) in [
        (&text, "not an ELF file"),
        (&cut, "malformed object file"),
        (&narrow, "not a 64-bit little-endian file"),
        (&linked, "a linked file, not an object file"),
        (&path.join("missing.o"), "cannot read"),
        (&empty, "cannot be compared"),
    ] {
        expect(&patchgen(&good, bad, &output, &[]), 1, text);
        assert!(!output.exists());
    }
    expect(
        &patchgen(&empty, &empty, &output, &[]),
        1,
        "holds no object files",
    );
    let result = patchgen(&good, &good, &good, &[]);
    expect(&result, 1, "is one of the inputs");
    assert_eq!(fs::read(&good).expect("still there"), bytes);
    let usage = run(Command::new(env!("CARGO_BIN_EXE_patchgen")).arg(&good));
    assert_eq!(usage.status, 2, "{}", usage.stderr);
}

#[test]
fn bytecode_of_the_link_time_optimiser_is_refused() {
    let directory = sandbox();
    let flags = ["-flto", "-fno-fat-lto-objects"];
    let old = compile_text(
        directory.path(),
        "old.o",
        "int f(int x) { return x; }",
        &flags,
    );
    let new = compile_text(
        directory.path(),
        "new.o",
        "int f(int x) { return x + 1; }",
        &flags,
    );
    let output = directory.path().join("fix.lpatch");
    expect(
        &patchgen(&old, &new, &output, &[]),
        4,
        "bytecode of the link-time optimiser",
    );
}

#[test]
fn inspect_shows_a_bundle_and_refuses_others() {
    let directory = sandbox();
    let (old, new) = (
        tree(directory.path(), "old", "5"),
        tree(directory.path(), "new", "6"),
    );
    let output = directory.path().join("fix.lpatch");
    expect(&patchgen(&old, &new, &output, &[]), 0, "");
    let inspect = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchgen"));
        run(command.arg("inspect").args(arguments))
    };
    let path = output.to_string_lossy().into_owned();
    expect(&inspect(&[&path]), 0, "replaced functions:");
    let json = inspect(&[&path, "--json"]);
    let value: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(value["manifest"]["functions"][0]["name"], "check");
    let object = old.join("requests.o").to_string_lossy().into_owned();
    expect(&inspect(&[&object]), 1, "is no bundle that can be used");
}
