//! What `/proc` tells about the process that is patched.

use anyhow::Result;
use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// How long a process may take to be let go after its tracer was killed.
const PATIENCE: Duration = Duration::from_secs(2);

/// What must be the same before and after.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The blocked signals of each thread.
    pub masks: BTreeMap<String, String>,
    /// What each file descriptor leads to.
    pub descriptors: BTreeMap<String, String>,
    /// Address ranges and names of the mappings; neighbours of one kind count as one.
    pub mappings: Vec<String>,
}

impl Facts {
    /// Reads them.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn read(pid: u32) -> Result<Self> {
        Ok(Self {
            masks: masks(pid)?,
            descriptors: descriptors(pid)?,
            mappings: mappings(pid)?,
        })
    }
}

fn masks(pid: u32) -> Result<BTreeMap<String, String>> {
    let mut masks = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?;
        let status = fs::read_to_string(task.path().join("status"))?;
        let blocked = status.lines().find(|line| line.starts_with("SigBlk:"));
        let name = task.file_name().to_string_lossy().into_owned();
        masks.insert(name, blocked.unwrap_or_default().to_owned());
    }
    Ok(masks)
}

fn descriptors(pid: u32) -> Result<BTreeMap<String, String>> {
    let mut descriptors = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        // Gone between the list and the look: not a descriptor that stays.
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        let name = entry.file_name().to_string_lossy().into_owned();
        descriptors.insert(name, target.display().to_string());
    }
    Ok(descriptors)
}

fn mappings(pid: u32) -> Result<Vec<String>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    Ok(maps.lines().map(str::to_owned).collect())
}

/// Waits until no thread is traced or stopped; tells the first that stays so.
///
/// # Errors
/// When the process is gone.
pub fn await_free(pid: u32) -> Result<Option<String>> {
    let begin = Instant::now();
    loop {
        let Some(held) = held(pid)? else {
            return Ok(None);
        };
        if begin.elapsed() > PATIENCE {
            return Ok(Some(held));
        }
        thread::sleep(Duration::from_micros(200));
    }
}

fn held(pid: u32) -> Result<Option<String>> {
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = task?.path();
        // A thread that has ended is not held.
        let Ok(status) = fs::read_to_string(path.join("status")) else {
            continue;
        };
        let traced = !status.contains("\nTracerPid:\t0\n");
        let stopped = status.contains("\nState:\tT") || status.contains("\nState:\tt");
        if traced || stopped {
            return Ok(Some(path.display().to_string()));
        }
    }
    Ok(None)
}
