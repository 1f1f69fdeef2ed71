//! A process's mappings and memory, to be compared byte for byte.

use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::{Duration, Instant};

const PAGE: usize = 4096;
/// How long a process may take to come to rest; a guard against hanging.
const PATIENCE: Duration = Duration::from_secs(20);
/// Mappings whose contents the kernel changes by itself, or does not let anybody read.
const KERNELS_OWN: [&str; 3] = ["[vvar]", "[vvar_vclock]", "[vsyscall]"];

/// The state of a process's memory.
#[derive(Debug)]
pub struct Snapshot {
    mappings: Vec<Mapping>,
    /// Bytes of private, changed pages in executable mappings of files, from `smaps`.
    private_text: u64,
}

#[derive(Debug)]
struct Mapping {
    /// The line of `/proc/PID/maps`.
    line: String,
    start: u64,
    writable: bool,
    bytes: Vec<u8>,
}

/// How much of the memory must be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Mappings, and the contents of those that the process cannot write: the process ran on meanwhile.
    Mapped,
    /// All memory: the process slept.
    Everything,
}

impl Snapshot {
    /// Reads a process's mappings and memory, once all its threads sleep.
    ///
    /// # Errors
    /// When the process is gone, or does not come to rest.
    pub fn take(pid: u32) -> Result<Self> {
        wait_asleep(pid)?;
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).context("read maps")?;
        let memory = File::open(format!("/proc/{pid}/mem")).context("open mem")?;
        let mappings = maps
            .lines()
            .map(|line| Mapping::read(line, &memory))
            .collect::<Result<_>>()?;
        let smaps = fs::read_to_string(format!("/proc/{pid}/smaps")).context("read smaps")?;
        let private_text = private_text(&smaps);
        Ok(Self {
            mappings,
            private_text,
        })
    }

    /// Fails unless `after` is the same.
    ///
    /// # Errors
    /// With the first mapping and address that differ.
    pub fn check_same(&self, after: &Self, extent: Extent) -> Result<()> {
        self.check_mappings(after)?;
        for (old, new) in self.mappings.iter().zip(&after.mappings) {
            let compared = extent == Extent::Everything || !old.writable;
            if let Some(offset) = compared.then(|| old.difference(new)).flatten() {
                anyhow::bail!(
                    "memory differs at {:#x} in `{}`",
                    old.start + offset as u64,
                    old.line
                );
            }
        }
        ensure!(
            after.private_text <= self.private_text,
            "{} bytes of private text pages stay",
            after.private_text - self.private_text
        );
        Ok(())
    }

    fn check_mappings(&self, after: &Self) -> Result<()> {
        let lines = |snapshot: &Self| -> Vec<String> {
            let mappings = snapshot.mappings.iter();
            mappings.map(|mapping| mapping.line.clone()).collect()
        };
        let (old, new) = (lines(self), lines(after));
        let gone: Vec<_> = old.iter().filter(|line| !new.contains(line)).collect();
        let added: Vec<_> = new.iter().filter(|line| !old.contains(line)).collect();
        ensure!(
            gone.is_empty() && added.is_empty(),
            "mappings differ: gone {gone:#?}, added {added:#?}"
        );
        Ok(())
    }
}

/// Waits until no thread of a process runs: seen twice, since a thread may sleep for a moment only.
fn wait_asleep(pid: u32) -> Result<()> {
    let begin = Instant::now();
    let mut times = 0;
    while times < 2 {
        ensure!(
            begin.elapsed() < PATIENCE,
            "process {pid} does not come to rest"
        );
        times = if all_asleep(pid)? { times + 1 } else { 0 };
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn all_asleep(pid: u32) -> Result<bool> {
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = fs::read_to_string(task?.path().join("stat")).unwrap_or_default();
        if !stat.contains(") S ") && !stat.contains(") t ") {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Mapping {
    fn read(line: &str, memory: &File) -> Result<Self> {
        let mut fields = line.split_whitespace();
        let range = fields.next().context("malformed maps")?;
        let protection = fields.next().context("malformed maps")?;
        let (start, end) = range.split_once('-').context("malformed maps")?;
        let (start, end) = (
            u64::from_str_radix(start, 16)?,
            u64::from_str_radix(end, 16)?,
        );
        let kernels_own = KERNELS_OWN.iter().any(|name| line.ends_with(name));
        let readable = protection.starts_with('r') && !kernels_own;
        let mut bytes = vec![0; if readable { (end - start) as usize } else { 0 }];
        for (index, page) in bytes.chunks_mut(PAGE).enumerate() {
            // A page behind the end of a mapped file cannot be read, before and after alike: zeros.
            let _ = memory.read_exact_at(page, start + (index * PAGE) as u64);
        }
        Ok(Self {
            line: line.to_owned(),
            start,
            writable: protection.contains('w'),
            bytes,
        })
    }

    fn difference(&self, other: &Self) -> Option<usize> {
        let mut pairs = self.bytes.iter().zip(&other.bytes);
        pairs.position(|(old, new)| old != new)
    }
}

/// Sums `Private_Dirty` over the executable mappings of files.
fn private_text(smaps: &str) -> u64 {
    let mut counts = false;
    let mut bytes = 0;
    for line in smaps.lines() {
        let mut fields = line.split_whitespace();
        match (fields.next(), fields.next()) {
            (Some("Private_Dirty:"), Some(kib)) if counts => {
                bytes += kib.parse().unwrap_or(0) * 1024;
            }
            (Some(range), Some(protection)) if range.contains('-') && !range.ends_with(':') => {
                counts = protection.contains('x') && line.contains('/');
            }
            _ => {}
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_text_counts_executable_files_only() {
        let smaps = "1000-2000 r-xp 0 fe:00 1  /bin/x\nPrivate_Dirty:  8 kB\n\
                     2000-3000 rw-p 0 fe:00 1  /bin/x\nPrivate_Dirty:  4 kB\n";
        assert_eq!(private_text(smaps), 8192);
    }

    #[test]
    fn a_process_is_the_same_as_itself() -> Result<()> {
        let mut sleeper = std::process::Command::new("sleep").arg("60").spawn()?;
        let snapshots = (Snapshot::take(sleeper.id()), Snapshot::take(sleeper.id()));
        sleeper.kill()?;
        sleeper.wait()?;
        snapshots.0?.check_same(&snapshots.1?, Extent::Mapped)
    }
}
