//! `patchgen --kernel` with a kernel of our own making: what comes out, and what is refused or an error.

mod support;

use livepatch_bundle::{FixupKind, KernelFunction, KernelManifest, read_kernel};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::vmlinux::{Vmlinux, compile};
use support::{Run, run};

/// A function with a static variable, and calls of what is exported and what is not.
const SOURCE: &str = r#"
#include "kernel.h"
extern int hidden(int x);
static int count;
static noinline int same(int x) { return value(x) + 1; }
int show(int x) { count++; use(&count); return same(x) + hidden(x + CHOOSE(1, 2)) + count; }
"#;

/// Another file with functions and variables of the same names.
const OTHER: &str = r#"
#include "kernel.h"
static int count;
static noinline int same(int x) { return value(x) + 7; }
int other(int x) { count--; return same(x) + count; }
"#;

struct Bench {
    directory: tempfile::TempDir,
    old: PathBuf,
    new: PathBuf,
    other: PathBuf,
}

impl Bench {
    fn of(source: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path();
        Self {
            old: compile(path, "old/show.o", source, false),
            new: compile(path, "new/show.o", source, true),
            other: compile(path, "other/other.o", OTHER, false),
            directory,
        }
    }

    fn output(&self) -> PathBuf {
        self.directory.path().join("fix.kpatch")
    }

    fn objects(&self) -> [PathBuf; 2] {
        [self.other.clone(), self.old.clone()]
    }

    /// Runs patchgen for a kernel.
    fn make(&self, release: &str, options: &[&str]) -> Run {
        let mut patchgen = Command::new(env!("CARGO_BIN_EXE_patchgen"));
        patchgen.args(["--kernel", release, "--root"]);
        patchgen.arg(self.directory.path()).args(options);
        run(patchgen
            .args([&self.old, &self.new])
            .arg("-o")
            .arg(self.output()))
    }

    fn with(&self, kernel: &Vmlinux) -> Run {
        kernel.install(self.directory.path(), &self.objects());
        self.make(&kernel.release, &[])
    }

    fn image(&self, kernel: &Vmlinux) -> PathBuf {
        self.directory
            .path()
            .join(format!("boot/vmlinuz-{}", kernel.release))
    }
}

fn contents(path: &Path) -> (Vec<u8>, KernelManifest) {
    let bytes = std::fs::read(path).expect("written");
    let manifest = read_kernel(&bytes).expect("a manifest");
    (bytes, manifest)
}

/// Whether the image has a function's code where its manifest says, fixups apart.
fn is_there(image: &[u8], function: &KernelFunction) -> bool {
    let file = object::File::parse(image).expect("an ELF file");
    let text = file.section_by_name(".text").expect("there");
    let place = function.place.expect("the kernel's own function");
    let start = place.from_start as usize;
    let code = &text.data().expect("contents")[start..];
    let is_fixed = |at: usize| {
        let mut fixups = function.fixups.iter();
        fixups.any(|one| (one.offset..one.offset + one.size).contains(&(at as u64)))
    };
    let mut bytes = function.code.iter().zip(code).enumerate();
    bytes.all(|(at, (one, other))| one == other || is_fixed(at))
}

#[test]
fn a_module_for_the_kernel_comes_out() {
    let bench = Bench::of(SOURCE);
    let kernel = Vmlinux::default();
    let run = bench.with(&kernel);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let (bytes, manifest) = contents(&bench.output());
    assert_eq!(
        (manifest.release.as_str(), manifest.module.as_str()),
        ("6.1.0-test", "livepatch_fix")
    );
    assert_eq!(
        manifest.build_id.map(|id| id.to_string()),
        Some("ab".repeat(20))
    );
    let function = &manifest.objects[0].functions[0];
    assert_eq!((function.name.as_str(), function.sympos), ("show", 0));
    assert_eq!(function.fixups[0].kind, FixupKind::Fentry);
    assert!(is_there(&kernel.image(&bench.objects()), function));
    let file = object::File::parse(&bytes[..]).expect("an ELF file");
    let names: Vec<&str> = file
        .symbols()
        .filter_map(|symbol| symbol.name().ok())
        .collect();
    // Of two of each name the second is meant; what is exported needs no position.
    for name in [
        ".klp.sym.vmlinux.count,2",
        ".klp.sym.vmlinux.same,2",
        ".klp.sym.vmlinux.hidden,0",
        "use",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let size = |name: &str| {
        file.section_by_name(name)
            .map_or(0, |section| section.size())
    };
    // fentry, klp_enable_patch, use, module_layout
    assert_eq!(
        (size(".gnu.linkonce.this_module"), size("__versions")),
        (256, 4 * 64)
    );
    let modinfo = file.section_by_name(".modinfo").expect("there");
    let modinfo = String::from_utf8_lossy(modinfo.data().expect("contents")).into_owned();
    for line in [
        "livepatch=Y",
        "name=livepatch_fix",
        "import_ns=TEST",
        "vermagic=6.1.0-test SMP mod_unload modversions ",
    ] {
        assert!(
            modinfo.split('\0').any(|one| one == line),
            "{line}: {modinfo}"
        );
    }
}

#[test]
fn a_kernel_without_livepatch_gets_a_plain_module() {
    let bench = Bench::of(SOURCE);
    let mut kernel = Vmlinux::default();
    kernel.others.retain(|one| one.0 != "klp_enable_patch");
    kernel.types.retain(|one| !one.0.starts_with("klp_"));
    let run = bench.with(&kernel);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let (bytes, _) = contents(&bench.output());
    let file = object::File::parse(&bytes[..]).expect("an ELF file");
    let modinfo = file.section_by_name(".modinfo").expect("there");
    let modinfo = String::from_utf8_lossy(modinfo.data().expect("contents")).into_owned();
    assert!(!modinfo.contains("livepatch=Y"), "{modinfo}");
    let has = |name: &str| file.symbols().any(|symbol| symbol.name() == Ok(name));
    assert!(has(".klp.sym.vmlinux.hidden,0") && !has("init_module"));
    assert!(file.section_by_name(".data.livepatch").is_none());
    std::fs::remove_file(bench.output()).expect("written");
    let run = bench.make(&kernel.release, &["--replace"]);
    assert_eq!(run.status, 1);
    let text = "(CONFIG_LIVEPATCH), which `--replace` needs";
    assert!(run.stderr.contains(text), "{}", run.stderr);
    assert!(!bench.output().exists());
}

#[test]
fn two_runs_write_the_same_bytes() {
    let bench = Bench::of(SOURCE);
    bench.with(&Vmlinux::default());
    let first = std::fs::read(bench.output()).expect("written");
    bench.with(&Vmlinux::default());
    assert_eq!(first, std::fs::read(bench.output()).expect("written"));
}

#[test]
fn what_a_kernel_lacks_is_told_and_nothing_written() {
    let lacks = |name: &'static str| Vmlinux {
        others: Vmlinux::default()
            .others
            .into_iter()
            .filter(|one| one.0 != name)
            .collect(),
        ..Vmlinux::default()
    };
    let unexported = |name: &'static str| Vmlinux {
        exports: Vmlinux::default()
            .exports
            .into_iter()
            .filter(|one| one.0 != name)
            .collect(),
        ..Vmlinux::default()
    };
    let untyped = |name: &'static str| Vmlinux {
        types: Vmlinux::default()
            .types
            .into_iter()
            .filter(|one| one.0 != name)
            .collect(),
        ..Vmlinux::default()
    };
    let cases = [
        (
            lacks("hidden"),
            4,
            "kernel `6.1.0-test` has no symbol `hidden`",
        ),
        (
            unexported("klp_enable_patch"),
            1,
            "has no CRC for `klp_enable_patch`",
        ),
        (
            unexported("module_layout"),
            1,
            "has no CRC for `module_layout`",
        ),
        (untyped("klp_func"), 1, "BTF knows no `struct klp_func`"),
        (untyped("module"), 1, "BTF knows no `struct module`"),
    ];
    let bench = Bench::of(SOURCE);
    for (kernel, status, text) in cases {
        std::fs::write(bench.output(), "stale").expect("writable");
        let run = bench.with(&kernel);
        assert!(
            run.status == status && run.stderr.contains(text),
            "{text}: {} {}",
            run.status,
            run.stderr
        );
        assert_eq!(
            bench.output().exists(),
            status == 1,
            "only refusals remove what was there: {text}"
        );
    }
}

#[test]
fn other_code_in_the_kernel_is_refused() {
    let bench = Bench::of(SOURCE);
    let other = compile(
        bench.directory.path(),
        "third/show.o",
        &SOURCE.replace("count++", "count += 2"),
        false,
    );
    let kernel = Vmlinux::default();
    kernel.install(bench.directory.path(), &[bench.other.clone(), other]);
    let run = bench.make(&kernel.release, &[]);
    let text =
        "`show` in `show.o`: the old code is not that of kernel `6.1.0-test`: it differs at +0x";
    assert!(
        run.status == 4 && run.stderr.contains(text),
        "{}",
        run.stderr
    );
}

#[test]
fn functions_of_one_name_and_one_code_are_refused() {
    let source = "#include \"kernel.h\"\nstatic noinline int twin(int x) { return value(x + CHOOSE(1, 2)); }\n\
                  int NAME(int x) { return twin(x) + 1; }\n";
    let bench = Bench::of(&source.replace("NAME", "first"));
    let second = compile(
        bench.directory.path(),
        "second/b.o",
        &source.replace("NAME", "second"),
        false,
    );
    let kernel = Vmlinux::default();
    kernel.install(bench.directory.path(), &[bench.old.clone(), second]);
    let run = bench.make(&kernel.release, &[]);
    let text = "of 2 functions of this name in kernel `6.1.0-test` not one alone has the old code";
    assert!(
        run.status == 4 && run.stderr.contains(text),
        "{}",
        run.stderr
    );
}

#[test]
fn another_release_and_missing_files_are_told() {
    let bench = Bench::of(SOURCE);
    let missing = bench.make("6.1.0-test", &[]);
    assert!(
        missing
            .stderr
            .contains("no image of kernel `6.1.0-test`: looked for"),
        "{}",
        missing.stderr
    );
    let kernel = Vmlinux::default();
    kernel.install(bench.directory.path(), &bench.objects());
    let symvers = bench
        .directory
        .path()
        .join("usr/src/linux-headers-6.1.0-test/Module.symvers");
    let image = bench.image(&kernel);
    let options = [
        "--image",
        image.to_str().expect("UTF-8"),
        "--symvers",
        symvers.to_str().expect("UTF-8"),
    ];
    let other = bench.make("6.2.0-test", &options);
    let text = "is not of release `6.2.0-test`: it is of `6.1.0-test`";
    assert!(
        other.status == 1 && other.stderr.contains(text),
        "{}",
        other.stderr
    );
    let unknown = bench.make("../../etc", &[]);
    assert!(
        unknown.stderr.contains("is no kernel release"),
        "{}",
        unknown.stderr
    );
    let module = bench.make("6.1.0-test", &["--module", "absent"]);
    assert_eq!(module.status, 1, "{}", module.stderr);
    std::fs::remove_file(&symvers).expect("there");
    let none = bench.make("6.1.0-test", &[]);
    let text = "no `Module.symvers` of kernel `6.1.0-test`";
    assert!(
        none.status == 1 && none.stderr.contains(text),
        "{}",
        none.stderr
    );
    assert!(!bench.output().exists());
    std::fs::write(&symvers, "0x1\tvalue\n").expect("writable");
    let malformed = bench.make("6.1.0-test", &[]);
    assert!(
        malformed
            .stderr
            .contains("line 1 of `Module.symvers` is malformed"),
        "{}",
        malformed.stderr
    );
    std::fs::remove_file(&symvers).expect("there");
    let symvers = bench.make("6.1.0-test", &[]);
    assert!(
        symvers
            .stderr
            .contains("no `Module.symvers` of kernel `6.1.0-test`"),
        "{}",
        symvers.stderr
    );
}

#[test]
fn an_image_without_types_is_told() {
    let bench = Bench::of(SOURCE);
    let kernel = Vmlinux::default();
    kernel.install(bench.directory.path(), &bench.objects());
    let mut image = std::fs::read(bench.image(&kernel)).expect("written");
    let name = image
        .windows(6)
        .rposition(|name| name == b".BTF\0\0" || name == b"\0.BTF\0");
    let name = name.expect("the image has types");
    image[name + 3] = b'X';
    std::fs::write(bench.image(&kernel), &image).expect("writable");
    let run = bench.make(&kernel.release, &[]);
    let text = "the image has none";
    assert!(
        run.status == 1 && run.stderr.contains(text),
        "{}",
        run.stderr
    );
    assert!(!bench.output().exists());
}

#[test]
fn damaged_images_are_errors() {
    let bench = Bench::of(SOURCE);
    let kernel = Vmlinux::default();
    kernel.install(bench.directory.path(), &bench.objects());
    let whole = std::fs::read(bench.image(&kernel)).expect("written");
    for end in (0..whole.len()).step_by(whole.len() / 24) {
        std::fs::write(bench.image(&kernel), &whole[..end]).expect("writable");
        let run = bench.make(&kernel.release, &[]);
        assert!(
            run.status == 1 && run.stderr.starts_with("patchgen: "),
            "cut off at {end:#x}: {} {}",
            run.status,
            run.stderr
        );
    }
}
