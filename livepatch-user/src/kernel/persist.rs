//! `livepatch kernel install` and `uninstall`: a patch that comes into force again when the machine boots.
//!
//! The patch is copied to `/etc/livepatch/kernel/RELEASE/`; one systemd unit loads what lies in the directory of the kernel
//! that boots, so that another kernel is left alone.

use super::KernelError;
use super::check::Kpatch;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where patches for kernels are kept.
pub const DIRECTORY: &str = "/etc/livepatch/kernel";
/// The unit that loads them.
pub const UNIT: &str = "/etc/systemd/system/livepatch-kernel.service";
const UNIT_NAME: &str = "livepatch-kernel.service";

/// Where things are kept; tests have other places.
#[derive(Clone, Debug)]
pub struct Places {
    /// Instead of [`DIRECTORY`].
    pub directory: PathBuf,
    /// Instead of [`UNIT`].
    pub unit: PathBuf,
    /// Whether systemd is told.
    pub systemd: bool,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            directory: DIRECTORY.into(),
            unit: UNIT.into(),
            systemd: Path::new("/run/systemd/system").is_dir(),
        }
    }
}

/// Keeps a patch over reboots; returns where it is kept.
///
/// # Errors
/// When it is no patch, is for no kernel, or a file cannot be written.
pub fn install(path: &Path, places: &Places) -> Result<PathBuf, KernelError> {
    let patch = Kpatch::read(path)?;
    let directory = places.directory.join(file_name(&patch.manifest.release)?);
    let kept = directory.join(format!("{}.kpatch", file_name(&patch.manifest.module)?));
    write(&kept, &patch.bytes)?;
    write(&places.unit, unit().as_bytes())?;
    if places.systemd {
        systemctl(&["daemon-reload"])?;
        systemctl(&["enable", UNIT_NAME])?;
    }
    Ok(kept)
}

/// Forgets a patch, for every kernel that it is kept for; returns what was removed. What is in force stays so.
///
/// # Errors
/// When none of this name is kept, or a file cannot be removed.
pub fn uninstall(name: &str, places: &Places) -> Result<Vec<PathBuf>, KernelError> {
    let mut removed = Vec::new();
    for path in kept(&places.directory) {
        let patch = Kpatch::read(&path);
        let is_meant =
            |patch: &Kpatch| patch.manifest.name == name || patch.manifest.module == name;
        let stem = path.file_stem().is_some_and(|stem| stem == name);
        if stem || patch.as_ref().is_ok_and(is_meant) {
            fs::remove_file(&path).map_err(failed(&path))?;
            removed.push(path);
        }
    }
    if removed.is_empty() {
        return Err(KernelError::NoPatch(name.to_owned()));
    }
    if kept(&places.directory).is_empty() {
        remove_unit(places)?;
    }
    Ok(removed)
}

/// The patches that are kept for a kernel, in the order in which they are loaded.
#[must_use]
pub fn kept_for(release: &str, places: &Places) -> Vec<PathBuf> {
    let all = kept(&places.directory);
    let directory = places.directory.join(release);
    all.into_iter()
        .filter(|path| path.starts_with(&directory))
        .collect()
}

fn kept(directory: &Path) -> Vec<PathBuf> {
    let below = |path: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(path).into_iter().flatten();
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect()
    };
    let mut paths: Vec<_> = below(directory)
        .iter()
        .flat_map(|release| below(release))
        .collect();
    paths.retain(|path| path.extension().is_some_and(|suffix| suffix == "kpatch"));
    paths.sort();
    paths
}

/// A name that the manifest gives, if it can be that of a file.
fn file_name(name: &str) -> Result<&str, KernelError> {
    let plain = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "._+-~".contains(c));
    if plain && !name.is_empty() && !name.starts_with('.') {
        return Ok(name);
    }
    Err(KernelError::Write {
        path: name.into(),
        source: io::Error::other("it cannot be the name of a file"),
    })
}

fn unit() -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| "/usr/bin/livepatch".into());
    format!(
        "# Written by `livepatch kernel install`.\n\
         [Unit]\nDescription=Patches of the running kernel\nDefaultDependencies=no\n\
         After=local-fs.target systemd-modules-load.service\nBefore=sysinit.target shutdown.target\nConflicts=shutdown.target\n\
         ConditionPathExistsGlob={DIRECTORY}/%v/*.kpatch\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart={} kernel load --installed\n\n\
         [Install]\nWantedBy=sysinit.target\n",
        program.display()
    )
}

fn remove_unit(places: &Places) -> Result<(), KernelError> {
    if places.systemd {
        systemctl(&["disable", UNIT_NAME])?;
    }
    match fs::remove_file(&places.unit) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&places.unit)(error)),
        _ if places.systemd => systemctl(&["daemon-reload"]),
        _ => Ok(()),
    }
}

/// Writes a file whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<(), KernelError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory).map_err(failed(directory))?;
    let place = tempfile::NamedTempFile::new_in(directory).map_err(failed(path))?;
    fs::write(place.path(), bytes).map_err(failed(path))?;
    place.as_file().sync_all().map_err(failed(path))?;
    place
        .persist(path)
        .map_err(|error| failed(path)(error.error))?;
    Ok(())
}

fn failed(path: &Path) -> impl Fn(io::Error) -> KernelError + '_ {
    move |source| KernelError::Write {
        path: path.to_owned(),
        source,
    }
}

fn systemctl(arguments: &[&str]) -> Result<(), KernelError> {
    let command = || format!("systemctl {}", arguments.join(" "));
    let output = Command::new("systemctl").args(arguments).output();
    let said = match output {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    Err(KernelError::Service {
        command: command(),
        said,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_takes_the_unit() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join(UNIT_NAME);
        fs::write(&path, unit()).expect("writable");
        let analyze = Command::new("systemd-analyze")
            .arg("verify")
            .arg(&path)
            .output();
        let output = analyze.expect("`systemd-analyze` is there: run `scripts/bootstrap test`");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && !said.contains(UNIT_NAME),
            "{said}"
        );
    }
}
