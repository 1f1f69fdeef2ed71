//! `/proc/PID/stat` and `/proc/PID/status`, see proc_pid_stat(5) and proc_pid_status(5).

use crate::printable::one_line;
use std::io;
use std::path::Path;

/// The fields of `stat` that we use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The thread's name, fit to be shown: a process may call itself anything.
    pub comm: String,
    /// The state letter: `R`, `S`, `D`, `T`, `t`, `Z`, `X`, `I`.
    pub state: char,
    /// The kernel's `PF_*` flags.
    pub flags: u64,
    /// When it started, in clock ticks since boot.
    pub start_time: u64,
    /// The CPU on which it ran last.
    pub processor: u32,
}

impl Stat {
    /// Reads `DIRECTORY/stat`, where the directory is `/proc/PID` or `/proc/PID/task/TID`.
    ///
    /// # Errors
    /// When the file cannot be read or is malformed.
    pub fn read(directory: &Path) -> io::Result<Self> {
        let text = std::fs::read(directory.join("stat"))?;
        Self::parse(&String::from_utf8_lossy(&text)).ok_or_else(malformed)
    }

    /// `1234 (name) S 1 ...`: the name may hold anything, so the last `)` ends it.
    fn parse(text: &str) -> Option<Self> {
        let (head, tail) = text.rsplit_once(") ")?;
        let (_, comm) = head.split_once(" (")?;
        // Field 3 is the first of `tail`.
        let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Self {
            comm: one_line(comm).into_owned(),
            state: field(3)?.chars().next()?,
            flags: field(9)?.parse().ok()?,
            start_time: field(22)?.parse().ok()?,
            processor: field(39)?.parse().ok()?,
        })
    }

    /// Whether the task is dead, reaped or not.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// Whether it ends, or has ended (`PF_EXITING`).
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.flags & 0x4 != 0 || self.is_dead()
    }

    /// Whether it is a thread of the kernel (`PF_KTHREAD`).
    #[must_use]
    pub fn is_kernel_thread(&self) -> bool {
        self.flags & 0x0020_0000 != 0
    }

    /// Whether it is one of the kernel's helpers inside a process (`PF_IO_WORKER` of io_uring, `PF_USER_WORKER` of
    /// vhost): listed among its threads, but never in user mode.
    #[must_use]
    pub fn is_kernel_helper(&self) -> bool {
        self.flags & (0x10 | 0x4000) != 0
    }
}

/// The fields of `status` that we use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The process that the thread belongs to.
    pub tgid: i32,
    /// The thread that traces it, 0 for none.
    pub tracer: i32,
    /// The effective user.
    pub euid: u32,
    /// How many threads the process has.
    pub threads: u32,
    /// 0 none, 1 strict, 2 filters.
    pub seccomp: u32,
    /// Signals that wait to be taken, the thread's own and the process's, a bit each from 1 on.
    pub pending: u64,
    /// Signals that it ignores, a bit each from 1 on.
    pub ignored: u64,
    /// The effective capabilities, a bit each.
    pub capabilities: u64,
    /// Whether the thread has a shadow stack (`x86_Thread_features: shstk`).
    pub shadow_stack: bool,
}

impl Status {
    /// Reads `DIRECTORY/status`, where the directory is `/proc/PID` or `/proc/PID/task/TID`.
    ///
    /// # Errors
    /// When the file cannot be read or is malformed.
    pub fn read(directory: &Path) -> io::Result<Self> {
        let text = std::fs::read(directory.join("status"))?;
        Self::parse(&String::from_utf8_lossy(&text)).ok_or_else(malformed)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut status = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            match key {
                "Tgid" => status.tgid = value.parse().ok()?,
                "TracerPid" => status.tracer = value.parse().ok()?,
                // real, effective, saved, filesystem
                "Uid" => status.euid = value.split_ascii_whitespace().nth(1)?.parse().ok()?,
                "Threads" => status.threads = value.parse().ok()?,
                "SigPnd" | "ShdPnd" => status.pending |= u64::from_str_radix(value, 16).ok()?,
                "SigIgn" => status.ignored = u64::from_str_radix(value, 16).ok()?,
                "CapEff" => status.capabilities = u64::from_str_radix(value, 16).ok()?,
                "Seccomp" => status.seccomp = value.parse().ok()?,
                "x86_Thread_features" => status.shadow_stack = value.contains("shstk"),
                _ => {}
            }
        }
        (status.tgid != 0).then_some(status)
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "unexpected contents")
}

/// Reads a file of `/proc` that holds a process's name, which may be any bytes.
///
/// # Errors
/// When it cannot be read.
pub fn read_text(path: impl AsRef<Path>) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_confuses_nobody() {
        let text = "7 (a) b) (c) S 1 7 7 0 -1 4194304 9 0 0 0 1 2 3 4 20 0 1 0 555 1 2 3 4 5 6 7 8 9 0 1 2 3 \
                    4 5 17 6 0 0";
        let stat = Stat::parse(text).expect("well-formed");
        assert_eq!(
            (stat.comm.as_str(), stat.state, stat.start_time),
            ("a) b) (c", 'S', 555)
        );
        assert_eq!(stat.flags, 4_194_304);
        assert!(!stat.is_dead() && !stat.is_kernel_thread() && !stat.is_kernel_helper());
    }

    #[test]
    fn our_own_files_are_understood() {
        let here = Path::new("/proc/self");
        let stat = Stat::read(here).expect("readable");
        assert!(matches!(stat.state, 'R' | 'S'), "{stat:?}");
        assert!(stat.start_time > 0);
        let status = Status::read(here).expect("readable");
        assert_eq!(status.tgid, std::process::id().cast_signed());
        assert!(status.threads >= 1);
    }

    #[test]
    fn ignored_signals_are_read() {
        let text = "Tgid:\t1\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        let ignored = |text| Status::parse(text).expect("well-formed").ignored;
        assert_eq!(ignored(text), 0x1001, "SIGHUP and SIGPIPE");
        assert_eq!(ignored("Tgid:\t1\nName:\ta\n"), 0);
    }

    #[test]
    fn truncated_files_are_refused() {
        assert_eq!(Stat::parse("7 (a) S 1 2"), None);
        assert_eq!(Stat::parse(""), None);
        assert_eq!(Status::parse("Name: a\n"), None);
        assert_eq!(Status::parse("Tgid: x\n"), None);
    }
}
