//! A case compiled: the program that runs, and the objects to compare.
//!
//! The running program is linked from objects compiled without `-ffunction-sections`, as a
//! distribution does; the objects given to `patchgen` have it unless the case or the form says otherwise.

use crate::compile::{Compile, run_all};
use crate::directives::{Directives, Link, Pack, Strip};
use crate::form::{Form, Language};
use crate::target::{Target, dying};
use crate::tools::{self, Finished, run, target_directory, tests_directory};
use anyhow::{Context, Result, ensure};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The flags that give each function and variable its own section.
const SECTIONS: [&str; 2] = ["-ffunction-sections", "-fdata-sections"];
/// Languages, by the suffix of their files.
const SUFFIXES: [&str; 3] = ["c", "cc", "rs"];

/// A compiled case.
#[derive(Debug)]
pub struct Program {
    /// Where the sources are.
    source: PathBuf,
    /// What the names of its versions end with.
    suffix: &'static str,
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
        let mut program = Self::read(case, test, None)?;
        change(&mut program.directives);
        program.make()?;
        Ok(program)
    }

    /// Reads the directives of a case, as they hold in a form of the matrix; nothing is compiled.
    ///
    /// # Errors
    /// When there is no such case, or its directives are wrong.
    pub fn read(case: &str, test: &str, form: Option<&Form>) -> Result<Self> {
        let source = tests_directory().join(case);
        let mut suffixes = SUFFIXES.into_iter();
        let suffix = suffixes
            .find(|suffix| source.join(format!("old.{suffix}")).exists())
            .with_context(|| format!("there is no case `{case}`"))?;
        let text = fs::read_to_string(source.join(format!("old.{suffix}")))?;
        let mut directives = Directives::parse_for(&text, form)?;
        match suffix {
            "cc" => directives.language = Language::Cxx,
            "rs" => directives.forms = None,
            _ => {}
        }
        Ok(Self {
            source,
            suffix,
            directory: target_directory().join("built").join(test),
            directives,
        })
    }

    /// Compiles what [`Program::read`] read.
    ///
    /// # Errors
    /// When a compiler complains.
    pub fn make(&self) -> Result<()> {
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => fs::create_dir_all(&self.directory)?,
        }
        self.link(&self.version("old"), &self.directory)?;
        self.strip()
    }

    /// Removes what was compiled.
    ///
    /// # Errors
    /// When that fails.
    pub fn remove(&self) -> Result<()> {
        fs::remove_dir_all(&self.directory).context("remove what was compiled")
    }

    /// The name of a version's source file: `old.c` for `old`.
    #[must_use]
    pub fn version(&self, name: &str) -> String {
        format!("{name}.{}", self.suffix)
    }

    /// Whether the case is written in C++, or in Rust.
    #[must_use]
    pub fn is_in(&self, suffix: &str) -> bool {
        self.suffix == suffix
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
    /// called `patch.c`, as that of the running code, or what the case packs such objects into.
    ///
    /// # Errors
    /// When the compiler complains.
    pub fn object(&self, source: &str) -> Result<PathBuf> {
        let directory = self.path(source.split('.').next().unwrap_or_default());
        fs::create_dir_all(&directory)?;
        let sections: &[&str] = if self.directives.sections {
            &SECTIONS
        } else {
            &[]
        };
        if self.directives.pack == Pack::LinkStep {
            self.link_with(source, &directory, sections)?;
            return link_step(&directory);
        }
        self.pack(source, &directory, sections)
    }

    /// Runs `patchgen` on two source files of the case; the bundle is [`Program::path`]`(bundle)`.
    ///
    /// # Errors
    /// When a compiler complains, `old.o` lacks what the case is about, or `patchgen` cannot be run.
    pub fn patchgen(&self, old: &str, new: &str, bundle: &str) -> Result<Finished> {
        self.patchgen_with(old, new, bundle, &[])
    }

    /// The same, with more arguments.
    ///
    /// # Errors
    /// When `patchgen` cannot be run.
    pub fn patchgen_with(
        &self,
        old: &str,
        new: &str,
        bundle: &str,
        more: &[&str],
    ) -> Result<Finished> {
        let (old, new) = (self.object(old)?, self.object(new)?);
        let mut arguments: Vec<OsString> = vec![old.into(), new.into(), "-o".into()];
        arguments.push(self.path(bundle).into());
        if self.directives.target {
            arguments.extend(["--target".into(), self.path("unstripped").into()]);
        }
        arguments.extend(self.directives.patchgen.iter().map(OsString::from));
        arguments.extend(more.iter().map(OsString::from));
        tools::patchgen(arguments)
    }

    /// Makes the case's patch, `fix.lpatch`.
    ///
    /// # Errors
    /// When `patchgen` does anything but write a bundle.
    pub fn patch(&self) -> Result<PathBuf> {
        let (old, new) = (self.version("old"), self.version("new"));
        self.patchgen(&old, &new, "fix.lpatch")?.expect(0)?;
        Ok(self.path("fix.lpatch"))
    }

    /// Fails unless the old object has what the case is about.
    ///
    /// # Errors
    /// When it lacks something, or was not compiled yet.
    pub fn check_old(&self) -> Result<()> {
        let listing = run(Command::new("readelf")
            .arg("-WrsS")
            .arg(self.path("old/patch.o")))?;
        for text in &self.directives.old_has {
            ensure!(
                listing.stdout.contains(text),
                "the compiler made no `{text}`, which the case is about"
            );
        }
        Ok(())
    }

    fn compile<'p>(&'p self, directory: &'p Path, flags: &'p [&'p str]) -> Compile<'p> {
        Compile {
            source: &self.source,
            directory,
            directives: &self.directives,
            flags,
        }
    }

    /// Compiles a version and packs it.
    fn pack(&self, source: &str, directory: &Path, flags: &[&str]) -> Result<PathBuf> {
        let compile = self.compile(directory, flags);
        let object = compile.version(source)?;
        let packed = |name: &str| directory.join(name);
        let helpers = || -> Result<Vec<PathBuf>> {
            let files = self.helpers()?.into_iter();
            let of_case = files.filter(|path| !path.ends_with("host.c"));
            of_case.map(|path| compile.helper(&path, source)).collect()
        };
        match self.directives.pack {
            Pack::Nothing | Pack::LinkStep => Ok(object),
            Pack::Archive => {
                let mut archiver = Command::new("ar");
                archiver.arg("rcsD").arg(packed("packed.a")).arg(object);
                run_all(archiver.args(helpers()?))?;
                Ok(packed("packed.a"))
            }
            Pack::Partial => {
                let mut linker = Command::new("ld");
                linker.arg("-r").arg(object).args(helpers()?);
                run_all(linker.arg("-o").arg(packed("packed.o")))?;
                Ok(packed("packed.o"))
            }
        }
    }

    fn link(&self, source: &str, directory: &Path) -> Result<()> {
        self.link_with(source, directory, &[])
    }

    /// Links `program` (and `libcase.so`).
    fn link_with(&self, source: &str, directory: &Path, flags: &[&str]) -> Result<()> {
        let directives = &self.directives;
        let packed = self.pack(source, directory, flags)?;
        let compile = self.compile(directory, flags);
        let own = match self.suffix {
            "rs" => directory.join("libpatch.a"),
            _ => packed,
        };
        let mut helpers = self.helpers()?;
        if matches!(directives.pack, Pack::Archive | Pack::Partial) {
            helpers.retain(|path| path.ends_with("host.c"));
        }
        // First, so that something follows the case's code.
        let mut inputs = vec![own.clone()];
        for helper in helpers {
            inputs.push(compile.helper(&helper, source)?);
        }
        inputs.push(compile.harness("main.c")?);
        if own.extension().is_some_and(|suffix| suffix == "a") {
            inputs.push(own.clone());
        }
        if directives.link == Link::Shared {
            let library = directory.join("libcase.so");
            let mut linker = compile.linker(&["-shared", "-Wl,-soname,libcase.so"]);
            run_all(linker.arg(&own).arg("-o").arg(&library))?;
            inputs.remove(0);
            inputs.extend([library, "-Wl,-rpath,$ORIGIN".into()]);
        }
        let mut linker = compile.linker(directives.link.link_flags());
        if directives.pack == Pack::LinkStep {
            linker
                .args(["-save-temps", "-flto=1"])
                .args(&directives.cflags)
                .args(flags);
        }
        linker
            .arg("-pthread")
            .args(&inputs)
            .args(["-ldl", "-lm"])
            .args(&directives.libraries)
            .arg("-o")
            .arg(directory.join("program"));
        run_all(&mut linker)
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
    let code = name.ends_with(".c") || name.ends_with(".cc") || name.ends_with(".S");
    code && !name.starts_with("old.") && !name.starts_with("new")
}

/// The directory of objects that the link step compiled into `directory`.
fn link_step(directory: &Path) -> Result<PathBuf> {
    let objects = directory.join("objects");
    fs::create_dir_all(&objects)?;
    let mut count = 0;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".ltrans.o") {
            fs::copy(&path, objects.join(&*name))?;
            count += 1;
        }
    }
    ensure!(count > 0, "the link step left no objects");
    Ok(objects)
}
