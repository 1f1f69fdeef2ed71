//! Why the kernel does not let us trace a process, and what would help.

use super::Status;
use std::fmt;
use std::path::Path;

/// What stands between us and a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It belongs to another user.
    OtherUser {
        /// Its effective user.
        theirs: u32,
        /// Ours.
        ours: u32,
    },
    /// `/proc/sys/kernel/yama/ptrace_scope` is not 0.
    Yama(u32),
    /// It protects itself (`PR_SET_DUMPABLE`, a setuid program), it has capabilities that we lack, or a security
    /// module or a user namespace forbids it.
    Protected,
}

impl Obstacle {
    /// What most likely stands in the way, once the kernel has said no.
    #[must_use]
    pub fn guess(target: &Status, ours: u32, yama: u32) -> Self {
        if ours != 0 && ours != target.euid {
            Self::OtherUser {
                theirs: target.euid,
                ours,
            }
        } else if yama > 0 && (ours != 0 || yama > 2) {
            Self::Yama(yama)
        } else {
            Self::Protected
        }
    }

    /// [`Obstacle::guess`] as things are on this system.
    pub(super) fn find(target: &Status) -> Self {
        let yama = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope")
            .ok()
            .and_then(|text| text.trim().parse().ok());
        let ours = Status::read(Path::new("/proc/self")).map_or(0, |status| status.euid);
        Self::guess(target, ours, yama.unwrap_or(0))
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherUser { theirs, ours } => write!(
                f,
                "it runs as user {theirs} and livepatch as user {ours}; run livepatch as that user or as root"
            ),
            Self::Yama(scope @ 3..) => write!(
                f,
                "`/proc/sys/kernel/yama/ptrace_scope` is {scope}, which forbids tracing until the next boot"
            ),
            Self::Yama(scope) => write!(
                f,
                "`/proc/sys/kernel/yama/ptrace_scope` is {scope}; run livepatch as root or with CAP_SYS_PTRACE"
            ),
            Self::Protected => f.write_str(
                "the process is protected (not dumpable, more capabilities, another user namespace, or a security \
                 module); run livepatch as root with CAP_SYS_PTRACE, outside of any container or sandbox",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likely_obstacle_is_named() {
        let target = Status {
            euid: 1000,
            ..Status::default()
        };
        let other = Obstacle::OtherUser {
            theirs: 1000,
            ours: 7,
        };
        assert_eq!(Obstacle::guess(&target, 7, 1), other);
        assert_eq!(Obstacle::guess(&target, 1000, 1), Obstacle::Yama(1));
        assert_eq!(Obstacle::guess(&target, 1000, 0), Obstacle::Protected);
        assert_eq!(Obstacle::guess(&target, 0, 1), Obstacle::Protected);
        assert_eq!(Obstacle::guess(&target, 0, 3), Obstacle::Yama(3));
        assert!(Obstacle::Yama(1).to_string().contains("CAP_SYS_PTRACE"));
        assert!(Obstacle::Yama(3).to_string().contains("next boot"));
    }
}
