//! Who made a bundle, and whether it is as they left it.
//!
//! A signed bundle ends with
//!
//! ```text
//!   0  magic      16 bytes  "livepatch-sig-1\n"
//!  16  key        16 bytes  the signer's KeyId
//!  32  signature  64 bytes  Ed25519 (RFC 8032) over every byte of the file before these
//! ```
//!
//! which is also the contents of its last section, `.livepatch.signature`. So nothing of the file needs to be understood, ELF
//! headers included, before it is known whose it is; nothing of it can change unseen; and any tool can check it:
//! `head -c -64 FILE` is the message and `tail -c 64 FILE` the signature for `openssl pkeyutl -verify -rawin`.

mod key;
mod keyring;

pub use key::{KeyError, KeyId, PrivateKey, PublicKey};
pub use keyring::Keyring;

use crate::writer::write_with_room;
use crate::{Bundle, BundleError};
use thiserror::Error;

const MAGIC: &[u8; 16] = b"livepatch-sig-1\n";
const KEY: usize = MAGIC.len();
const SIGNATURE: usize = KEY + KeyId::LEN;
const SIGNATURE_LEN: usize = 64;
const LEN: usize = SIGNATURE + SIGNATURE_LEN;

/// Why a bundle is not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// Nobody signed it.
    #[error("it has no signature")]
    Missing,
    /// There is something like a signature, but not where and as it must be.
    #[error("its signature is malformed: {0}")]
    Malformed(&'static str),
    /// The signer is not trusted.
    #[error("it is signed with key {0}, which is not among the trusted keys")]
    UnknownKey(KeyId),
    /// The bytes are not those that were signed, or the signature is not the key's.
    #[error("it was altered after it was signed with key {0}, or the signature is forged")]
    Altered(KeyId),
}

/// The end of a signed bundle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trailer<'a> {
    /// What the signature covers.
    message: &'a [u8],
    key: KeyId,
    signature: &'a [u8; SIGNATURE_LEN],
}

impl<'a> Trailer<'a> {
    /// The trailer's bytes, if the file has one.
    pub(crate) fn bytes_of(file: &'a [u8]) -> Option<&'a [u8]> {
        let start = file.len().checked_sub(LEN)?;
        let bytes = &file[start..];
        bytes.starts_with(MAGIC).then_some(bytes)
    }

    fn find(file: &'a [u8]) -> Result<Self, SignatureError> {
        let Some(bytes) = Self::bytes_of(file) else {
            let astray = file.windows(KEY).any(|window| window == MAGIC);
            return Err(match astray {
                true => SignatureError::Malformed("it is not the end of the file"),
                false => SignatureError::Missing,
            });
        };
        let id = bytes[KEY..SIGNATURE].try_into();
        let signature = bytes[SIGNATURE..].try_into();
        Ok(Self {
            message: &file[..file.len() - SIGNATURE_LEN],
            key: KeyId(id.expect("the range has the length of an id")),
            signature: signature.expect("the range has the length of a signature"),
        })
    }
}

/// Signs a file that is no bundle but may end with anything, as a shared library may: the signature is added at its end. One that is
/// there already is replaced.
#[must_use]
pub fn sign_bytes(mut file: Vec<u8>, key: &PrivateKey) -> Vec<u8> {
    if Trailer::bytes_of(&file).is_some() {
        file.truncate(file.len() - LEN);
    }
    file.extend(MAGIC);
    file.extend(key.public().id().0);
    let signature = key.sign(&file);
    file.extend(signature);
    file
}

/// Encodes a bundle as [`crate::write`] does and signs it; the same bundle and key give the same bytes.
///
/// # Errors
/// As [`crate::write`].
pub fn sign(bundle: &Bundle, key: &PrivateKey) -> Result<Vec<u8>, BundleError> {
    let mut file = write_with_room(bundle, LEN)?;
    let start = file.len() - LEN;
    file[start..start + KEY].copy_from_slice(MAGIC);
    file[start + KEY..start + SIGNATURE].copy_from_slice(&key.public().id().0);
    let end = start + SIGNATURE;
    let signature = key.sign(&file[..end]);
    file[end..].copy_from_slice(&signature);
    Ok(file)
}

/// Who claims to have signed the file; a claim only, until a [`Keyring`] has verified it.
///
/// # Errors
/// When it has no signature, or a malformed one.
pub fn signer(file: &[u8]) -> Result<KeyId, SignatureError> {
    Ok(Trailer::find(file)?.key)
}
