//! Object code against linked code, as compilers and linkers really make them.
//!
//! The object files are built with `-ffunction-sections`, the programs from objects without it, as distributions build
//! them; every function has to match and every inferred address has to be the one in the program's symbol table.

mod support;

use support::{Image, Report, Unit, Workshop, check_object, program};

/// One way to build.
struct Build {
    compiler: &'static str,
    flags: &'static str,
    link: &'static str,
    /// The second unit is a shared library.
    shared: bool,
}

const fn build(
    compiler: &'static str,
    flags: &'static str,
    link: &'static str,
    shared: bool,
) -> Build {
    Build {
        compiler,
        flags,
        link,
        shared,
    }
}

const PIE: &str = "-O2 -fPIE";
const BUILDS: &[Build] = &[
    build("gcc", PIE, "-pie", false),
    build("gcc", PIE, "-pie", true),
    build("gcc", "-O2 -fno-pie", "-no-pie", false),
    build("gcc", "-O2 -fno-pie", "-no-pie", true),
    build("gcc", "-O2 -fno-pie", "-static", false),
    build("gcc", PIE, "-static-pie", false),
    build("gcc", "-O2 -fPIC", "-shared", false),
    build("gcc", "-O2 -fPIC", "-shared -Wl,-Bsymbolic", false),
    build("gcc", "-O2 -fPIC", "-pie", false),
    build("gcc", "-O2 -fPIC", "-pie", true),
    build("gcc", "-O2 -fPIC", "-no-pie", false),
    build("gcc", "-O2 -fPIC", "-static", false),
    build("gcc", "-O2 -fPIC -fno-plt", "-pie", false),
    build("gcc", "-O2 -fPIC -fno-plt", "-pie", true),
    build("gcc", "-O2 -fPIC -fno-plt", "-static", false),
    build(
        "gcc",
        "-O2 -fPIC -fno-plt",
        "-pie -Wl,-z,call-nop=suffix-nop",
        false,
    ),
    build(
        "gcc",
        "-O2 -fPIC -fno-plt",
        "-pie -Wl,-z,call-nop=prefix-0x90",
        false,
    ),
    build("gcc", "-O2 -fPIC -fno-plt", "-pie -Wl,--no-relax", false),
    build("gcc", "-O2 -fPIC -fno-plt", "-shared", false),
    build("gcc", "-O2 -fPIC -mtls-dialect=gnu2", "-pie", false),
    build("gcc", "-O2 -fPIC -mtls-dialect=gnu2", "-pie", true),
    build("gcc", "-O2 -fPIC -mtls-dialect=gnu2", "-shared", false),
    build("gcc", "-O2 -fPIC -ftls-model=initial-exec", "-pie", false),
    build(
        "gcc",
        "-O2 -fPIC -ftls-model=initial-exec",
        "-shared",
        false,
    ),
    build("gcc", "-O2 -fPIC -ftls-model=local-dynamic", "-pie", false),
    build(
        "gcc",
        "-O2 -fPIC -ftls-model=local-dynamic",
        "-shared",
        false,
    ),
    build("gcc", "-O2 -fPIE -fcf-protection=full", "-pie", false),
    build(
        "gcc",
        "-O2 -fPIE -fcf-protection=full",
        "-pie -Wl,-z,ibtplt",
        true,
    ),
    build("gcc", "-O0 -fPIE", "-pie", false),
    build("gcc", "-O0 -fno-pie", "-no-pie", true),
    build("gcc", "-O1 -fPIE", "-pie", false),
    build("gcc", "-O3 -fPIE -march=x86-64-v3", "-pie", false),
    build("gcc", "-Os -fPIE", "-pie", false),
    build(
        "gcc",
        "-O2 -fPIE -falign-loops=32 -falign-jumps=32",
        "-pie",
        false,
    ),
    build("gcc", "-O2 -fPIE -fno-align-functions", "-pie", false),
    build(
        "gcc",
        "-O2 -fPIE -fpatchable-function-entry=5,2",
        "-pie",
        false,
    ),
    build("gcc", "-O2 -fPIE -pg -mfentry", "-pie", false),
    build(
        "gcc",
        "-O2 -fPIE -fstack-protector-all -D_FORTIFY_SOURCE=2",
        "-pie",
        false,
    ),
    build(
        "gcc",
        "-O2 -fPIE -mharden-sls=all -mindirect-branch=thunk",
        "-pie",
        false,
    ),
    build(
        "gcc",
        "-O2 -fPIE -Wa,-mbranches-within-32B-boundaries",
        "-pie",
        false,
    ),
    build("gcc", "-O2 -fno-pie -mcmodel=large", "-no-pie", false),
    build("gcc", "-O2 -fno-pie -mcmodel=medium", "-no-pie", false),
    build(
        "gcc",
        "-O2 -fPIE -flto=auto -ffat-lto-objects -fno-lto",
        "-pie",
        false,
    ),
];
/// Needs `lld`, `mold` and `clang`; gold is in binutils.
const OTHER_TOOLS: &[Build] = &[
    build("gcc", PIE, "-pie -fuse-ld=gold", false),
    build("gcc", PIE, "-pie -fuse-ld=lld", true),
    build("gcc", "-O2 -fPIC -fno-plt", "-pie -fuse-ld=gold", false),
    build("gcc", "-O2 -fPIC -fno-plt", "-pie -fuse-ld=lld", false),
    build("gcc", "-O2 -fPIC -fno-plt", "-static -fuse-ld=lld", false),
    build("gcc", "-O2 -fPIC -fno-plt", "-no-pie -fuse-ld=gold", true),
    build(
        "gcc",
        "-O2 -fPIC -mtls-dialect=gnu2",
        "-pie -fuse-ld=lld",
        false,
    ),
    build(
        "gcc",
        "-O2 -fPIC -ftls-model=local-dynamic",
        "-pie -fuse-ld=lld",
        false,
    ),
    build(
        "gcc",
        "-O2 -fPIC -ftls-model=local-dynamic",
        "-pie -fuse-ld=gold",
        false,
    ),
    build("gcc", "-O2 -fPIC -fno-plt", "-pie -fuse-ld=mold", false),
    build("gcc", "-O2 -fPIC -fno-plt", "-static -fuse-ld=mold", false),
    build(
        "gcc",
        "-O2 -fPIC -mtls-dialect=gnu2",
        "-pie -fuse-ld=mold",
        false,
    ),
    build(
        "gcc",
        "-O2 -fPIC -ftls-model=local-dynamic",
        "-pie -fuse-ld=mold",
        false,
    ),
    build("clang", PIE, "-pie", false),
    build("clang", "-O2 -fno-pie", "-no-pie", true),
    build("clang", "-O2 -fPIC", "-pie", true),
    build("clang", "-O2 -fPIC -fno-plt", "-pie", false),
    build("clang", "-O2 -fPIC", "-shared -fuse-ld=lld", false),
    build("clang", "-O0 -fPIE", "-pie", false),
];

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

fn check(build: &Build) -> Report {
    let shop = Workshop::new();
    let (features, other) = (program("features.c"), program("other.c"));
    let (features, other) = (
        features.to_str().expect("UTF-8"),
        other.to_str().expect("UTF-8"),
    );
    let compile = |source: &str, more: &str, output: &str| {
        let mut arguments = words(build.flags);
        arguments.extend(words(more));
        arguments.extend(["-c", source]);
        shop.build(build.compiler, &arguments, output)
    };
    let old = compile(features, "-ffunction-sections -fdata-sections", "old.o");
    let whole = compile(features, "", "features.o");
    let mut link = words(build.flags);
    link.extend(words(build.link));
    link.push("features.o");
    if build.shared {
        compile(other, "-fPIC", "other.o");
        shop.build("gcc", &["-shared", "other.o"], "libother.so");
        link.extend(["-L.", "-lother"]);
    } else {
        compile(other, "", "other.o");
        link.push("other.o");
    }
    let image = Image::read(&shop.build(build.compiler, &link, "program"));
    let mut report = check_object(&Unit::read(&old), &image);
    report.merge(check_object(&Unit::read(&whole), &image));
    report
}

/// The functions and references of all builds, and how many functions had another length.
fn check_all(builds: &[Build]) -> (usize, usize, usize) {
    let mut failures = Vec::new();
    let (mut functions, mut references, mut lengths) = (0, 0, 0);
    for build in builds {
        let report = check(build);
        let library = if build.shared { " + library" } else { "" };
        let title = format!(
            "{} {} | {}{library}",
            build.compiler, build.flags, build.link
        );
        functions += report.matched;
        references += report.references;
        lengths += report.other_length;
        let all = report.different.iter().chain(&report.wrong);
        failures.extend(all.map(|what| format!("{title}: {what}")));
    }
    println!("{functions} functions, {references} references, {lengths} of other length");
    assert!(failures.is_empty(), "{failures:#?}");
    (functions, references, lengths)
}

#[test]
fn every_function_matches_its_linked_code_however_it_was_built() {
    let (functions, references, lengths) = check_all(BUILDS);
    assert!(functions > 2000 && references > 8000 && lengths > 50);
}

#[test]
fn every_function_matches_its_linked_code_with_other_compilers_and_linkers() {
    let (functions, references, lengths) = check_all(OTHER_TOOLS);
    assert!(functions > 900 && references > 3000 && lengths > 20);
}
