//! Why a switch to another version failed.

use super::standby::StandbyError;
use super::trial::TrialError;
use crate::sys::module::LoadError;
use livepatch_module::abi;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::time::Duration;
use thiserror::Error;

/// What a module is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Operation {
    Init,
    Term,
    Hold,
    Migrate,
    Validate,
    Restart,
    Health,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "INIT",
            Self::Term => "TERM",
            Self::Hold => "HOLD",
            Self::Migrate => "migration of the data",
            Self::Validate => "validation of the data",
            Self::Restart => "RESTART",
            Self::Health => "health call",
        })
    }
}

/// How an operation of a module went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub(crate) enum OperationError {
    #[error("{0} failed: {1}")]
    Failed(Operation, String),
    #[error("{0} panicked: {1}")]
    Panicked(Operation, String),
    #[error("{0} found the module busy: {1}")]
    Busy(Operation, String),
    #[error("{0} gave an unknown result, {1}")]
    Unknown(Operation, i32),
    #[error("{0} gave no data")]
    NoData(Operation),
    #[error("{operation} took {took:?}, longer than {deadline:?}")]
    Late {
        operation: Operation,
        took: Duration,
        deadline: Duration,
    },
}

impl OperationError {
    /// What a result means; `reason` is what the module told.
    pub(super) fn of(
        operation: Operation,
        result: abi::Result,
        reason: Option<String>,
    ) -> Result<(), Self> {
        let reason = reason.unwrap_or_else(|| "no reason told".to_owned());
        match result {
            abi::OK => Ok(()),
            abi::AGAIN => Err(Self::Busy(operation, reason)),
            abi::FAILED => Err(Self::Failed(operation, reason)),
            abi::PANIC => Err(Self::Panicked(operation, reason)),
            other => Err(Self::Unknown(operation, other)),
        }
    }
}

/// Why a switch failed; the old version goes on.
#[derive(Debug, Error)]
pub(super) enum SwitchError {
    #[error("the old version could not be held")]
    Old(#[source] OperationError),
    #[error("the new version did not work")]
    New(#[source] OperationError),
    #[error("the data could not be protected")]
    Seal(#[source] io::Error),
    #[error("there can be no standby")]
    Standby(#[from] StandbyError),
    #[error("the trial of the new version failed")]
    Trial(#[from] TrialError),
    #[error("the new version could not be loaded")]
    Load(#[source] LoadError),
    #[error("the new version has no call-backs for what is in use: {}", .0.join(", "))]
    Missing(Vec<String>),
    #[error("the process crashed or hung in the new version; its standby has taken over")]
    Crashed,
}
