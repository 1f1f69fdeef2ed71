//! The threads of a process and what each is doing.

use super::{Pid, Tid};
use std::io;

/// What a thread is doing, from `/proc/PID/task/TID/syscall`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// On a CPU or ready to be.
    Running,
    /// Asleep in a system call.
    InSyscall {
        /// Its number.
        number: u64,
        /// Its six arguments.
        arguments: [u64; 6],
        /// The stack pointer.
        stack: u64,
        /// The address after the `syscall` instruction.
        instruction: u64,
    },
    /// Not running and in no system call: stopped, or waiting for a page.
    Blocked {
        /// The stack pointer.
        stack: u64,
        /// The instruction pointer.
        instruction: u64,
    },
    /// Gone, or not for us to see.
    Unknown,
}

impl Activity {
    /// Whether a stop at this moment would not take the thread off a CPU.
    #[must_use]
    pub fn is_asleep(self) -> bool {
        matches!(self, Self::InSyscall { .. } | Self::Blocked { .. })
    }
}

/// Lists the threads of a process. Threads that start or end meanwhile may be missed.
///
/// # Errors
/// When the directory cannot be read.
pub fn threads(pid: Pid) -> io::Result<Vec<Tid>> {
    let mut threads = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.parse().ok());
        threads.extend(number.map(Tid));
    }
    Ok(threads)
}

/// What a thread is doing right now; unknown if that cannot be read.
#[must_use]
pub fn activity(pid: Pid, tid: Tid) -> Activity {
    std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall"))
        .ok()
        .and_then(|text| parse_activity(text.trim_end()))
        .unwrap_or(Activity::Unknown)
}

/// `running`, `-1 SP PC`, or `NR ARG*6 SP PC`, all but `NR` in hexadecimal.
fn parse_activity(text: &str) -> Option<Activity> {
    if text == "running" {
        return Some(Activity::Running);
    }
    let (number, rest) = text.split_once(' ')?;
    let words = rest
        .split(' ')
        .map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok())
        .collect::<Option<Vec<u64>>>()?;
    match (number, words.as_slice()) {
        ("-1", &[stack, instruction]) => Some(Activity::Blocked { stack, instruction }),
        (_, &[a, b, c, d, e, f, stack, instruction]) => Some(Activity::InSyscall {
            number: number.parse().ok()?,
            arguments: [a, b, c, d, e, f],
            stack,
            instruction,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activities_are_told_apart() {
        assert_eq!(parse_activity("running"), Some(Activity::Running));
        let blocked = Activity::Blocked {
            stack: 0x10,
            instruction: 0x20,
        };
        assert_eq!(parse_activity("-1 0x10 0x20"), Some(blocked));
        let call = Activity::InSyscall {
            number: 232,
            arguments: [1, 2, 3, 0xffff_ffff, 5, 6],
            stack: 7,
            instruction: 8,
        };
        let text = "232 0x1 0x2 0x3 0xffffffff 0x5 0x6 0x7 0x8";
        assert_eq!(parse_activity(text), Some(call));
        assert_eq!(parse_activity("0 0x1"), None);
        assert_eq!(parse_activity(""), None);
    }

    #[test]
    fn our_own_threads_are_listed() {
        let pid = Pid(std::process::id().cast_signed());
        assert!(threads(pid).expect("readable").contains(&pid.leader()));
    }
}
