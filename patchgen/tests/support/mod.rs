//! Compiling and running for the tests.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod directives;
pub(crate) mod vmlinux;

use livepatch_bundle::Bundle;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a command said.
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// How the kernel is compiled, as far as it matters here.
pub(crate) fn kernel_flags() -> [&'static str; 12] {
    [
        "-fno-pic",
        "-mcmodel=kernel",
        "-mno-red-zone",
        "-mno-sse",
        "-ffreestanding",
        "-fcf-protection=none",
        "-fno-asynchronous-unwind-tables",
        "-fno-stack-protector",
        "-fno-jump-tables",
        "-pg",
        "-mfentry",
        "-mrecord-mcount",
    ]
}

/// Where the cases are.
pub(crate) fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Run {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    Run {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Compiles a case as `VERSION/case.o`, always from `case.c` (`.cpp`, `.rs`) in the same place. To Rust, `-DNEW` is `--cfg new`.
pub(crate) fn compile(directory: &Path, source: &Path, version: &str, flags: &[&str]) -> PathBuf {
    let out = directory.join(version);
    std::fs::create_dir_all(&out).expect("writable");
    let object = out.join("case.o");
    let extension = source.extension().unwrap_or_default().to_string_lossy();
    let case = format!("case.{extension}");
    std::fs::copy(source, directory.join(&case)).expect("readable");
    if extension == "rs" {
        compile_rust(directory, &object, flags);
        return object;
    }
    let compiler = if extension == "cpp" { "g++" } else { "gcc" };
    let mut gcc = Command::new(compiler);
    gcc.current_dir(directory)
        .args(["-O2", "-g", "-ffunction-sections", "-fdata-sections", "-I"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("include"));
    let result = run(gcc.args(flags).args(["-c", &case, "-o"]).arg(&object));
    assert_eq!(result.status, 0, "{}: {}", source.display(), result.stderr);
    object
}

fn compile_rust(directory: &Path, object: &Path, flags: &[&str]) {
    let mut rustc = Command::new("rustc");
    rustc.current_dir(directory).args([
        "--edition=2021",
        "--crate-type=lib",
        "--emit=obj",
        "-g",
        "-Copt-level=2",
        "-Ccodegen-units=1",
    ]);
    let new = |flag: &&str| if *flag == "-DNEW" { "--cfg=new" } else { *flag }.to_owned();
    let flags: Vec<String> = flags.iter().map(new).collect();
    let result = run(rustc.args(flags).args(["case.rs", "-o"]).arg(object));
    assert_eq!(result.status, 0, "{}", result.stderr);
}

/// Writes a source file and compiles it to an object of any name.
pub(crate) fn compile_text(directory: &Path, object: &str, text: &str, flags: &[&str]) -> PathBuf {
    let object = directory.join(object);
    std::fs::create_dir_all(object.parent().expect("in a directory")).expect("writable");
    let name = object
        .file_stem()
        .expect("named")
        .to_string_lossy()
        .into_owned();
    let sources = directory.join("sources");
    std::fs::create_dir_all(&sources).expect("writable");
    std::fs::write(sources.join(format!("{name}.c")), text).expect("writable");
    let mut gcc = Command::new("gcc");
    gcc.current_dir(&sources)
        .args(["-O2", "-g", "-ffunction-sections", "-fdata-sections"]);
    let result = run(gcc
        .args(flags)
        .arg("-c")
        .arg(format!("{name}.c"))
        .arg("-o")
        .arg(&object));
    assert_eq!(result.status, 0, "{}", result.stderr);
    object
}

/// Runs `patchgen OLD NEW -o OUTPUT`.
pub(crate) fn patchgen(old: &Path, new: &Path, output: &Path, options: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchgen"));
    run(command
        .arg(old)
        .arg(new)
        .arg("-o")
        .arg(output)
        .args(options))
}

/// Reads a bundle back.
pub(crate) fn read_bundle(path: &Path) -> Bundle {
    let bytes = std::fs::read(path).expect("written");
    livepatch_bundle::read(&bytes).expect("a bundle")
}

/// What the linker has against the bundle.
pub(crate) fn link_again(bundle: &Path) -> Vec<String> {
    let result = run(Command::new("ld")
        .args(["-r", "-o", "/dev/null"])
        .arg(bundle));
    if result.status == 0 && result.stderr.is_empty() {
        Vec::new()
    } else {
        vec![format!("ld -r: {}", result.stderr)]
    }
}
