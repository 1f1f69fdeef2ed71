//! What `/proc/PID` offers beside maps and memory: files to open and the auxiliary vector.

use crate::process::Pid;
use std::path::PathBuf;

/// Where the files of a process are found, and what the kernel told it at its start.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// `/proc/PID`, through which the files of the process are opened; `None`: memory only.
    pub proc_dir: Option<PathBuf>,
    /// What the kernel told the process at its start.
    pub auxv: Auxv,
    /// Directories to search for separate debug files before `/usr/lib/debug` (`--debug-dir`).
    pub debug_dirs: Vec<PathBuf>,
}

impl Context {
    /// The context of a live process. The auxiliary vector is empty when it may not be read.
    #[must_use]
    pub fn of(pid: Pid) -> Self {
        let proc_dir = PathBuf::from(format!("/proc/{pid}"));
        let auxv = std::fs::read(proc_dir.join("auxv")).unwrap_or_default();
        Self {
            proc_dir: Some(proc_dir),
            auxv: Auxv::parse(&auxv),
            debug_dirs: Vec::new(),
        }
    }
}

/// The auxiliary vector (getauxval(3)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Auxv(Vec<(u64, u64)>);

impl Auxv {
    /// Reads `/proc/PID/auxv`: pairs of words up to `AT_NULL`.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let pairs = bytes.chunks_exact(16).map(|pair| {
            let (tag, value) = pair.split_at(8);
            (word(tag), word(value))
        });
        Self(pairs.take_while(|&(tag, _)| tag != libc::AT_NULL).collect())
    }

    /// The value of a tag (`AT_*`), unless it is absent or 0.
    #[must_use]
    pub fn get(&self, tag: u64) -> Option<u64> {
        let found = self.0.iter().find(|&&(this, _)| this == tag);
        found.map(|&(_, value)| value).filter(|&value| value != 0)
    }
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("half of a chunk of 16"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_vector_tells_the_page_size() {
        let auxv = Context::of(Pid(std::process::id().cast_signed())).auxv;
        assert_eq!(auxv.get(libc::AT_PAGESZ), Some(4096));
        assert_eq!(auxv.get(0x7777), None);
    }

    #[test]
    fn a_truncated_vector_is_read_as_far_as_it_goes() {
        let mut bytes = [3u64, 0x1000, 6].map(u64::to_le_bytes).concat();
        bytes.pop();
        assert_eq!(Auxv::parse(&bytes), Auxv(vec![(3, 0x1000)]));
    }
}
