//! A case compiled: the program that runs, and the objects to compare.
//!
//! The running program is linked from objects compiled without `-ffunction-sections`, as a
//! distribution does; the objects given to `patchgen` have it.

use crate::directives::{Directives, Link, Strip};
use crate::target::{Target, dying};
use crate::tools::{self, Finished, run, target_directory, tests_directory};
use anyhow::{Context, Result, ensure};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The flags that give each function and variable its own section.
const SECTIONS: [&str; 2] = ["-ffunction-sections", "-fdata-sections"];

/// A compiled case.
#[derive(Debug)]
pub struct Program {
    /// Where the sources are.
    source: PathBuf,
    /// Where everything compiled goes; unlike for every test, so that tests run side by side.
    directory: PathBuf,
    /// What the case says.
    pub directives: Directives,
}

impl Program {
    /// Compiles `case`, a directory under `tests`, for the test called `test`.
    ///
    /// # Errors
    /// When the directives are wrong or a compiler complains.
    pub fn build(case: &str, test: &str) -> Result<Self> {
        Self::build_with(case, test, |_| ())
    }

    /// As [`Program::build`], with the directives changed by the test.
    ///
    /// # Errors
    /// When the directives are wrong or a compiler complains.
    pub fn build_with(
        case: &str,
        test: &str,
        change: impl FnOnce(&mut Directives),
    ) -> Result<Self> {
        let source = tests_directory().join(case);
        let text = fs::read_to_string(source.join("old.c"))
            .with_context(|| format!("there is no case `{case}`"))?;
        let mut directives = Directives::parse(&text)?;
        change(&mut directives);
        let directory = target_directory().join("built").join(test);
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => fs::create_dir_all(&directory)?,
        }
        let program = Self {
            source,
            directory,
            directives,
        };
        program.link()?;
        program.strip()?;
        Ok(program)
    }

    /// A path in the directory of compiled files.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The executable.
    #[must_use]
    pub fn executable(&self) -> PathBuf {
        self.path("program")
    }

    /// The file that the case's code is linked into: the executable or the shared library.
    #[must_use]
    pub fn module(&self) -> PathBuf {
        match self.directives.link {
            Link::Shared => self.path("libcase.so"),
            _ => self.executable(),
        }
    }

    /// Starts the program.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start(&self) -> Result<Target> {
        Target::start(&mut self.command())
    }

    /// The command that runs the program.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = dying(self.executable());
        command
            .current_dir(&self.directory)
            // The kernel writes the processor's number into the rseq area by itself.
            .env("GLIBC_TUNABLES", "glibc.pthread.rseq=0");
        command
    }

    /// Compiles a source file of the case for `patchgen`: an object `NAME.o` whose source file is
    /// called `patch.c`, as that of the running code.
    ///
    /// # Errors
    /// When the compiler complains.
    pub fn object(&self, source: &str) -> Result<PathBuf> {
        let directory = self.path(source.trim_end_matches(".c"));
        fs::create_dir_all(&directory)?;
        let object = directory.join("patch.o");
        self.compile(source, &directory, &object, &SECTIONS)?;
        Ok(object)
    }

    /// Runs `patchgen` on two source files of the case; the bundle is [`Program::path`]`(bundle)`.
    ///
    /// # Errors
    /// When a compiler complains, `old.o` lacks what the case is about, or `patchgen` cannot be run.
    pub fn patchgen(&self, old: &str, new: &str, bundle: &str) -> Result<Finished> {
        let (old, new) = (self.object(old)?, self.object(new)?);
        self.check_old(&old)?;
        let mut arguments: Vec<OsString> = vec![old.into(), new.into(), "-o".into()];
        arguments.push(self.path(bundle).into());
        if self.directives.target {
            arguments.extend(["--target".into(), self.path("unstripped").into()]);
        }
        arguments.extend(self.directives.patchgen.iter().map(OsString::from));
        tools::patchgen(arguments)
    }

    /// Makes the case's patch, `fix.lpatch`.
    ///
    /// # Errors
    /// When `patchgen` does anything but write a bundle.
    pub fn patch(&self) -> Result<PathBuf> {
        self.patchgen("old.c", "new.c", "fix.lpatch")?.expect(0)?;
        Ok(self.path("fix.lpatch"))
    }

    fn check_old(&self, old: &Path) -> Result<()> {
        let listing = run(Command::new("readelf").arg("-Wrs").arg(old))?.expect(0)?;
        for text in &self.directives.old_has {
            ensure!(
                listing.stdout.contains(text),
                "the compiler made no `{text}`, which the case is about"
            );
        }
        Ok(())
    }

    fn compile(&self, source: &str, directory: &Path, object: &Path, flags: &[&str]) -> Result<()> {
        let copy = directory.join("patch.c");
        fs::copy(self.source.join(source), &copy)?;
        let link = self.directives.link;
        let mut compiler = Command::new(link.compiler());
        compiler
            .current_dir(directory)
            .args(link.compile_flags())
            .args(&self.directives.cflags)
            .args(flags)
            .arg("-I")
            .arg(&self.source)
            .arg("-I")
            .arg(tests_directory().join("../patchgen/include"))
            .args(["-c", "patch.c", "-o"])
            .arg(object);
        run(&mut compiler)?.expect(0).map(drop)
    }

    /// Links `program` (and `libcase.so`).
    fn link(&self) -> Result<()> {
        self.compile("old.c", &self.directory, &self.path("patch.o"), &[])?;
        // First, so that something follows the case's code.
        let mut inputs = vec![self.path("patch.o")];
        inputs.extend(self.helpers()?);
        inputs.push(tests_directory().join("harness/main.c"));
        if self.directives.link == Link::Shared {
            let library = self.module();
            let mut linker = self.linker(&["-shared", "-Wl,-soname,libcase.so"]);
            linker.arg(self.path("patch.o")).arg("-o").arg(&library);
            run(&mut linker)?.expect(0)?;
            inputs.remove(0);
            inputs.extend([library, "-Wl,-rpath,$ORIGIN".into()]);
        }
        let mut linker = self.linker(self.directives.link.link_flags());
        linker
            .args(self.directives.link.compile_flags())
            .args(["-O2", "-pthread"])
            .args(&inputs)
            .args(["-ldl", "-lm", "-o"])
            .arg(self.executable());
        run(&mut linker)?.expect(0).map(drop)
    }

    /// The case's other source files, or the usual host.
    fn helpers(&self) -> Result<Vec<PathBuf>> {
        let mut helpers: Vec<_> = fs::read_dir(&self.source)?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?;
        helpers.retain(|path| is_helper(path));
        helpers.sort();
        if !helpers.iter().any(|path| path.ends_with("host.c")) {
            helpers.push(tests_directory().join("harness/host.c"));
        }
        Ok(helpers)
    }

    fn linker(&self, flags: &[&str]) -> Command {
        let mut linker = Command::new(self.directives.link.compiler());
        linker.args(flags).arg("-Wl,--build-id");
        linker
    }

    fn strip(&self) -> Result<()> {
        let module = self.module();
        fs::copy(&module, self.path("unstripped"))?;
        if self.directives.strip == Strip::DebugFile {
            self.install_debug_file(&module)?;
        }
        if self.directives.strip != Strip::Nothing {
            run(Command::new("strip").arg(&module))?.expect(0)?;
        }
        Ok(())
    }

    /// Puts the symbols below the directory `debug`, where a debug package puts them below `/usr/lib/debug`.
    fn install_debug_file(&self, module: &Path) -> Result<()> {
        let notes = run(Command::new("readelf").arg("-n").arg(module))?.expect(0)?;
        let (_, rest) = notes
            .stdout
            .split_once("Build ID: ")
            .context("no build ID")?;
        let id = rest.lines().next().unwrap_or("").trim();
        let (directory, file) = id.split_at_checked(2).context("a short build ID")?;
        let directory = self.path("debug/.build-id").join(directory);
        fs::create_dir_all(&directory)?;
        let debug = directory.join(format!("{file}.debug"));
        let mut objcopy = Command::new("objcopy");
        objcopy.arg("--only-keep-debug").arg(module).arg(debug);
        run(&mut objcopy)?.expect(0).map(drop)
    }
}

/// Sources other than the versions of the patched file: `old.c`, `new.c`, `newer.c`, `new-….c`.
fn is_helper(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".c") && name != "old.c" && !name.starts_with("new")
}
