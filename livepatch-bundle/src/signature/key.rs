//! Ed25519 keys and their files: PEM, PKCS #8 for private keys (RFC 8410) and SubjectPublicKeyInfo for public ones, as
//! `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write them.

use crate::trusted::{TrustedFileError, read_trusted};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes,
};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// No key file is longer, in bytes.
const FILE_MAX: u64 = 16 << 10;

/// The name of a key: the first 16 bytes of the SHA-256 of its SubjectPublicKeyInfo, as
/// `openssl pkey -pubin -outform DER | sha256sum` prints them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub(super) [u8; Self::LEN]);

impl KeyId {
    pub(super) const LEN: usize = 16;
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// Why a key cannot be used or kept.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file cannot be read, or others may change it.
    #[error(transparent)]
    File(#[from] TrustedFileError),
    /// It holds something else.
    #[error("`{path}` is no Ed25519 {kind} key in PEM")]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// `public` or `private`.
        kind: &'static str,
    },
    /// A private key lies where public ones are looked for, and may be seen by others.
    #[error("`{0}` holds a private key; only public keys belong there")]
    Misplaced(PathBuf),
    /// Others may read a private key.
    #[error("others may read the private key `{path}` (mode {mode:04o}): `chmod 600` it")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file is there already, or cannot be made.
    #[error("cannot create `{path}`")]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system gave no random bytes.
    #[error("cannot get random bytes for a key")]
    Random(#[source] io::Error),
}

/// A key that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    id: KeyId,
}

impl PublicKey {
    fn new(key: VerifyingKey) -> Self {
        let der = key.to_public_key_der();
        let der = der.expect("32 bytes always encode");
        let digest = Sha256::digest(der.as_bytes());
        let id = digest[..KeyId::LEN].try_into();
        Self {
            key,
            id: KeyId(id.expect("a digest has 32 bytes")),
        }
    }

    /// Reads a public key from a file that nobody else may change.
    ///
    /// # Errors
    /// When the file is unsafe, unreadable or holds something else.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let (bytes, _) = read_trusted(path, FILE_MAX)?;
        let text = String::from_utf8_lossy(&bytes);
        if text.contains("PRIVATE KEY") {
            return Err(KeyError::Misplaced(path.to_owned()));
        }
        let key = VerifyingKey::from_public_key_pem(text.trim()).ok();
        // A weak key (one of small order) verifies what nobody signed.
        let key = key.filter(|key| !key.is_weak());
        key.map(Self::new).ok_or_else(|| KeyError::NotAKey {
            path: path.to_owned(),
            kind: "public",
        })
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Whether this key signed `message`; the strict rules, by which a signature cannot be changed into another valid one.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = Signature::from_bytes(signature);
        self.key.verify_strict(message, &signature).is_ok()
    }

    fn pem(&self) -> String {
        let pem = self.key.to_public_key_pem(LineEnding::LF);
        pem.expect("32 bytes always encode")
    }
}

/// A key that signs; its bytes are wiped when it is dropped.
pub struct PrivateKey(SigningKey);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public().id())
    }
}

impl PrivateKey {
    /// Makes a new key from the system's random bytes.
    ///
    /// # Errors
    /// When the system has none.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(|error| KeyError::Random(error.into()))?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Reads a private key from a file that nobody else may read or change.
    ///
    /// # Errors
    /// When the file is unsafe, unreadable or holds something else.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let (bytes, metadata) = read_trusted(path, FILE_MAX)?;
        let bytes = Zeroizing::new(bytes);
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            let path = path.to_owned();
            return Err(KeyError::Exposed { path, mode });
        }
        let text = std::str::from_utf8(&bytes).ok();
        let key = text.and_then(|text| SigningKey::from_pkcs8_pem(text.trim()).ok());
        key.map(Self).ok_or_else(|| KeyError::NotAKey {
            path: path.to_owned(),
            kind: "private",
        })
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey::new(self.0.verifying_key())
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// Writes the private key to `path` (mode 0600) and the public one to `path` with `.pub` appended, neither over
    /// an existing file. Returns the second path.
    ///
    /// # Errors
    /// When one of them exists or cannot be written; then neither was made.
    pub fn store(&self, path: &Path) -> Result<PathBuf, KeyError> {
        let mut public_path = path.as_os_str().to_owned();
        public_path.push(".pub");
        let public_path = PathBuf::from(public_path);
        create(&public_path, 0o644, self.public().pem().as_bytes())?;
        let written = create(path, 0o600, self.pem().as_bytes());
        if written.is_err() {
            // It was just made here and is of no use alone.
            let _ = std::fs::remove_file(&public_path);
        }
        written.map(|()| public_path)
    }

    /// Version 1 of PKCS #8, without the public key: OpenSSL 3.0 does not read version 2.
    fn pem(&self) -> impl std::ops::Deref<Target = String> + use<> {
        let bytes = KeypairBytes {
            secret_key: self.0.to_bytes(),
            public_key: None,
        };
        let pem = bytes.to_pkcs8_pem(LineEnding::LF);
        pem.expect("32 bytes always encode")
    }
}

fn create(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), KeyError> {
    let failed = |source| KeyError::Create {
        path: path.to_owned(),
        source,
    };
    let mut options = OpenOptions::new();
    let options = options.write(true).create_new(true).mode(mode);
    let mut file = options.open(path).map_err(failed)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|error| {
        let _ = std::fs::remove_file(path);
        failed(error)
    })
}
