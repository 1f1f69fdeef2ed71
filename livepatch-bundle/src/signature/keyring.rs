//! The keys that are trusted.

use super::{KeyError, KeyId, PublicKey, SignatureError, Trailer};
use crate::trusted::{TrustedFileError, check_trusted};
use std::fs;
use std::path::{Path, PathBuf};

/// What a key's file name ends with in a directory of keys; other files there are not looked at.
const EXTENSIONS: [&str; 2] = ["pub", "pem"];

/// The keys that are trusted.
#[derive(Clone, Debug, Default)]
pub struct Keyring(Vec<PublicKey>);

impl Keyring {
    /// Reads one public key from a file, or those of a directory: every file there that ends in `.pub` or `.pem`.
    ///
    /// # Errors
    /// When anything of it is unreadable, no public key, or may be changed by others: none is passed over in silence.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        if !path.is_dir() {
            return Ok(Self(vec![PublicKey::read(path)?]));
        }
        check_trusted(path)?;
        let files = files(path).map_err(|source| TrustedFileError::Io {
            path: path.to_owned(),
            source,
        })?;
        let keys = files.iter().map(|file| PublicKey::read(file));
        Ok(Self(keys.collect::<Result<_, _>>()?))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this key is trusted.
    #[must_use]
    pub fn has(&self, id: KeyId) -> bool {
        self.0.iter().any(|key| key.id() == id)
    }

    /// Tells which of the keys signed these very bytes.
    ///
    /// # Errors
    /// When none did.
    pub fn verify(&self, file: &[u8]) -> Result<KeyId, SignatureError> {
        let trailer = Trailer::find(file)?;
        let key = self.0.iter().find(|key| key.id() == trailer.key);
        let key = key.ok_or(SignatureError::UnknownKey(trailer.key))?;
        match key.verifies(trailer.message, trailer.signature) {
            true => Ok(trailer.key),
            false => Err(SignatureError::Altered(trailer.key)),
        }
    }
}

impl FromIterator<PublicKey> for Keyring {
    fn from_iter<I: IntoIterator<Item = PublicKey>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

/// The key files of a directory, by name.
fn files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
    let paths = paths.collect::<std::io::Result<Vec<PathBuf>>>()?;
    let named = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
    };
    let mut files: Vec<PathBuf> = paths.into_iter().filter(named).collect();
    files.sort();
    Ok(files)
}
