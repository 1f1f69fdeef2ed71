//! Patches of the kernel's source, made into `.kpatch` files: the object is built by the kernel's headers before and after.
//!
//! A file of `tests/kernel/patches` is a patch for `patch -p1` with two lines of its own at the top: what it shows, and
//! `Object: PATH` (`Module: NAME` follows where the object is a module's).

use super::Kernel;
use crate::tools::{patchgen, run, target_directory, tests_directory};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What objtool is told by the build of kernels that delay it until modules are linked.
const OBJTOOL: &str = "--hacks=jump_label --hacks=noinstr --hacks=skylake --orc --retpoline --rethunk --sls \
                       --static-call --uaccess --prefix=16";

/// A patch of the kernel's source.
#[derive(Debug)]
struct Patch {
    path: PathBuf,
    object: PathBuf,
    module: Option<String>,
}

impl Patch {
    fn read(name: &str) -> Result<Self> {
        let path = tests_directory().join(format!("kernel/patches/{name}.patch"));
        let text = fs::read_to_string(&path).with_context(|| format!("no patch `{name}`"))?;
        let field = |field: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(field).map(str::trim).map(str::to_owned))
        };
        Ok(Self {
            object: field("Object:")
                .context("a patch says which object it changes")?
                .into(),
            module: field("Module:"),
            path,
        })
    }
}

impl Kernel {
    /// Makes the `.kpatch` of a patch in `tests/kernel/patches`; `arguments` are more ones for `patchgen`.
    ///
    /// # Errors
    /// When the source is missing, a compiler complains, or `patchgen` refuses.
    pub fn kpatch(&self, name: &str, arguments: &[&str]) -> Result<PathBuf> {
        let patch = Patch::read(name)?;
        let directory = target_directory().join("kpatches").join(&self.release);
        fs::create_dir_all(&directory)?;
        // Tests that need the same patch make it at the same time: each in a place of its own.
        let place = tempfile::tempdir_in(fs::canonicalize(&directory)?)?;
        let old = self.object(&patch, place.path(), "old")?;
        let new = self.object(&patch, place.path(), "new")?;
        let made = place.path().join(format!("{name}.kpatch"));
        let mut command: Vec<String> = vec!["--kernel".into(), self.release.clone()];
        command.extend(["--root".into(), self.root().display().to_string()]);
        if let Some(module) = &patch.module {
            command.extend(["--module".into(), module.clone()]);
        }
        command.extend(arguments.iter().map(ToString::to_string));
        for path in [&old, &new, Path::new("-o"), &made] {
            command.push(path.display().to_string());
        }
        patchgen(command)?.expect(0)?;
        let kept = directory.join(format!("{name}.kpatch"));
        fs::rename(made, &kept)?;
        Ok(kept)
    }

    /// Builds the object before (`old`) or after (`new`) the patch.
    fn object(&self, patch: &Patch, place: &Path, version: &str) -> Result<PathBuf> {
        let tree = place.join("tree");
        if tree.exists() {
            fs::remove_dir_all(&tree)?;
        }
        let directory = patch
            .object
            .parent()
            .context("an object lies in a directory")?;
        self.tree(directory, &tree)?;
        if version == "new" {
            let mut apply = Command::new("patch");
            apply
                .args(["-p1", "-s", "-d"])
                .arg(&tree)
                .arg("-i")
                .arg(&patch.path);
            run(&mut apply)?.expect(0)?;
        }
        let sources = tree.join(directory);
        let name = patch.object.file_name().context("an object has a name")?;
        let mut make = Command::new("make");
        make.arg("-s").arg("-C").arg(self.headers());
        make.arg(format!("M={}", sources.display()));
        make.arg("KCFLAGS=-ffunction-sections -fdata-sections")
            .arg(name);
        run(&mut make)?.expect(0)?;
        self.objtool(&sources.join(name))?;
        let kept = place.join(format!("{version}.o"));
        fs::rename(sources.join(name), &kept)?;
        Ok(kept)
    }

    /// A copy of a directory of the source, in which it can be built; what lies around it is linked to.
    fn tree(&self, directory: &Path, tree: &Path) -> Result<()> {
        let source = self.root().join("usr/src/linux-source");
        ensure!(
            source.is_dir(),
            "`{}` is missing: run `scripts/kernels --source` first",
            source.display()
        );
        let mut below = PathBuf::new();
        for part in directory.components() {
            fs::create_dir_all(tree.join(&below))?;
            for entry in fs::read_dir(source.join(&below))? {
                let entry = entry?;
                if entry.file_name() != part.as_os_str() {
                    symlink(entry.path(), tree.join(&below).join(entry.file_name()))?;
                }
            }
            below.push(part);
        }
        let mut copy = Command::new("cp");
        copy.arg("-r")
            .arg(source.join(directory))
            .arg(tree.join(directory));
        run(&mut copy)?.expect(0)?;
        // Only the object that is asked for is built, by the rules that every object has.
        fs::write(tree.join(directory).join("Kbuild"), "obj-y :=\n")?;
        Ok(())
    }

    /// Runs objtool where the build leaves that to the linking of modules.
    fn objtool(&self, object: &Path) -> Result<()> {
        let config = fs::read_to_string(self.headers().join(".config"))?;
        if !config.contains("CONFIG_X86_KERNEL_IBT=y") {
            return Ok(());
        }
        let mut objtool = Command::new(self.headers().join("tools/objtool/objtool"));
        objtool
            .env("SRCARCH", "x86")
            .args(OBJTOOL.split_whitespace())
            .arg(object);
        run(&mut objtool)?.expect(0).map(drop)
    }
}
