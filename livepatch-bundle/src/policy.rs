//! Whose signatures count: trusted keys and the policy of this machine.
//!
//! The file `/etc/livepatch/config.toml` may say
//!
//! ```toml
//! require-signature = true    # default: false
//! keys = "/etc/livepatch/keys.d"
//! ```
//!
//! What a trusted key signed must be as it was signed, whatever the policy says. Both files are read only if nobody
//! but root and the user can change them ([`read_trusted`]).

use crate::{KeyError, KeyId, Keyring, SignatureError, TrustedFileError, read_trusted};
use serde::Deserialize;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The policy of the machine.
pub const CONFIG: &str = "/etc/livepatch/config.toml";
/// The keys that the machine trusts.
pub const KEYS: &str = "/etc/livepatch/keys.d";
/// No configuration is longer, in bytes.
const CONFIG_MAX: u64 = 64 << 10;

/// Where the policy is found; what an operator names replaces the machine's.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Instead of [`CONFIG`]; must exist.
    pub config: Option<PathBuf>,
    /// Instead of the configured keys and [`KEYS`]; must exist.
    pub keys: Option<PathBuf>,
}

/// What the configuration file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    #[serde(default)]
    require_signature: bool,
    keys: Option<PathBuf>,
}

/// Which bundles may be applied, and which modules loaded.
#[derive(Clone, Debug)]
pub struct Policy {
    require_signature: bool,
    keyring: Keyring,
    keys: PathBuf,
}

/// Why there is no policy to go by.
#[derive(Debug, Error)]
pub enum PolicyError {
    /// A file of it is unreadable, or others may change it.
    #[error("cannot tell which signatures are trusted")]
    File(#[from] TrustedFileError),
    /// The configuration is not understood; a misspelt rule must not be no rule.
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

impl Policy {
    /// Reads the policy and the keys.
    ///
    /// # Errors
    /// When something of it cannot be read, is not understood or may be changed by others. Files of the machine that do
    /// not exist say nothing; those that the operator names must exist.
    pub fn read(sources: &Sources) -> Result<Self, PolicyError> {
        let path = sources.config.as_deref();
        let config = config(path.unwrap_or(Path::new(CONFIG)), path.is_some())?;
        let named = sources.keys.clone().or(config.keys);
        let must_exist = named.is_some();
        let keys = named.unwrap_or_else(|| KEYS.into());
        Ok(Self {
            require_signature: config.require_signature,
            keyring: keyring(&keys, must_exist)?,
            keys,
        })
    }

    /// Where the trusted keys are, for messages.
    #[must_use]
    pub fn keys(&self) -> &Path {
        &self.keys
    }

    /// The trusted key that signed these bytes, a bundle or a module; `None` when none did and none need have.
    ///
    /// # Errors
    /// When they were altered, or the policy asks for a signature that is not there.
    pub fn signer(&self, bytes: &[u8]) -> Result<Option<KeyId>, SignatureError> {
        match self.keyring.verify(bytes) {
            Ok(key) => Ok(Some(key)),
            Err(SignatureError::Missing | SignatureError::UnknownKey(_))
                if !self.require_signature =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn config(path: &Path, must_exist: bool) -> Result<Config, PolicyError> {
    let bytes = match read_trusted(path, CONFIG_MAX) {
        Ok((bytes, _)) => bytes,
        Err(error) if !must_exist && is_absent(&error) => return Ok(Config::default()),
        Err(error) => return Err(error.into()),
    };
    toml::from_slice(&bytes).map_err(|source| PolicyError::Config {
        path: path.to_owned(),
        source,
    })
}

fn keyring(path: &Path, must_exist: bool) -> Result<Keyring, PolicyError> {
    match Keyring::read(path) {
        Ok(keyring) => Ok(keyring),
        Err(KeyError::File(error)) if !must_exist && is_absent(&error) => Ok(Keyring::default()),
        Err(source) => Err(PolicyError::Keys {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Whether nothing is there; a file that may not be read is another matter.
fn is_absent(error: &TrustedFileError) -> bool {
    matches!(error, TrustedFileError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrivateKey;
    use std::fs;
    use tempfile::TempDir;

    /// A directory with a configuration of this text, and no machine's keys.
    fn sources(text: &str) -> (TempDir, Sources) {
        let directory = TempDir::new().expect("a temporary directory");
        let (config, keys) = (directory.path().join("config.toml"), "keys.d");
        let keys = directory.path().join(keys);
        fs::create_dir(&keys).expect("writable");
        fs::write(&config, text).expect("writable");
        let sources = Sources {
            config: Some(config),
            keys: Some(keys),
        };
        (directory, sources)
    }

    #[test]
    fn nothing_configured_asks_for_nothing() {
        let (_directory, sources) = sources("");
        let policy = Policy::read(&sources).expect("an empty file is a configuration");
        assert_eq!(policy.signer(b"no bundle at all"), Ok(None));
    }

    #[test]
    fn a_required_signature_must_be_there() {
        let (_directory, sources) = sources("require-signature = true\n");
        let policy = Policy::read(&sources).expect("well-formed");
        assert_eq!(policy.signer(b"unsigned"), Err(SignatureError::Missing));
    }

    #[test]
    fn a_rule_that_is_not_understood_is_no_missing_rule() {
        for text in [
            "require_signature = true",
            "require-signature = \"yes\"",
            "require-signature",
            "\u{0}",
        ] {
            let (_directory, sources) = sources(text);
            let error = Policy::read(&sources).expect_err(text);
            assert!(matches!(error, PolicyError::Config { .. }), "{error:?}");
        }
    }

    #[test]
    fn what_the_operator_names_must_exist() {
        let (directory, mut sources) = sources("");
        sources.keys = Some(directory.path().join("missing"));
        let error = Policy::read(&sources).expect_err("no such keys");
        assert!(matches!(error, PolicyError::Keys { .. }), "{error:?}");
        sources.config = Some(directory.path().join("missing.toml"));
        let error = Policy::read(&sources).expect_err("no such file");
        assert!(matches!(error, PolicyError::File(_)), "{error:?}");
    }

    #[test]
    fn the_configuration_may_name_the_keys() {
        let (directory, mut sources) = sources("");
        let keys = sources.keys.take().expect("just made");
        let text = format!("keys = {:?}\n", keys.display().to_string());
        fs::write(directory.path().join("config.toml"), text).expect("writable");
        let key = PrivateKey::generate().expect("the system has random bytes");
        key.store(&directory.path().join("release"))
            .expect("writable");
        let public = directory.path().join("release.pub");
        fs::rename(public, keys.join("release.pub")).expect("writable");
        let policy = Policy::read(&sources).expect("well-formed");
        assert!(policy.keyring.has(key.public().id()));
    }
}
