//! Patches for the kernel and modules together, and what modules may use.

mod support;

use livepatch_bundle::read_kernel;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::vmlinux::{Vmlinux, compile};
use support::{Run, run};

const KERNEL: &str = r#"
#include "kernel.h"
extern int hidden(int x);
int show(int x) { return hidden(x + CHOOSE(1, 2)); }
"#;

/// A module, and another that uses what it exports.
const FIRST: &str = r#"
#include "kernel.h"
MODULE_INFO(license, "GPL");
static int count;
int shared(int x) { return x + 1; }
static noinline int step(int x) { count += x; return value(x + CHOOSE(1, 2)) + count; }
int first(int x) { use(&count); return step(x) + 1; }
"#;
const SECOND: &str = r#"
#include "kernel.h"
MODULE_INFO(license, LICENCE);
extern int shared(int x), guarded(int x);
int second(int x) { return shared(x) + CHOOSE(1, guarded(x)); }
"#;

struct Bench {
    directory: tempfile::TempDir,
    kernel: Vmlinux,
}

impl Bench {
    fn new(licence: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut kernel = Vmlinux::default();
        kernel.others.push(("guarded", 'T'));
        kernel.exports.push(("guarded", ""));
        let bench = Self { directory, kernel };
        let second = SECOND.replace("LICENCE", &format!("\"{licence}\""));
        let place = |path: &str| bench.path(path);
        for (name, source) in [("show", KERNEL), ("first", FIRST), ("second", &second)] {
            for (version, is_new) in [("old", false), ("new", true)] {
                compile(
                    bench.directory.path(),
                    &format!("{name}/{version}.o"),
                    source,
                    is_new,
                );
            }
        }
        bench
            .kernel
            .install(bench.directory.path(), &[place("show/old.o")]);
        let modules = place("lib/modules/6.1.0-test");
        std::fs::create_dir_all(modules.join("kernel")).expect("writable");
        for name in ["first", "second"] {
            std::fs::copy(
                place(&format!("{name}/old.o")),
                modules.join(format!("kernel/{name}.ko")),
            )
            .expect("writable");
        }
        std::fs::write(
            modules.join("modules.order"),
            "kernel/first.ko\nkernel/second.ko\n",
        )
        .expect("writable");
        let symvers = place("usr/src/linux-headers-6.1.0-test/Module.symvers");
        let exports = std::fs::read_to_string(&symvers).expect("written");
        std::fs::write(
            symvers,
            exports + "0x00000077\tshared\tkernel/first\tEXPORT_SYMBOL\t\n",
        )
        .expect("writable");
        bench
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn pair(&self, name: &str) -> [PathBuf; 2] {
        ["old", "new"].map(|version| self.path(&format!("{name}/{version}.o")))
    }

    /// Runs patchgen for the kernel's objects and those of modules.
    fn make(&self, objects: [PathBuf; 2], modules: &[&str]) -> Run {
        let mut patchgen = Command::new(env!("CARGO_BIN_EXE_patchgen"));
        patchgen
            .args(["--kernel", "6.1.0-test", "--root"])
            .arg(self.directory.path());
        for name in modules {
            patchgen.args(["--with-module", name]).args(self.pair(name));
        }
        run(patchgen
            .args(objects)
            .arg("-o")
            .arg(self.path("fix.kpatch")))
    }
}

fn section(file: &object::File<'_>, name: &str) -> u64 {
    file.section_by_name(name)
        .map_or(0, |section| section.size())
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("written")
}

#[test]
fn one_patch_is_for_the_kernel_and_modules() {
    let bench = Bench::new("GPL");
    let run = bench.make(bench.pair("show"), &["first", "second"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let bytes = bytes(&bench.path("fix.kpatch"));
    let manifest = read_kernel(&bytes).expect("a manifest");
    let objects: Vec<(&str, Vec<&str>)> = manifest
        .objects
        .iter()
        .map(|object| {
            let functions = object
                .functions
                .iter()
                .map(|function| function.name.as_str());
            (object.name.as_str(), functions.collect())
        })
        .collect();
    assert_eq!(
        objects,
        [
            ("vmlinux", vec!["show"]),
            ("first", vec!["step"]),
            ("second", vec!["second"])
        ]
    );
    let file = object::File::parse(&bytes[..]).expect("an ELF file");
    let names: Vec<&str> = file
        .symbols()
        .filter_map(|symbol| symbol.name().ok())
        .collect();
    // What belongs to a module is found when that comes; what another module exports, in that one.
    for name in [
        ".klp.sym.vmlinux.hidden,0",
        ".klp.sym.first.count,0",
        ".klp.sym.first.shared,0",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let relocations = [
        ".klp.rela.vmlinux..text.show",
        ".klp.rela.first..text.step",
        ".klp.rela.second..text.second",
    ];
    assert!(relocations.iter().all(|name| section(&file, name) > 0));
    // klp_patch, four klp_object, and for each a klp_func and a zero one
    assert_eq!(section(&file, ".data.livepatch"), 64 + 4 * 80 + 3 * 2 * 40);
}

#[test]
fn a_module_in_which_nothing_changed_is_left_out() {
    let bench = Bench::new("GPL");
    let old = bench.path("first/old.o");
    std::fs::copy(&old, bench.path("first/new.o")).expect("writable");
    let run = bench.make(bench.pair("show"), &["first"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let manifest = read_kernel(&bytes(&bench.path("fix.kpatch"))).expect("a manifest");
    assert_eq!(manifest.objects.len(), 1);
    let same = bench.path("show/old.o");
    let unchanged = bench.make([same.clone(), same], &["first"]);
    assert_eq!(unchanged.status, 3, "{}", unchanged.stderr);
}

#[test]
fn a_module_is_given_once() {
    let bench = Bench::new("GPL");
    let run = bench.make(bench.pair("show"), &["first", "first"]);
    assert!(
        run.status == 1 && run.stderr.contains("the module `first` is given twice"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_module_under_another_licence_uses_nothing_of_the_gpl() {
    let bench = Bench::new("Proprietary");
    let run = bench.make(bench.pair("show"), &["second"]);
    let text = "`guarded` is exported to modules under the GPL alone, which `second` is not";
    assert!(
        run.status == 4 && run.stderr.contains(text),
        "{}",
        run.stderr
    );
}
