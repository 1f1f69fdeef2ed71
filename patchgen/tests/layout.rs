//! Changed layouts of types, as several compilers describe them in several versions of DWARF.
//!
//! Each file of `tests/layout` is compiled twice, once with `-DNEW`. Its directives `//#Refused: text` are all the
//! refusals that must come, in any order; without one the patch is made. `//#Whole` makes compilers describe classes
//! whose tables of virtual functions are elsewhere.

mod support;

use rayon::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{patchgen, run};

/// Ways to write the same debug information.
const FORMS: [&[&str]; 7] = [
    &["-gdwarf-4"],
    &["-gdwarf-5"],
    &["-gdwarf-5", "-gz"],
    &["-gdwarf-5", ZSTD],
    &["-gdwarf-4", "-fdebug-types-section"],
    &["-gdwarf-5", "-fdebug-types-section"],
    &["-gdwarf-3", "-gstrict-dwarf"],
];

/// Compress debug sections so afterwards: not every compiler can.
const ZSTD: &str = "--compress-debug-sections=zstd";

fn sources() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/layout");
    let entries = fs::read_dir(directory).expect("readable");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    paths
}

fn compile(source: &Path, object: &Path, compiler: &str, flags: &[&str]) {
    let result = run(Command::new(compiler)
        .args(["-O2", "-ffunction-sections", "-fdata-sections", "-c"])
        .args(flags.iter().filter(|flag| **flag != ZSTD))
        .arg(source)
        .arg("-o")
        .arg(object));
    assert_eq!(result.status, 0, "{}: {}", source.display(), result.stderr);
    if flags.contains(&ZSTD) {
        let packed = run(Command::new("objcopy").arg(ZSTD).arg(object));
        assert_eq!(packed.status, 0, "{}", packed.stderr);
    }
}

/// The words of all directives of a name.
fn directives(source: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(source).expect("readable");
    let lines = text.lines().filter_map(|line| line.strip_prefix(name));
    lines.map(|line| line.trim().to_owned()).collect()
}

/// What is wrong with one case in one form.
fn judge(source: &Path, compiler: &str, form: &[&str]) -> Option<String> {
    let directory = tempfile::tempdir().expect("writable");
    let [old, new] = ["old.o", "new.o"].map(|name| directory.path().join(name));
    let whole: &[&str] = match compiler {
        _ if directives(source, "//#Whole:").is_empty() => &[],
        "clang++" => &["-fstandalone-debug"],
        _ => &["-femit-class-debug-always"],
    };
    compile(source, &old, compiler, &[form, whole].concat());
    compile(source, &new, compiler, &[form, whole, &["-DNEW"]].concat());
    let wanted = directives(source, "//#Refused:");
    let options = directives(source, "//#Options:").join(" ");
    let options: Vec<&str> = options.split_whitespace().collect();
    let made = patchgen(&old, &new, &directory.path().join("fix.lpatch"), &options);
    let told = made.stderr.lines().filter(|line| line.starts_with("  `"));
    let told: Vec<&str> = told.collect();
    let fits = made.status == if wanted.is_empty() { 0 } else { 4 }
        && told.len() == wanted.len()
        && wanted
            .iter()
            .all(|text| told.iter().any(|line| line.contains(text.as_str())))
        && !made.stderr.contains("not checked");
    let form = form.join(" ");
    (!fits).then(|| {
        let source = source.display();
        format!(
            "{source} with {compiler} {form}: {} {}{}",
            made.status, made.stdout, made.stderr
        )
    })
}

#[test]
fn changed_layouts_are_refused_by_field() {
    let mut work = Vec::new();
    for source in sources() {
        let cxx = source
            .extension()
            .is_some_and(|extension| extension == "cc");
        let compilers = if cxx {
            ["g++", "clang++"]
        } else {
            ["gcc", "clang"]
        };
        for compiler in compilers {
            work.extend(FORMS.map(|form| (source.clone(), compiler, form)));
        }
    }
    let wrong: Vec<String> = work
        .par_iter()
        .filter_map(|(source, compiler, form)| judge(source, compiler, form))
        .collect();
    assert!(!work.is_empty() && wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Compiles texts to objects of two directories, and compares these.
fn compare(compiler: &str, flags: &[&str], texts: &[(&str, &str)]) -> support::Run {
    let directory = tempfile::tempdir().expect("writable");
    for version in ["old", "new"] {
        let out = directory.path().join(version);
        fs::create_dir_all(&out).expect("writable");
        for (name, text) in texts {
            let source = directory.path().join(name);
            fs::write(&source, text).expect("writable");
            let define = format!("-D{}", version.to_uppercase());
            let object = out.join(name).with_extension("o");
            compile(
                &source,
                &object,
                compiler,
                &[flags, &[define.as_str()]].concat(),
            );
        }
    }
    let [old, new] = ["old", "new"].map(|version| directory.path().join(version));
    patchgen(&old, &new, &directory.path().join("fix.lpatch"), &[])
}

const STREAM: &str =
    "struct Stream { virtual int read();\n#ifdef NEW\nint flags;\n#endif\nint fd; };";

#[test]
fn a_class_may_be_described_by_another_object() {
    for compiler in ["g++", "clang++"] {
        let table = format!("{STREAM}\nint Stream::read() {{ return 1; }}");
        let user = format!("{STREAM}\nint fd(Stream *s) {{ return s->fd; }}");
        let both = compare(
            compiler,
            &["-g"],
            &[("table.cc", &table), ("user.cc", &user)],
        );
        assert_eq!(both.status, 4, "{}", both.stderr);
        let text = "`struct Stream` in `table.o`: its layout changed";
        assert!(both.stderr.contains(text), "{}", both.stderr);
        let alone = compare(compiler, &["-g"], &[("user.cc", &user)]);
        let text = "no object describes `Stream`, so it was not checked";
        assert!(
            alone.status == 0 && alone.stderr.contains(text),
            "{}",
            alone.stderr
        );
    }
}

#[test]
fn a_type_that_a_file_uses_newly_may_be_known_to_another() {
    let other = "struct conn { int a; }; int first(struct conn *c) { return c->a; }";
    let header = "\n#ifdef NEW\n#line 1 \"other.c\"\nstruct conn { int b, a; };\n#endif\n";
    let user = format!(
        "int user(void *c) {{\n#ifdef NEW\n  return 1;\n#endif\n return 0; }}{header}struct conn *last;"
    );
    let found = compare("gcc", &["-g"], &[("other.c", other), ("user.c", &user)]);
    let text = "`struct conn` in `user.o`: its layout changed";
    assert!(
        found.status == 4 && found.stderr.contains(text),
        "{}",
        found.stderr
    );
}

#[test]
fn what_is_not_checked_is_told() {
    let text = "int f(void) {\n#ifdef NEW\nreturn 2;\n#endif\nreturn 1; }";
    for (flags, why) in [
        (&[][..], "no debug information about types"),
        (&["-g1"], "no debug information about types"),
        (&["-g", "-gsplit-dwarf"], "in a split file"),
    ] {
        let told = compare(
            "gcc",
            flags,
            &[("a.c", text), ("b.c", &text.replace("f(", "g("))],
        );
        let fits = told.status == 0
            && told.stderr.contains("warning: `a.o` and 1 more: ")
            && told.stderr.contains(why)
            && told
                .stderr
                .contains("not checked whether the layout of a type changed");
        assert!(fits, "{flags:?}: {}", told.stderr);
    }
}
