//! Objects of a running kernel, old and new, from its headers, the sources that a patch is about, and the patch.
//!
//! Neither a whole tree nor a build of the kernel is needed: Kbuild compiles single objects against the headers package, in
//! a copy of their directory. Both versions are compiled at the same place, so that only the patch makes a difference;
//! functions and data get sections of their own.

mod kbuild;

use crate::build::{BuildError, patch_tree};
use crate::hooks::HEADER;
use kbuild::{Config, Part};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use thiserror::Error;

/// What Kbuild's compiler is told besides.
const FLAGS: &str = "-ffunction-sections -fdata-sections";

/// Why objects could not be made.
#[derive(Debug, Error)]
pub enum ObjectsError {
    /// The patch does not apply, or a tool is missing.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The file system said no.
    #[error("cannot {verb} `{path}`")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The patch is about something else.
    #[error("the patch changes no `.c` file")]
    NothingToCompile,
    /// The patch changes what more than its own objects are made of.
    #[error(
        "the patch changes `{0}`: objects of files that it does not name may depend on it; change `.c` files, and headers \
         beside them"
    )]
    Shared(String),
    /// A name that leads out of the tree.
    #[error("the patch names `{0}`, which is not within the tree")]
    Outside(String),
    /// It is not known what an object belongs to.
    #[error("the `Makefile` of `{directory}` does not tell what `{object}.o` belongs to")]
    Unknown {
        /// The directory.
        directory: String,
        /// The object, without `.o`.
        object: String,
    },
    /// Kbuild failed.
    #[error("cannot compile `{object}` ({version}):\n{said}")]
    Compile {
        /// The object.
        object: String,
        /// Old or new.
        version: &'static str,
        /// What Kbuild said.
        said: String,
    },
}

fn io_error<'p>(verb: &'static str, path: &'p Path) -> impl Fn(io::Error) -> ObjectsError + 'p {
    move |source| ObjectsError::Io {
        verb,
        path: path.to_owned(),
        source,
    }
}

/// What is to be made.
#[derive(Clone, Debug)]
pub struct Job {
    /// The kernel's headers as packages install them (`/usr/src/linux-headers-RELEASE`).
    pub headers: PathBuf,
    /// The kernel's source tree, unpacked.
    pub source: PathBuf,
    /// The patch, with paths from the root of that tree.
    pub patch: PathBuf,
    /// Where objects go.
    pub output: PathBuf,
}

/// Old and new objects of the kernel or a module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Made {
    /// The module; `None` for the kernel itself.
    pub module: Option<String>,
    /// The directory of the old objects.
    pub old: PathBuf,
    /// The directory of the new ones.
    pub new: PathBuf,
}

/// Compiles the objects that the patch changes, without and with it.
///
/// # Errors
/// When the patch is about other things than single objects, does not apply, or an object does not compile.
pub fn make(job: &Job) -> Result<Vec<Made>, ObjectsError> {
    let text = fs::read(&job.patch).map_err(io_error("read", &job.patch))?;
    let changed = changed(&String::from_utf8_lossy(&text))?;
    let headers = fs::canonicalize(&job.headers).map_err(io_error("find", &job.headers))?;
    let patch = fs::canonicalize(&job.patch).map_err(io_error("find", &job.patch))?;
    let source = fs::canonicalize(&job.source).map_err(io_error("find", &job.source))?;
    let path = headers.join(".config");
    let config = fs::read_to_string(&path).map_err(io_error("read", &path))?;
    let scratch = TempDir::new().map_err(io_error("make a directory in", &std::env::temp_dir()))?;
    let work = Work {
        headers,
        config: kbuild::config(&config),
        tree: scratch.path().join("tree"),
        include: scratch.path().join("include"),
        output: job.output.clone(),
    };
    let header = work.include.join("livepatch.h");
    fs::create_dir(&work.include)
        .and_then(|()| fs::write(&header, HEADER))
        .map_err(io_error("write", &header))?;
    let directories: BTreeSet<&Path> = changed.iter().filter_map(|file| file.parent()).collect();
    overlay(&source, &work.tree, &directories)?;
    let objects = work.parts(&changed)?;
    work.version(&objects, "old")?;
    patch_tree(&work.tree, &patch)?;
    work.version(&objects, "new")?;
    Ok(work.made(&objects))
}

/// The files that a patch changes.
fn changed(patch: &str) -> Result<BTreeSet<PathBuf>, ObjectsError> {
    let mut files = BTreeSet::new();
    let lines: Vec<&str> = patch.lines().collect();
    let heads = lines.windows(2).filter_map(|pair| match pair {
        [old, new] => old.strip_prefix("--- ").zip(new.strip_prefix("+++ ")),
        _ => None,
    });
    for name in heads.flat_map(|(old, new)| [old, new]) {
        let name = name.split('\t').next().unwrap_or_default().trim_end();
        if name == "/dev/null" {
            continue;
        }
        // The first directory is `a` or `b`.
        let path: PathBuf = Path::new(name).components().skip(1).collect();
        let inside = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !inside || path.as_os_str().is_empty() {
            return Err(ObjectsError::Outside(name.to_owned()));
        }
        files.insert(path);
    }
    let shared = files.iter().find(|file| is_shared(file));
    if let Some(file) = shared {
        return Err(ObjectsError::Shared(file.display().to_string()));
    }
    if !files.iter().any(|file| is_source(file)) {
        return Err(ObjectsError::NothingToCompile);
    }
    Ok(files)
}

fn is_source(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "c")
}

/// Whether objects elsewhere may be made of it, or it decides how objects are made.
fn is_shared(file: &Path) -> bool {
    let common = file.components().any(|part| part.as_os_str() == "include");
    let header = file.extension().is_some_and(|extension| extension == "h");
    common || !is_source(file) && !header
}

/// A tree of links to `source`, but for `directories`, which are copied.
fn overlay(source: &Path, tree: &Path, directories: &BTreeSet<&Path>) -> Result<(), ObjectsError> {
    let ancestors = directories.iter().flat_map(|one| one.ancestors());
    let real: BTreeSet<&Path> = ancestors.collect();
    for directory in &real {
        let (from, to) = (source.join(directory), tree.join(directory));
        fs::create_dir_all(&to).map_err(io_error("make", &to))?;
        for entry in fs::read_dir(&from).map_err(io_error("read", &from))? {
            let entry = entry.map_err(io_error("read", &from))?;
            let path = directory.join(entry.file_name());
            if real.contains(path.as_path()) {
                continue;
            }
            let (from, to) = (entry.path(), tree.join(&path));
            let kind = entry.file_type().map_err(io_error("read", &from))?;
            if kind.is_file() && directories.contains(directory) {
                fs::copy(&from, &to).map_err(io_error("copy", &from))?;
            } else {
                symlink(&from, &to).map_err(io_error("make", &to))?;
            }
        }
    }
    Ok(())
}

/// An object to compile, by its source file in the tree.
type Parts = BTreeMap<PathBuf, Part>;

struct Work {
    headers: PathBuf,
    config: Config,
    tree: PathBuf,
    /// Has `livepatch.h`.
    include: PathBuf,
    output: PathBuf,
}

impl Work {
    /// What the objects of the changed sources belong to.
    fn parts(&self, changed: &BTreeSet<PathBuf>) -> Result<Parts, ObjectsError> {
        let sources = changed.iter().filter(|file| is_source(file));
        sources
            .map(|file| {
                let directory = file.parent().unwrap_or(Path::new(""));
                let object = file.file_stem().unwrap_or_default().to_string_lossy();
                let (_, makefile) = self.makefile(directory)?;
                let part = kbuild::part(&makefile, &self.config, &object);
                let part = part.ok_or_else(|| ObjectsError::Unknown {
                    directory: directory.display().to_string(),
                    object: object.clone().into_owned(),
                })?;
                Ok((file.clone(), part))
            })
            .collect()
    }

    fn makefile(&self, directory: &Path) -> Result<(PathBuf, String), ObjectsError> {
        let directory = self.tree.join(directory);
        let names = ["Kbuild", "Makefile"].map(|name| directory.join(name));
        let path = names.iter().find(|path| path.exists()).unwrap_or(&names[1]);
        let text = fs::read_to_string(path).map_err(io_error("read", path))?;
        Ok((path.clone(), text))
    }

    fn version(&self, parts: &Parts, version: &'static str) -> Result<(), ObjectsError> {
        for (file, part) in parts {
            let made = self.compile(file, part, version)?;
            let name = file.with_extension("o");
            let to = self.directory(part, version).join(name);
            let parent = to.parent().unwrap_or(&self.output);
            fs::create_dir_all(parent).map_err(io_error("make", parent))?;
            fs::copy(&made, &to).map_err(io_error("write", &to))?;
        }
        Ok(())
    }

    /// Where objects of what a part belongs to are put.
    fn directory(&self, part: &Part, version: &str) -> PathBuf {
        let owner = module(part).unwrap_or_else(|| "vmlinux".to_owned());
        self.output.join(owner).join(version)
    }

    /// Has Kbuild compile one object, by the directory's own rules but for what else it builds.
    fn compile(
        &self,
        file: &Path,
        part: &Part,
        version: &'static str,
    ) -> Result<PathBuf, ObjectsError> {
        let directory = file.parent().unwrap_or(Path::new(""));
        let (path, rules) = self.makefile(directory)?;
        let kind = if part.is_module { "obj-m" } else { "obj-y" };
        let only = format!(
            "{rules}\nobj-y :=\nobj-m :=\nlib-y :=\nextra-y :=\nalways-y :=\nsubdir-y :=\n{kind} := {}.o\n",
            part.whole
        );
        fs::write(&path, only).map_err(io_error("write", &path))?;
        let made = self.kbuild(file, version);
        fs::write(&path, rules).map_err(io_error("write", &path))?;
        let object = made?;
        self.objtool(&object, part, version)?;
        Ok(object)
    }

    fn kbuild(&self, file: &Path, version: &'static str) -> Result<PathBuf, ObjectsError> {
        let directory = self.tree.join(file.parent().unwrap_or(Path::new("")));
        let name = Path::new(file.file_name().unwrap_or_default()).with_extension("o");
        let object = directory.join(&name);
        if object.exists() {
            fs::remove_file(&object).map_err(io_error("remove", &object))?;
        }
        let tree = self.tree.display();
        let (here, include) = (directory.display(), self.include.display());
        let mut make = Command::new("make");
        make.arg("-s").arg("-C").arg(&self.headers);
        make.arg(format!("M={here}"));
        // Names of files as in the kernel's own build.
        make.arg(format!(
            "KCFLAGS={FLAGS} -fmacro-prefix-map={tree}/= -I{here} -idirafter {include}"
        ));
        make.arg(&name);
        run(make, file, version)?;
        Ok(object)
    }

    /// Does what Kbuild leaves to the link of `vmlinux.o`.
    fn objtool(
        &self,
        object: &Path,
        part: &Part,
        version: &'static str,
    ) -> Result<(), ObjectsError> {
        let is_set = |name| {
            self.config
                .get(name)
                .is_some_and(|value: &String| value == "y")
        };
        let bytes = fs::read(object).map_err(io_error("read", object))?;
        let done = memchr::memmem::find(&bytes, b"\0.orc_unwind\0").is_some();
        if done || !is_set("CONFIG_UNWINDER_ORC") {
            return Ok(());
        }
        let mut objtool = Command::new(self.headers.join("tools/objtool/objtool"));
        objtool.env("SRCARCH", "x86");
        objtool.args(kbuild::objtool(&self.config, part.is_module));
        objtool.arg(object);
        run(objtool, object, version)
    }

    fn made(&self, parts: &Parts) -> Vec<Made> {
        let made: BTreeSet<Made> = parts
            .values()
            .map(|part| Made {
                module: module(part),
                old: self.directory(part, "old"),
                new: self.directory(part, "new"),
            })
            .collect();
        made.into_iter().collect()
    }
}

/// The name of the module that a part belongs to.
fn module(part: &Part) -> Option<String> {
    part.is_module.then(|| part.whole.replace('-', "_"))
}

fn run(mut command: Command, object: &Path, version: &'static str) -> Result<(), ObjectsError> {
    let program = PathBuf::from(command.get_program());
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(io_error("run", &program))?;
    if output.status.success() {
        return Ok(());
    }
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    Err(ObjectsError::Compile {
        object: object.display().to_string(),
        version,
        said: String::from_utf8_lossy(&both).trim_end().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(patch: &str) -> Result<Vec<String>, String> {
        let found = changed(patch).map_err(|error| error.to_string())?;
        Ok(found
            .iter()
            .map(|file| file.display().to_string())
            .collect())
    }

    #[test]
    fn the_changed_files_are_found() {
        let patch = "--- a/fs/proc/version.c\t2026-01-01\n+++ b/fs/proc/version.c\t2026-01-01\n@@ -1 +1 @@\n";
        assert_eq!(files(patch), Ok(vec!["fs/proc/version.c".to_owned()]));
    }

    #[test]
    fn patches_of_other_things_are_refused() {
        let cases = [
            ("b/include/linux/fs.h", "may depend on it"),
            ("b/fs/Kconfig", "may depend on it"),
            ("b/fs/internal.h", "no `.c` file"),
            ("b/../../etc/passwd.c", "not within the tree"),
            ("a.c", "not within the tree"),
        ];
        for (name, reason) in cases {
            let patch = format!("--- /dev/null\n+++ {name}\n");
            let error = files(&patch).expect_err(name);
            assert!(error.contains(reason), "{name}: {error}");
        }
    }
}
