//! Whose modules are loaded: the same keys and the same policy as for patches (`docs/trust.md`).
//!
//! A signed module ends with the trailer of a signed bundle; the dynamic linker does not look at it.

use livepatch_bundle::{KeyError, KeyId, Keyring, SignatureError, TrustedFileError, read_trusted};
use serde::Deserialize;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The policy of the machine.
pub(crate) const CONFIG: &str = "/etc/livepatch/config.toml";
/// The keys that the machine trusts.
pub(crate) const KEYS: &str = "/etc/livepatch/keys.d";
/// No configuration is longer, in bytes.
const CONFIG_MAX: u64 = 64 << 10;

/// Why a module is not trusted.
#[derive(Debug, Error)]
pub(crate) enum Untrusted {
    #[error("it is not signed, and the policy asks for a signature")]
    Unsigned,
    #[error("it is signed with key {0}, which is not among the trusted keys")]
    UnknownKey(KeyId),
    #[error("it was altered after it was signed with key {0}, or the signature is forged")]
    Altered(KeyId),
    #[error("its signature is malformed: {0}")]
    Malformed(&'static str),
}

impl From<SignatureError> for Untrusted {
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::Missing => Self::Unsigned,
            SignatureError::UnknownKey(key) => Self::UnknownKey(key),
            SignatureError::Altered(key) => Self::Altered(key),
            SignatureError::Malformed(how) => Self::Malformed(how),
        }
    }
}

/// Why there is no policy to go by.
#[derive(Debug, Error)]
pub(crate) enum PolicyError {
    /// A file of it is unreadable, or others may change it.
    #[error("cannot tell which modules are trusted")]
    File(#[from] TrustedFileError),
    /// The configuration is not understood.
    #[error("cannot understand `{path}`")]
    Config {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: toml::de::Error,
    },
    /// A key is unusable.
    #[error("cannot use the trusted keys in `{path}`")]
    Keys {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
}

/// What the configuration file says; the same file as `livepatch apply` reads.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    #[serde(default)]
    require_signature: bool,
    keys: Option<PathBuf>,
}

/// Which modules may be loaded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    require_signature: bool,
    keyring: Keyring,
}

impl Policy {
    /// Reads the policy and the keys; what the operator names replaces the machine's and must exist.
    ///
    /// # Errors
    /// When something of it is not understood, or may be changed by others.
    pub(crate) fn read(config: Option<&Path>, keys: Option<&Path>) -> Result<Self, PolicyError> {
        let path = config.unwrap_or(Path::new(CONFIG));
        let config = match read_trusted(path, CONFIG_MAX) {
            Ok((bytes, _)) => parse(path, &bytes)?,
            Err(error) if config.is_none() && is_absent(&error) => Config::default(),
            Err(error) => return Err(error.into()),
        };
        let named = keys.map(Path::to_owned).or(config.keys);
        let must_exist = named.is_some();
        let path = named.unwrap_or_else(|| KEYS.into());
        let keyring = match Keyring::read(&path) {
            Ok(keyring) => keyring,
            Err(KeyError::File(error)) if !must_exist && is_absent(&error) => Keyring::default(),
            Err(source) => return Err(PolicyError::Keys { path, source }),
        };
        Ok(Self {
            require_signature: config.require_signature,
            keyring,
        })
    }

    /// The trusted key that signed these bytes; `None` when none did and none need have.
    ///
    /// # Errors
    /// When the policy asks for more.
    pub(crate) fn admit(&self, bytes: &[u8]) -> Result<Option<KeyId>, Untrusted> {
        match self.keyring.verify(bytes) {
            Ok(key) => Ok(Some(key)),
            Err(SignatureError::Missing | SignatureError::UnknownKey(_))
                if !self.require_signature =>
            {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Config, PolicyError> {
    toml::from_slice(bytes).map_err(|source| PolicyError::Config {
        path: path.to_owned(),
        source,
    })
}

fn is_absent(error: &TrustedFileError) -> bool {
    matches!(error, TrustedFileError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}
