//! Which of several definitions of a name counts, over several objects.

mod support;

use std::path::Path;
use std::process::Command;
use support::{compile_text, patchgen, run};

/// Files of a program: name, old text, new text.
type Files<'a> = &'a [(&'a str, &'a str, &'a str)];

const MAIN: &str =
    "long answer(long); int main(int argc, char **argv) { (void)argv; return (int)answer(argc); }";

/// What `patchgen` says of the objects of a program, with or without the linked program.
fn judged(files: Files<'_>, with_target: bool) -> (i32, String) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path();
    let [old, new] = ["old", "new"].map(|name| path.join(name));
    for directory in [&old, &new] {
        std::fs::create_dir(directory).expect("a directory");
    }
    for (name, before, after) in files.iter().chain([&("main", MAIN, MAIN)]) {
        compile_text(&old, &format!("{name}.o"), before, &["-g"]);
        compile_text(&new, &format!("{name}.o"), after, &["-g"]);
    }
    let target = path.join("target");
    link(&old, &target);
    let target = target.to_string_lossy().into_owned();
    let options = ["--target", &target];
    let options = if with_target { &options[..] } else { &[] };
    let made = patchgen(&old, &new, &path.join("fix.lpatch"), options);
    (made.status, made.stderr)
}

fn link(objects: &Path, target: &Path) {
    let files = std::fs::read_dir(objects).expect("a directory");
    let files = files.map(|file| file.expect("readable").path());
    let files: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|end| end == "o"))
        .collect();
    let linked = run(Command::new("gcc").args(&files).arg("-o").arg(target));
    assert_eq!(linked.status, 0, "{}", linked.stderr);
}

fn refused(files: Files<'_>, with_target: bool, text: &str) {
    let (status, told) = judged(files, with_target);
    assert_eq!(status, 4, "{told}");
    assert!(told.contains(text), "{told}");
}

const CALLER: &str = "long policy(long); long answer(long x) { return policy(x) * 10; }";
const WEAK: &str = "__attribute__((weak)) long policy(long x) { return x * x + 1; }";
const OTHER: &str = "long other(long x) { return x * x * x + 2; }";

#[test]
fn a_strong_definition_before_a_weak_one() {
    let more = format!("{OTHER} long policy(long x) {{ return x > 5 ? -1 : x; }}");
    let caller = ("caller", CALLER, CALLER);
    let weak = ("weak", WEAK, WEAK);
    let text = "it is another definition of that name: `weak.o` defined it";
    refused(&[caller, weak, ("strong", OTHER, &more)], false, text);
    let text = "it is another definition of that name: `strong.o` defined it";
    refused(&[caller, weak, ("strong", &more, OTHER)], false, text);
}

#[test]
fn a_weak_definition_beside_a_strong_one() {
    let strong = "long policy(long x) { return x * 9; }";
    let own = format!("{WEAK} long answer(long x) {{ return policy(x) * 20; }}");
    let files = [("caller", CALLER, own.as_str()), ("strong", strong, strong)];
    refused(
        &files,
        false,
        "`strong.o` defines it, too, and is what others use",
    );
    let variable =
        "__attribute__((weak)) long limit = 5; long answer(long x) { return x > limit; }";
    let files = [("caller", "long answer(long x) { return x > 4; }", variable)];
    refused(
        &files,
        false,
        "whether the program has one cannot be told (`--target` tells)",
    );
    assert_eq!(judged(&files, true).0, 0);
}

#[test]
fn a_definition_of_what_others_use_already() {
    let asks = "extern long check(long) __attribute__((weak)); \
                long answer(long x) { return check && !check(x) ? -1 : x; }";
    let more = format!("{OTHER} long check(long x) {{ return x < 8; }}");
    let files = [("asks", asks, asks), ("other", OTHER, more.as_str())];
    refused(
        &files,
        false,
        "other objects use a definition of the same name already",
    );
    let files = [
        (
            "user",
            "long random(void); long answer(long x) { return random() + x; }",
            "long random(void); long answer(long x) { return random() + x; }",
        ),
        (
            "own",
            OTHER,
            "long random(void) { return 4; } long other(long x) { return random() * x; }",
        ),
    ];
    refused(
        &files,
        false,
        "other objects use a definition of the same name already",
    );
}

/// Only the linked program knows what other objects use.
#[test]
fn a_definition_of_what_the_program_imports() {
    let imports = "#include <stdlib.h>\nvoid *answer_(long x) { return reallocarray(0, 1, x); } \
                   long answer(long x) { return answer_(x) != 0; }";
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path();
    let [old, new] = ["old", "new"].map(|name| path.join(name));
    for directory in [&old, &new] {
        std::fs::create_dir(directory).expect("a directory");
    }
    compile_text(&old, "imports.o", imports, &["-D_GNU_SOURCE"]);
    compile_text(&old, "main.o", MAIN, &[]);
    compile_text(&old, "own.o", OTHER, &[]);
    let target = path.join("target");
    link(&old, &target);
    let own = "void *reallocarray(void *p, unsigned long n, unsigned long m) { return n * m > 9 ? 0 : p; } \
               long other(long x) { return reallocarray(&x, x, x) != 0; }";
    compile_text(&new, "own.o", own, &["-fno-builtin"]);
    let target = target.to_string_lossy().into_owned();
    let made = patchgen(
        &old.join("own.o"),
        &new.join("own.o"),
        &path.join("fix.lpatch"),
        &["--target", &target],
    );
    assert_eq!(made.status, 4, "{}", made.stderr);
    let text = "`target` has something of that name already";
    assert!(made.stderr.contains(text), "{}", made.stderr);
}

#[test]
fn a_static_that_moves_to_another_object_with_its_function() {
    let find = "static long table[8]; __attribute__((noinline)) long *find(long x) { return &table[x & 7]; }";
    let only = "long *find(long); long answer(long x) { return ++*find(x) * 2; }";
    let both = format!("{find} long answer(long x) {{ return ++*find(x); }}");
    let files = [
        ("one", both.as_str(), only),
        ("other", OTHER, &format!("{OTHER} {find}")),
    ];
    refused(
        &files,
        false,
        "`table` in `one.o`: it may be the same one in `other.o` now",
    );
}

/// Only of functions that other objects bring along, too, there may be another one.
#[test]
fn the_address_of_a_replaced_function_is_the_running_one_s() {
    let before = "static long (*current)(long); long step(long x) { return x * x + 1; } \
                  long answer(long x) { current = step; return current(x) + x; }";
    let after = before.replace("x * x + 1", "x > 9 ? -1 : x * x * x");
    let after = after.replace("+ x; }", "- x; }");
    let (status, told) = judged(&[("one", before, &after)], true);
    assert_eq!(status, 0, "{told}");
}
