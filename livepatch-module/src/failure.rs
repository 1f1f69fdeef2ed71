//! Why an operation of a module failed.

use std::fmt;

/// Why an operation of a module failed, in words for whoever asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    /// A failure with this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Failure {
    fn from(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self(reason)
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Self(error.to_string())
    }
}

/// The main task did not do what it was asked for; its log has the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the component could not {0}; its log tells why")]
pub struct HostError(pub(crate) &'static str);
