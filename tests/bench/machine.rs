//! What the figures were measured on.

use anyhow::{Context, Result};
use std::fs;

/// One line: processor, number of processors, memory, kernel.
pub(crate) fn describe() -> Result<String> {
    let processor = value("/proc/cpuinfo", "model name")?;
    let memory = value("/proc/meminfo", "MemTotal")?;
    let kibibytes: u64 = memory.trim_end_matches(" kB").parse()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let processors = std::thread::available_parallelism()?;
    Ok(format!(
        "{processor}, {processors} processors, {} GiB of memory, Linux {}",
        (kibibytes + (1 << 19)) >> 20,
        kernel.trim()
    ))
}

fn value(path: &str, key: &str) -> Result<String> {
    let text = fs::read_to_string(path)?;
    let line = text.lines().find(|line| line.starts_with(key));
    let (_, value) = line
        .and_then(|line| line.split_once(':'))
        .with_context(|| format!("no `{key}`"))?;
    Ok(value.trim().to_owned())
}
