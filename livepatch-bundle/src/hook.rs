//! Functions of a patch that run in the target when it is applied or reverted.

use serde::{Deserialize, Serialize};
use std::fmt;

/// When a hook runs. The order is that of a patch's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Before the switch, while all threads run; refuses the patch by returning other than 0.
    PreApply,
    /// In the stop, after the entries were written; other than 0 takes them back in the same stop.
    AtApply,
    /// After the switch, while all threads run; other than 0 takes the patch back.
    PostApply,
    /// Before the switch back, while all threads run; refuses the revert by returning other than 0.
    PreRevert,
    /// In the stop of a revert; other than 0 takes it back in the same stop.
    AtRevert,
    /// After the switch back, while all threads run. What it returns is only reported.
    PostRevert,
}

impl Phase {
    /// All phases in order.
    pub const ALL: [Self; 6] = [
        Self::PreApply,
        Self::AtApply,
        Self::PostApply,
        Self::PreRevert,
        Self::AtRevert,
        Self::PostRevert,
    ];

    /// As in the manifest and in the section `.livepatch.hooks.NAME` of an object file, with `_` there.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PreApply => "pre-apply",
            Self::AtApply => "at-apply",
            Self::PostApply => "post-apply",
            Self::PreRevert => "pre-revert",
            Self::AtRevert => "at-revert",
            Self::PostRevert => "post-revert",
        }
    }

    /// Whether all threads stand while it runs.
    #[must_use]
    pub fn is_in_stop(self) -> bool {
        matches!(self, Self::AtApply | Self::AtRevert)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A hook: a function of type `int (void)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// When it runs; hooks of one phase run in the manifest's order.
    pub phase: Phase,
    /// Bundle symbol of its code.
    pub function: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_calls_phases_by_their_names() {
        for phase in Phase::ALL {
            let json = serde_json::to_string(&phase).expect("plain data");
            assert_eq!(json, format!("\"{}\"", phase.name()));
        }
    }
}
