//! Patches of the kernel's source, made into `.kpatch` files as a user makes them: `patchgen kernel-objects`, then `patchgen --kernel`.

use super::Kernel;
use crate::tools::{Finished, patchgen, target_directory, tests_directory};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

impl Kernel {
    /// Makes the `.kpatch` of a patch in `tests/kernel/patches`; `arguments` are more ones for `patchgen`.
    ///
    /// # Errors
    /// When the source is missing, a compiler complains, or `patchgen` refuses.
    pub fn kpatch(&self, name: &str, arguments: &[&str]) -> Result<PathBuf> {
        self.kpatch_as(name, name, arguments)
    }

    /// The same under another name.
    ///
    /// # Errors
    /// As [`Self::kpatch`].
    pub fn kpatch_as(&self, name: &str, patch: &str, arguments: &[&str]) -> Result<PathBuf> {
        let patch = tests_directory().join(format!("kernel/patches/{patch}.patch"));
        self.kpatch_of(name, &patch, arguments)
    }

    /// Makes the `.kpatch` of what changed in a file of the source from this kernel to a newer one: of the changes (the
    /// hunks of `diff -u`) that have this text in them, or of all if it is empty.
    ///
    /// # Errors
    /// As [`Self::kpatch`].
    pub fn kpatch_of_change(
        &self,
        name: &str,
        newer: &Self,
        file: &str,
        text: &str,
    ) -> Result<PathBuf> {
        let diff = Command::new("diff")
            .args([
                "-u",
                "--label",
                &format!("a/{file}"),
                "--label",
                &format!("b/{file}"),
            ])
            .args([self.source()?.join(file), newer.source()?.join(file)])
            .output()?;
        let patch = tempfile::NamedTempFile::new()?;
        let all = String::from_utf8_lossy(&diff.stdout);
        fs::write(patch.path(), with_text(&all, text))?;
        self.kpatch_of(name, patch.path(), &[])
    }

    /// How long `patchgen` takes from a patch's objects to its `.kpatch`: each of some runs.
    ///
    /// # Errors
    /// As [`Self::kpatch`].
    pub fn kpatch_times(&self, name: &str, runs: usize) -> Result<Vec<Duration>> {
        let patch = tests_directory().join(format!("kernel/patches/{name}.patch"));
        let place = tempfile::tempdir()?;
        let objects = place.path().join("objects");
        self.kernel_objects(&patch, &objects)?.expect(0)?;
        let made = place.path().join("fix.kpatch");
        let times = (0..runs).map(|_| {
            let start = Instant::now();
            self.kpatch_of_objects(&objects, &made, &[])?.expect(0)?;
            Ok(start.elapsed())
        });
        times.collect()
    }

    fn kpatch_of(&self, name: &str, patch: &Path, arguments: &[&str]) -> Result<PathBuf> {
        let directory = target_directory().join("kpatches").join(&self.release);
        fs::create_dir_all(&directory)?;
        // Tests that need the same patch make it at the same time: each in a place of its own.
        let place = tempfile::tempdir_in(fs::canonicalize(&directory)?)?;
        let objects = place.path().join("objects");
        self.kernel_objects(patch, &objects)?.expect(0)?;
        let made = place.path().join(format!("{name}.kpatch"));
        self.kpatch_of_objects(&objects, &made, arguments)?
            .expect(0)?;
        let kept = directory.join(format!("{name}.kpatch"));
        fs::rename(made, &kept)?;
        Ok(kept)
    }

    /// Runs `patchgen` on what [`Self::kernel_objects`] built.
    fn kpatch_of_objects(
        &self,
        objects: &Path,
        made: &Path,
        arguments: &[&str],
    ) -> Result<Finished> {
        let owner = fs::read_dir(objects)?.next().context("no objects")??;
        let mut command: Vec<String> = vec!["--kernel".into(), self.release.clone()];
        command.extend(["--root".into(), self.root().display().to_string()]);
        if owner.file_name() != "vmlinux" {
            let module = owner.file_name().to_string_lossy().into_owned();
            command.extend(["--module".into(), module]);
        }
        command.extend(arguments.iter().map(ToString::to_string));
        let (old, new) = (owner.path().join("old"), owner.path().join("new"));
        for path in [&old, &new, Path::new("-o"), made] {
            command.push(path.display().to_string());
        }
        patchgen(command)
    }

    /// Builds the objects before and after a patch; `patchgen` says how to go on.
    ///
    /// # Errors
    /// When the source is not there, or `patchgen` cannot be run.
    pub fn kernel_objects(&self, patch: &Path, objects: &Path) -> Result<Finished> {
        let source = self.source()?;
        let headers = self.headers();
        patchgen([
            "kernel-objects".as_ref(),
            "--kernel".as_ref(),
            self.release.as_ref(),
            "--source".as_ref(),
            source.as_os_str(),
            "--headers".as_ref(),
            headers.as_os_str(),
            "--patch".as_ref(),
            patch.as_os_str(),
            "-o".as_ref(),
            objects.as_os_str(),
        ])
    }

    /// The parts of the source that `scripts/kernels --source` unpacked.
    fn source(&self) -> Result<PathBuf> {
        let source = self.root().join("usr/src/linux-source");
        ensure!(
            source.is_dir(),
            "`{}` is missing: run `scripts/kernels --source {}` first",
            source.display(),
            self.release
        );
        Ok(source)
    }
}

/// Those hunks of the difference of two files that have `text` in them.
fn with_text(difference: &str, text: &str) -> String {
    let mut hunks = Vec::new();
    for line in difference.split_inclusive('\n') {
        match hunks.last_mut() {
            Some(last) if !line.starts_with("@@ ") => *last += line,
            _ => hunks.push(line.to_owned()),
        }
    }
    let (names, hunks) = hunks.split_at(hunks.len().min(1));
    let wanted = hunks.iter().filter(|hunk| hunk.contains(text));
    names.iter().chain(wanted).map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::with_text;

    #[test]
    fn hunks_are_chosen_by_their_text() {
        let difference = "--- a/f.c\n+++ b/f.c\n@@ -1 +1 @@\n-a\n+one\n@@ -9 +9 @@\n-b\n+two\n";
        assert_eq!(with_text(difference, ""), difference);
        let second = "--- a/f.c\n+++ b/f.c\n@@ -9 +9 @@\n-b\n+two\n";
        assert_eq!(with_text(difference, "two"), second);
    }
}
