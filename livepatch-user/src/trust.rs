//! Reading bundles that the policy of this machine admits ([`livepatch_bundle::Policy`]).

use crate::status::Status;
use livepatch_bundle::{Bundle, BundleError, KeyId, SignatureError, read_file};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use thiserror::Error;

pub use livepatch_bundle::{Policy, PolicyError, Sources};

/// A bundle that the policy admits, from the very bytes that were checked.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// The contents.
    pub bundle: Bundle,
    /// SHA-256 of the file.
    pub digest: [u8; 32],
    /// The trusted key that signed it.
    pub signer: Option<KeyId>,
}

/// Why a bundle is not used.
#[derive(Debug, Error)]
pub enum BundleRefusal {
    /// There is no policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// It is no bundle that can be used.
    #[error("cannot use the bundle `{}`", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: BundleError,
    },
    /// The policy forbids it.
    #[error("the bundle `{}` is not trusted", path.display())]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// Where the trusted keys are.
        keys: PathBuf,
        /// Why.
        source: SignatureError,
    },
}

impl BundleRefusal {
    /// How the command ends.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Untrusted { .. } => Status::Refused,
            Self::Policy(_) | Self::Unusable { .. } => Status::Error,
        }
    }

    /// What to do next, when it is known.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let Self::Untrusted { keys, source, .. } = self else {
            return None;
        };
        let keys = keys.display();
        Some(match source {
            SignatureError::Missing => {
                "sign it: `patchgen sign --key KEY BUNDLE`; `require-signature` in the configuration asks for that".into()
            }
            SignatureError::UnknownKey(_) => {
                format!("if that key is to be trusted, put its public half into `{keys}`")
            }
            SignatureError::Altered(_) | SignatureError::Malformed(_) => {
                "get the bundle again from where it was made, or sign it anew".into()
            }
        })
    }
}

/// Reads a bundle, once, and decodes it when the policy admits these bytes.
///
/// # Errors
/// When it cannot be read, is not trusted, or is no bundle.
pub fn admit(policy: &Policy, path: &Path) -> Result<Admitted, BundleRefusal> {
    let unusable = |source| BundleRefusal::Unusable {
        path: path.to_owned(),
        source,
    };
    let bytes = read_file(path).map_err(unusable)?;
    let signer = policy.signer(&bytes);
    let signer = signer.map_err(|source| BundleRefusal::Untrusted {
        path: path.to_owned(),
        keys: policy.keys().to_owned(),
        source,
    })?;
    Ok(Admitted {
        bundle: livepatch_bundle::read(&bytes).map_err(unusable)?,
        digest: Sha256::digest(&bytes).into(),
        signer,
    })
}
