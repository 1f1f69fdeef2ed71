//! Confinements under which a process may not make the system calls that we need, and whether we can lift them.
//!
//! Most do not hold us back: code is mapped read-execute from the start, and written by us, not by the process
//! (`PR_SET_MDWE`, `MemoryDenyWriteExecute=`); Landlock and dropped capabilities concern files and privileges that are not
//! asked for. Seccomp does: its filters are suspended for as long as we trace the thread
//! (`PTRACE_O_SUSPEND_SECCOMP`), which takes `CAP_SYS_ADMIN` in the initial user namespace and no seccomp of our own
//! (`check_ptrace_options`).

use super::{Pid, Status, threads};
use std::fmt;
use std::path::{Path, PathBuf};

/// The inode of the initial user namespace (`PROC_USER_INIT_INO`, linux/proc_ns.h).
const INITIAL: &str = "user:[4026531837]";
/// The bit of `CAP_SYS_ADMIN` (linux/capability.h).
const SYS_ADMIN: u64 = 1 << 21;

/// Why seccomp cannot be suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// We lack the privilege.
    NoPrivilege {
        /// The user that we run as.
        euid: u32,
    },
    /// We run in a user namespace, whose privileges do not count.
    InNamespace,
    /// We are confined ourselves.
    ConfinedOurselves,
}

impl Confinement {
    /// What keeps us from suspending seccomp in a process whose every thread is confined by it; `None` if nothing, or if a
    /// thread is free.
    #[must_use]
    pub fn find(pid: Pid) -> Option<Self> {
        let confined = |tid| {
            let directory = PathBuf::from(format!("/proc/{pid}/task/{tid}"));
            Status::read(&directory).is_ok_and(|status| status.seccomp != 0)
        };
        let threads = threads(pid).unwrap_or_default();
        if threads.is_empty() || !threads.into_iter().all(confined) {
            return None;
        }
        let own = Status::read(Path::new("/proc/self")).ok()?;
        let namespace = std::fs::read_link("/proc/self/ns/user").unwrap_or_default();
        Self::of(&own, &namespace.to_string_lossy())
    }

    fn of(own: &Status, namespace: &str) -> Option<Self> {
        if own.capabilities & SYS_ADMIN == 0 {
            Some(Self::NoPrivilege { euid: own.euid })
        } else if namespace != INITIAL {
            Some(Self::InNamespace)
        } else if own.seccomp != 0 {
            Some(Self::ConfinedOurselves)
        } else {
            None
        }
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is confined by seccomp, which ")?;
        match self {
            Self::NoPrivilege { euid } => write!(
                f,
                "takes CAP_SYS_ADMIN to suspend, and livepatch runs as user {euid} without it"
            ),
            Self::InNamespace => {
                f.write_str("cannot be suspended from within a user namespace, as livepatch runs")
            }
            Self::ConfinedOurselves => f.write_str(
                "cannot be suspended by a process that is confined so itself, as livepatch is",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let root = Status {
            capabilities: u64::MAX,
            ..Status::default()
        };
        assert_eq!(Confinement::of(&root, INITIAL), None);
        let inside = Confinement::of(&root, "user:[4026532000]");
        assert_eq!(inside, Some(Confinement::InNamespace));
        let filtered = Status { seccomp: 2, ..root };
        let filtered = Confinement::of(&filtered, INITIAL);
        assert_eq!(filtered, Some(Confinement::ConfinedOurselves));
        let user = Status {
            euid: 7,
            ..Status::default()
        };
        let user = Confinement::of(&user, INITIAL).expect("no privilege");
        assert!(user.to_string().contains("user 7 without it"));
    }
}
