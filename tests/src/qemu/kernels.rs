//! Stock kernels that `scripts/kernels` unpacked, and their modules.

use crate::tools::{run, target_directory, tests_directory};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The newest stock kernels of these series are tested.
pub const SERIES: [&str; 2] = ["6.1", "6.12"];

/// An unpacked stock kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    root: PathBuf,
    /// The name of its release, as `uname -r` tells it.
    pub release: String,
}

impl Kernel {
    /// The kernel of a series ([`SERIES`]) or release that `scripts/kernels` unpacked.
    ///
    /// # Errors
    /// When it is not there.
    pub fn unpacked(name: &str) -> Result<Self> {
        let link = target_directory().join("kernels").join(name);
        let root = fs::canonicalize(&link).with_context(|| {
            let place = link.display();
            format!("`{place}` is missing: run `scripts/kernels {name}` first")
        })?;
        let release = root
            .file_name()
            .context("a kernel's directory has a name")?;
        let release = release.to_string_lossy().into_owned();
        Ok(Self { root, release })
    }

    /// The directory that everything of it lies in, as on a disk.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The compressed image.
    #[must_use]
    pub fn image(&self) -> PathBuf {
        self.root.join(format!("boot/vmlinuz-{}", self.release))
    }

    /// The directory that modules are built with (`make -C`).
    #[must_use]
    pub fn headers(&self) -> PathBuf {
        self.root
            .join(format!("usr/src/linux-headers-{}", self.release))
    }

    /// A module and what it depends on, in the order in which they are to be loaded: names and contents.
    ///
    /// # Errors
    /// When the kernel has no such module, or it cannot be unpacked.
    pub fn module(&self, name: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let directory = self.root.join("lib/modules").join(&self.release);
        let lists = fs::read_to_string(directory.join("modules.dep"))?;
        let line = lists
            .lines()
            .find(|line| line.split(':').next().map(module_name) == Some(name.replace('-', "_")))
            .with_context(|| format!("kernel {} has no module `{name}`", self.release))?;
        // `path: what it needs`, what is needed first comes last
        let paths = line.split([':', ' ']).filter(|path| !path.is_empty());
        let mut modules: Vec<_> = paths
            .map(|path| Ok((module_name(path), contents(&directory.join(path))?)))
            .collect::<Result<_>>()?;
        modules.reverse();
        Ok(modules)
    }

    /// The companion module for this kernel, which `scripts/kmod` built.
    ///
    /// # Errors
    /// When it is not there.
    pub fn companion(&self) -> Result<PathBuf> {
        let directory = target_directory().join("kmod").join(&self.release);
        let path = directory.join("livepatch_kmod.ko");
        ensure!(
            path.exists(),
            "`{}` is missing: run `scripts/kmod` first",
            path.display()
        );
        Ok(path)
    }

    /// Builds the modules of a directory under `tests` with a `Kbuild`, by the kernel's headers; returns the one that the
    /// directory is named after, which the others lie beside.
    ///
    /// # Errors
    /// When the compiler complains.
    pub fn build_module(&self, directory: &str) -> Result<PathBuf> {
        let source = tests_directory().join(directory);
        let name = source.file_name().context("a module has a name")?;
        let modules = target_directory().join("qemu-modules").join(&self.release);
        fs::create_dir_all(&modules)?;
        // Tests that need the same module build it at the same time: each in a place of its own.
        let place = tempfile::tempdir_in(fs::canonicalize(&modules)?)?;
        for entry in fs::read_dir(&source)? {
            let file = entry?.path();
            fs::copy(
                &file,
                place.path().join(file.file_name().unwrap_or_default()),
            )?;
        }
        let mut make = Command::new("make");
        make.arg("-C").arg(self.headers());
        make.arg(format!("M={}", place.path().display()))
            .arg("modules");
        run(&mut make)?.expect(0)?;
        for entry in fs::read_dir(place.path())? {
            let file = entry?.path();
            if file.extension().is_some_and(|suffix| suffix == "ko") {
                fs::rename(&file, modules.join(file.file_name().unwrap_or_default()))?;
            }
        }
        Ok(modules.join(name).with_extension("ko"))
    }
}

/// The name of a module, from its file's.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    let name = file.split('.').next().unwrap_or(file);
    name.replace('-', "_")
}

/// A module's ELF file; Debian compresses those of newer kernels.
fn contents(path: &Path) -> Result<Vec<u8>> {
    if path.extension().is_none_or(|suffix| suffix != "xz") {
        return fs::read(path).with_context(|| format!("cannot read `{}`", path.display()));
    }
    let output = Command::new("xz").arg("-dc").arg(path).output()?;
    ensure!(
        output.status.success(),
        "cannot unpack `{}`",
        path.display()
    );
    Ok(output.stdout)
}

/// The shared libraries that a program needs: paths as they must be found.
pub(super) fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let needed = run(Command::new("ldd").arg(program))?;
    let paths = needed.stdout.split_whitespace();
    let absolute = paths.filter(|word| word.starts_with('/') && !word.ends_with(':'));
    Ok(absolute.map(PathBuf::from).collect())
}

/// A program without its debug information, of which a debug build has 100 MB.
pub(super) fn without_debug(program: &Path) -> Result<Vec<u8>> {
    let stripped = tempfile::NamedTempFile::new()?;
    let mut strip = Command::new("strip");
    strip.arg("-g").arg("-o").arg(stripped.path()).arg(program);
    run(&mut strip)?.expect(0)?;
    Ok(fs::read(stripped.path())?)
}
