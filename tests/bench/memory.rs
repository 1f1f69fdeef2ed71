//! How much memory a process has for itself alone.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::os::linux::fs::MetadataExt;

/// Bytes of private, changed pages of process `pid`, and the pages of the memory files it maps,
/// whether it has touched them or not.
pub(crate) fn private_bytes(pid: u32) -> Result<u64> {
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps")).context("read smaps")?;
    let mut total = 0;
    let mut files = BTreeMap::new();
    let mut field = "Private_Dirty:";
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let (Some(first), Some(second)) = (words.next(), words.next()) else {
            continue;
        };
        if first.contains('-') && !first.ends_with(':') {
            let is_memory_file = line.contains("/memfd:");
            // Of a memory file's pages only the copies are not in the file.
            field = if is_memory_file {
                "Anonymous:"
            } else {
                "Private_Dirty:"
            };
            if is_memory_file {
                let file = fs::metadata(format!("/proc/{pid}/map_files/{first}"))?;
                files.insert(file.st_ino(), file.st_blocks() * 512);
            }
        } else if first == field {
            total += second.parse::<u64>()? * 1024;
        }
    }
    Ok(total + files.values().sum::<u64>())
}
