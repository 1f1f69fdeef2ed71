//! Compiling the target and its patches.

use crate::tools::{patchgen, run, target_directory, tests_directory};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The compiled files.
#[derive(Clone, Debug)]
pub struct Built {
    /// Where they are.
    pub directory: PathBuf,
}

/// Which functions a patch changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patch {
    /// One: the switch is one write.
    One,
    /// Three on pages of their own: three writes.
    Three,
    /// One, with hooks at every stage and a shadow variable.
    Hooks,
}

impl Patch {
    /// Its name, and the bundle's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Three => "three",
            Self::Hooks => "hooks",
        }
    }

    /// How many functions it changes.
    #[must_use]
    pub fn functions(self) -> usize {
        match self {
            Self::One | Self::Hooks => 1,
            Self::Three => 3,
        }
    }
}

impl Built {
    /// Compiles everything into `target/built/NAME`.
    ///
    /// # Errors
    /// When a compiler or `patchgen` complains.
    pub fn make(name: &str) -> Result<Self> {
        let directory = std::path::absolute(target_directory().join("built").join(name))?;
        fs::create_dir_all(&directory)?;
        let built = Self { directory };
        built.object("running.o", &["-DFIRST=1", "-DREST=1"])?;
        let sections = ["-ffunction-sections", "-fdata-sections"];
        for (name, flags) in [
            ("old.o", &["-DFIRST=1", "-DREST=1"][..]),
            ("one.o", &["-DFIRST=2", "-DREST=1"]),
            ("three.o", &["-DFIRST=2", "-DREST=2"]),
            ("hooks.o", &["-DFIRST=2", "-DREST=1", "-DHOOKS"]),
        ] {
            built.object(name, &[flags, &sections[..]].concat())?;
        }
        let running = built.path("running.o");
        built.gcc(
            &["-pthread", "-Wl,--build-id", "target.c"],
            &running,
            "target",
        )?;
        // Until it is on the disk, its pages count as changed by the process.
        fs::File::open(built.path("target"))?.sync_all()?;
        for patch in [Patch::One, Patch::Three, Patch::Hooks] {
            let (old, new) = (
                built.path("old.o"),
                built.path(&format!("{}.o", patch.name())),
            );
            let bundle = built.bundle(patch);
            patchgen([&old, &new, &PathBuf::from("-o"), &bundle])?.expect(0)?;
        }
        Ok(built)
    }

    /// A file.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A bundle.
    #[must_use]
    pub fn bundle(&self, patch: Patch) -> PathBuf {
        self.path(&format!("{}.lpatch", patch.name()))
    }

    /// Removes everything.
    ///
    /// # Errors
    /// When that fails.
    pub fn remove(&self) -> Result<()> {
        fs::remove_dir_all(&self.directory).context("remove what was compiled")
    }

    fn object(&self, name: &str, flags: &[&str]) -> Result<()> {
        self.gcc(&[&["-c"], flags].concat(), Path::new("functions.c"), name)
    }

    fn gcc(&self, flags: &[&str], last: &Path, output: &str) -> Result<()> {
        let mut compiler = Command::new("gcc");
        compiler
            .current_dir(tests_directory().join("kill"))
            .args(["-O2", "-g", "-I"])
            .arg(tests_directory().join("../patchgen/include"))
            .args(flags)
            .arg(last)
            .arg("-o")
            .arg(self.path(output));
        run(&mut compiler)?.expect(0).map(drop)
    }
}
