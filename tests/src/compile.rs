//! Running compilers and linkers on the files of a case.

use crate::directives::{Directives, Link, Pack};
use crate::form::{Compiler, Language};
use crate::tools::{run, tests_directory};
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a command that must succeed.
///
/// # Errors
/// With what it said when it does not.
pub(crate) fn run_all(command: &mut Command) -> Result<()> {
    run(command)?.expect(0).map(drop)
}

/// Compiles files of a case into a directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compile<'c> {
    /// Where the case's files are.
    pub source: &'c Path,
    /// Where the compiled ones go.
    pub directory: &'c Path,
    /// What the case says.
    pub directives: &'c Directives,
    /// More flags for code that is patched.
    pub flags: &'c [&'c str],
}

impl Compile<'_> {
    /// Compiles a version of the patched file to `patch.o`.
    pub(crate) fn version(&self, source: &str) -> Result<PathBuf> {
        let object = self.directory.join("patch.o");
        let suffix = source.rsplit('.').next().unwrap_or_default();
        if suffix == "rs" {
            self.rust(source)?;
            return Ok(object);
        }
        let language = if suffix == "cc" {
            Language::Cxx
        } else {
            self.directives.language
        };
        let name = match language {
            Language::C => "patch.c",
            Language::Cxx => "patch.cc",
        };
        fs::copy(self.source.join(source), self.directory.join(name))?;
        let mut compiler = self.compiler(language);
        compiler
            .args(self.flags_of(source))
            .args(self.flags)
            .args(["-c", name, "-o"])
            .arg(&object);
        run_all(&mut compiler)?;
        Ok(object)
    }

    /// Compiles another file of the case; of the new version the file `new-NAME` where there is one.
    pub(crate) fn helper(&self, path: &Path, source: &str) -> Result<PathBuf> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let newer = self.source.join(format!("new-{name}"));
        let of_new = source.starts_with("new") && newer.exists();
        let from = if of_new { &newer } else { path };
        fs::copy(from, self.directory.join(&*name))?;
        let object = self.directory.join(format!("{name}.o"));
        let of_harness = path.starts_with(tests_directory().join("harness"));
        let language = if name.ends_with(".cc") {
            Language::Cxx
        } else if of_harness || name.ends_with(".S") {
            Language::C
        } else {
            self.directives.language
        };
        let packed = self.directives.pack != Pack::Nothing;
        let mut compiler = self.compiler(language);
        if packed && !of_harness {
            compiler.args(self.flags_of(source)).args(self.flags);
        } else {
            compiler.args(["-O2", "-pthread"]);
        }
        run_all(compiler.args(["-c", &*name, "-o"]).arg(&object))?;
        Ok(object)
    }

    /// Compiles a file of the harness.
    pub(crate) fn harness(&self, name: &str) -> Result<PathBuf> {
        let object = self.directory.join(format!("{name}.o"));
        let mut compiler = self.compiler(Language::C);
        compiler.args(["-O2", "-pthread", "-c"]);
        compiler.arg(tests_directory().join("harness").join(name));
        run_all(compiler.arg("-o").arg(&object))?;
        Ok(object)
    }

    /// The command that links, with `flags`.
    pub(crate) fn linker(&self, flags: &[&str]) -> Command {
        let mut linker = Command::new(self.driver(self.directives.language));
        linker
            .current_dir(self.directory)
            .args(flags)
            .args(self.directives.link.compile_flags())
            .arg("-Wl,--build-id");
        linker
    }

    fn flags_of(&self, source: &str) -> &[String] {
        let newer = self.directives.new_cflags.as_ref();
        let newer = newer.filter(|_| source.starts_with("new"));
        newer.unwrap_or(&self.directives.cflags)
    }

    /// The static library that the program is linked with, and the object of the crate's own code.
    fn rust(&self, source: &str) -> Result<()> {
        fs::copy(self.source.join(source), self.directory.join("patch.rs"))?;
        let mut compiler = Command::new("rustc");
        compiler
            .current_dir(self.directory)
            .args([
                "--edition=2021",
                "--crate-type=staticlib",
                "--crate-name=patch",
            ])
            .args(["--emit=obj=patch.o,link=libpatch.a", "-Ccodegen-units=1"])
            .args(self.flags_of(source))
            .arg("patch.rs");
        run_all(&mut compiler)
    }

    /// The driver with the flags that all files have.
    fn compiler(&self, language: Language) -> Command {
        let mut compiler = Command::new(self.driver(language));
        compiler
            .current_dir(self.directory)
            .args(self.directives.link.compile_flags())
            .arg("-I")
            .arg(self.source)
            .arg("-I")
            .arg(tests_directory().join("../patchgen/include"));
        if language == Language::Cxx {
            let header = tests_directory().join("harness/cxx.h");
            compiler.arg("-include").arg(header).args(["-x", "c++"]);
        }
        compiler
    }

    fn driver(&self, language: Language) -> &'static str {
        match (self.directives.compiler, language) {
            _ if self.directives.link == Link::Musl => "musl-gcc",
            (Compiler::Gcc, Language::C) => "gcc",
            (Compiler::Gcc, Language::Cxx) => "g++",
            (Compiler::Clang, Language::C) => "clang",
            (Compiler::Clang, Language::Cxx) => "clang++",
        }
    }
}
