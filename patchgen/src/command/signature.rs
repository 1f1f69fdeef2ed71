//! What `patchgen inspect` says of a bundle's signature.

use anyhow::Context;
use livepatch_bundle::{KeyId, Keyring, SignatureError, signer};
use serde_json::json;
use std::fmt;
use std::path::{Path, PathBuf};

/// Who signed, and whether that is so.
pub(super) enum Signature {
    /// Nobody did.
    None,
    /// A key signed these very bytes.
    Verified(KeyId, PathBuf),
    /// The key is not at hand.
    Unverified(KeyId, PathBuf),
    /// It does not verify.
    Bad(SignatureError),
}

impl Signature {
    /// Looks at a bundle's bytes, with the keys in `keys`.
    ///
    /// # Errors
    /// When the keys are there and cannot be used.
    pub(super) fn of(bytes: &[u8], keys: &Path) -> anyhow::Result<Self> {
        let claimed = match signer(bytes) {
            Ok(id) => id,
            Err(SignatureError::Missing) => return Ok(Self::None),
            Err(error) => return Ok(Self::Bad(error)),
        };
        if !keys.exists() {
            return Ok(Self::Unverified(claimed, keys.to_owned()));
        }
        let keyring = Keyring::read(keys)
            .with_context(|| format!("cannot use the keys in `{}`", keys.display()))?;
        Ok(match keyring.verify(bytes) {
            Ok(id) => Self::Verified(id, keys.to_owned()),
            Err(SignatureError::UnknownKey(id)) => Self::Unverified(id, keys.to_owned()),
            Err(error) => Self::Bad(error),
        })
    }

    /// Whether the bundle is not to be used, by the keys that were `named`.
    pub(super) fn is_refused(&self, named: bool) -> bool {
        match self {
            Self::Verified(..) => false,
            Self::None | Self::Unverified(..) => named,
            Self::Bad(_) => true,
        }
    }

    pub(super) fn json(&self) -> serde_json::Value {
        match self {
            Self::None => serde_json::Value::Null,
            Self::Verified(id, _) => json!({ "key": id.to_string(), "verified": true }),
            Self::Unverified(id, _) => json!({ "key": id.to_string(), "verified": null }),
            Self::Bad(error) => json!({ "verified": false, "problem": error.to_string() }),
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("not signed"),
            Self::Verified(id, keys) => {
                write!(f, "signed with key {id} (verified by `{}`)", keys.display())
            }
            Self::Unverified(id, keys) => write!(
                f,
                "signed with key {id} (NOT verified: the key is not in `{}`)",
                keys.display()
            ),
            Self::Bad(error) => write!(f, "NOT to be trusted: {error}"),
        }
    }
}
