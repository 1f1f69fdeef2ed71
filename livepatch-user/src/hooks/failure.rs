//! How a hook can fail.

use crate::remote::RemoteError;
use thiserror::Error;

/// What a hook returns in the stop to be called again in a later one (`LIVEPATCH_AGAIN`).
const AGAIN: i32 = 11;

/// How a hook failed.
#[derive(Debug, Error)]
pub enum HookFailure {
    /// It returned other than 0.
    #[error("returned {0}")]
    Failed(i32),
    /// It caused a signal.
    #[error("crashed (signal {0})")]
    Crashed(i32),
    /// It did not return in time.
    #[error("did not return in time")]
    Overran,
    /// Another failure of the call.
    #[error("could not be called: {0}")]
    Call(RemoteError),
}

impl From<RemoteError> for HookFailure {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Crashed { signal, .. } => Self::Crashed(signal),
            RemoteError::Stuck { .. } => Self::Overran,
            other => Self::Call(other),
        }
    }
}

impl HookFailure {
    /// Whether a thread of the target was not given back as it was.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        matches!(
            self,
            Self::Call(RemoteError::Lost { .. } | RemoteError::NotRestored { .. })
        )
    }

    /// Whether it asks to be called again.
    #[must_use]
    pub fn is_not_yet(&self) -> bool {
        matches!(self, Self::Failed(AGAIN))
    }
}
