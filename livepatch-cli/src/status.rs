//! How a command ended, as its exit status tells.

use serde::{Deserialize, Serialize};

/// The exit statuses. The order is that of severity, for commands on several processes or components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// 0: done, or nothing was to do.
    Done,
    /// 3: the target was busy; nothing changed.
    Busy,
    /// 4: refused: it does not fit, it is unsound, or policy forbids it; nothing changed.
    Refused,
    /// 1: an error; all is as before.
    Error,
    /// 2: the command line is wrong.
    Usage,
    /// 130 (or the command ends by the signal that it got): interrupted by the user; all is as before.
    Interrupted,
    /// 5: something was changed and could not be undone.
    Broken,
}

impl Status {
    /// The number that the process exits with.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::Busy => 3,
            Self::Refused => 4,
            Self::Broken => 5,
            Self::Interrupted => 130,
        }
    }
}
