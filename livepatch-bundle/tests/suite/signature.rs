//! Signing and verifying, with OpenSSL as the second opinion.

use crate::samples;
use livepatch_bundle::{
    BundleError, KeyError, Keyring, PrivateKey, PublicKey, SignatureError, TrustedFileError, read,
    read_file, sign, signer, write, write_signed_file,
};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The trailer's length: magic, key, signature.
const TRAILER: usize = 96;

fn key() -> PrivateKey {
    PrivateKey::generate().expect("the system has random bytes")
}

fn trusting(key: &PrivateKey) -> Keyring {
    Keyring::from_iter([key.public()])
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
}

fn directory() -> TempDir {
    TempDir::new().expect("a temporary directory")
}

#[test]
fn a_signed_bundle_reads_back_and_verifies() {
    let (bundle, key) = (samples::small(), key());
    let bytes = sign(&bundle, &key).expect("the sample is valid");
    assert_eq!(read(&bytes).expect("just written"), bundle);
    assert_eq!(trusting(&key).verify(&bytes), Ok(key.public().id()));
    assert_eq!(signer(&bytes), Ok(key.public().id()));
    assert_eq!(sign(&bundle, &key).expect("as before"), bytes);
    let plain = read(&bytes).and_then(|bundle| write(&bundle));
    let plain = plain.expect("as before");
    assert_eq!(plain, write(&bundle).expect("valid"), "no trace is left");
}

#[test]
fn a_changed_byte_is_noticed() {
    let key = key();
    let keyring = trusting(&key);
    let bytes = sign(&samples::small(), &key).expect("the sample is valid");
    // Every byte of the trailer, and a sample of the others.
    let body = (0..bytes.len() - TRAILER).step_by(13);
    for at in body.chain(bytes.len() - TRAILER..bytes.len()) {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        let error = keyring.verify(&altered).expect_err("altered");
        let expected = match bytes.len() - at {
            // The magic: nothing tells that there was a signature.
            81..=TRAILER => matches!(error, SignatureError::Missing),
            65..=80 => matches!(error, SignatureError::UnknownKey(_)),
            _ => matches!(error, SignatureError::Altered(_)),
        };
        assert!(expected, "byte {at}: {error:?}");
    }
}

#[test]
fn what_is_cut_off_or_appended_is_noticed() {
    let key = key();
    let keyring = trusting(&key);
    let bytes = sign(&samples::small(), &key).expect("the sample is valid");
    for len in 0..bytes.len() {
        keyring.verify(&bytes[..len]).expect_err("truncated");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    let error = keyring.verify(&longer).expect_err("appended to");
    assert!(matches!(error, SignatureError::Malformed(_)), "{error:?}");
    read(&longer).expect_err("the section is not the end of the file");
    // Another's signature behind ours, over all of it: the section is still ours.
    let twice = [bytes.as_slice(), &bytes[bytes.len() - TRAILER..]].concat();
    keyring.verify(&twice).expect_err("not what was signed");
    read(&twice).expect_err("the section is not the end of the file");
}

#[test]
fn a_trailer_without_its_section_is_no_bundle() {
    let signed = sign(&samples::small(), &key()).expect("the sample is valid");
    let mut plain = write(&samples::small()).expect("the sample is valid");
    plain.extend(&signed[signed.len() - TRAILER..]);
    let error = read(&plain).expect_err("two ways to say what is signed");
    assert!(matches!(error, BundleError::Malformed(_)), "{error:?}");
}

#[test]
fn unsigned_and_foreign_bundles_are_told_apart() {
    let (ours, theirs) = (key(), key());
    let plain = write(&samples::small()).expect("the sample is valid");
    let signed = sign(&samples::small(), &theirs).expect("the sample is valid");
    let keyring = trusting(&ours);
    assert_eq!(keyring.verify(&plain), Err(SignatureError::Missing));
    let unknown = SignatureError::UnknownKey(theirs.public().id());
    assert_eq!(keyring.verify(&signed), Err(unknown.clone()));
    assert_eq!(Keyring::default().verify(&signed), Err(unknown));
}

#[test]
fn key_files_are_private_and_never_overwritten() {
    let directory = directory();
    let path = directory.path().join("release.key");
    let key = key();
    let public = key.store(&path).expect("it can be written");
    assert_eq!(public, directory.path().join("release.key.pub"));
    let permissions = fs::metadata(&path).expect("it exists").permissions();
    assert_eq!(permissions.mode() & 0o777, 0o600);
    let again = PrivateKey::read(&path).expect("just written");
    assert_eq!(again.public(), key.public());
    assert_eq!(PublicKey::read(&public).expect("written"), key.public());

    let before = fs::read(&path).expect("it exists");
    key.store(&path).expect_err("it exists");
    fs::remove_file(&public).expect("it is ours");
    key.store(&path).expect_err("half of it exists");
    assert!(!public.exists(), "nothing is left of the attempt");
    assert_eq!(fs::read(&path).expect("it exists"), before);

    mode(&path, 0o640);
    let error = PrivateKey::read(&path).expect_err("others may read it");
    assert!(matches!(error, KeyError::Exposed { .. }), "{error:?}");
}

#[test]
fn a_directory_of_keys_hides_nothing() {
    let directory = directory();
    let keys = directory.path().join("keys.d");
    fs::create_dir(&keys).expect("writable");
    assert!(Keyring::read(&keys).expect("empty").is_empty());
    let (one, two) = (key(), key());
    let place = directory.path().join("one");
    let public = one.store(&place).expect("writable");
    fs::rename(public, keys.join("one.pub")).expect("writable");
    fs::write(keys.join("README"), "not a key").expect("writable");
    let keyring = Keyring::read(&keys).expect("one key");
    assert!(keyring.has(one.public().id()) && !keyring.has(two.public().id()));

    fs::write(keys.join("broken.pem"), "not a key").expect("writable");
    let error = Keyring::read(&keys).expect_err("a key that cannot be read");
    assert!(matches!(error, KeyError::NotAKey { .. }), "{error:?}");
    fs::rename(&place, keys.join("broken.pem")).expect("writable");
    let error = Keyring::read(&keys).expect_err("a private key");
    assert!(matches!(error, KeyError::Misplaced(_)), "{error:?}");
}

#[test]
fn what_others_may_write_is_not_believed() {
    let directory = directory();
    let keys = directory.path().join("keys.d");
    fs::create_dir(&keys).expect("writable");
    let public = key().store(&keys.join("release")).expect("writable");
    for (place, bad, good) in [(&public, 0o666, 0o644), (&keys, 0o775, 0o755)] {
        mode(place, bad);
        let error = PublicKey::read(&public).expect_err("writable by others");
        let writable = matches!(
            error,
            KeyError::File(TrustedFileError::Writable { mode, .. }) if mode == bad
        );
        assert!(writable, "{error:?}");
        mode(place, good);
    }
    // In a sticky directory nobody else can exchange what is ours.
    mode(&keys, 0o1777);
    PublicKey::read(&public).expect("as in /tmp");
}

#[test]
fn bundles_are_read_from_regular_files_only() {
    let directory = directory();
    let path = directory.path().join("fix.lpatch");
    let key = key();
    write_signed_file(&samples::small(), &key, &path).expect("writable");
    let bytes = read_file(&path).expect("just written");
    assert_eq!(trusting(&key).verify(&bytes), Ok(key.public().id()));
    let pipe = directory.path().join("pipe");
    run("mkfifo", &[&pipe]);
    for path in [pipe.as_path(), directory.path(), Path::new("/dev/zero")] {
        let error = read_file(path).expect_err("not a file");
        assert!(matches!(error, BundleError::NotAFile { .. }), "{error:?}");
    }
}

/// Runs a tool that must succeed, and returns what it says.
fn run(tool: &str, arguments: &[&Path]) -> Vec<u8> {
    let output = Command::new(tool).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("`{tool}` is needed: {error}"));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{tool} {arguments:?}: {text}");
    output.stdout
}

/// Runs openssl; `@NAME` is a file in the directory.
fn openssl(directory: &TempDir, arguments: &str) {
    let paths: Vec<PathBuf> = arguments
        .split(' ')
        .map(|word| match word.strip_prefix('@') {
            Some(file) => directory.path().join(file),
            None => PathBuf::from(word),
        })
        .collect();
    run("openssl", &paths.iter().map(|p| &**p).collect::<Vec<_>>());
}

#[test]
fn openssl_verifies_what_we_sign() {
    let directory = directory();
    let key = key();
    key.store(&directory.path().join("key")).expect("writable");
    let bytes = sign(&samples::small(), &key).expect("the sample is valid");
    let (message, signature) = bytes.split_at(bytes.len() - 64);
    fs::write(directory.path().join("message"), message).expect("writable");
    fs::write(directory.path().join("signature"), signature).expect("writable");
    let verify = "pkeyutl -verify -rawin -pubin -inkey @key.pub -in @message -sigfile @signature";
    openssl(&directory, verify);
    // Our private key is one for OpenSSL, too: the same signature again.
    openssl(
        &directory,
        "pkeyutl -sign -rawin -inkey @key -in @message -out @again",
    );
    let again = fs::read(directory.path().join("again")).expect("written by openssl");
    assert_eq!(again, signature);
}

#[test]
fn keys_that_openssl_makes_are_keys() {
    let directory = directory();
    openssl(&directory, "genpkey -algorithm ed25519 -out @key");
    mode(&directory.path().join("key"), 0o600);
    openssl(&directory, "pkey -in @key -pubout -out @key.pub");
    let key = PrivateKey::read(&directory.path().join("key")).expect("openssl's");
    let keyring = Keyring::read(&directory.path().join("key.pub")).expect("openssl's");
    let bytes = sign(&samples::small(), &key).expect("the sample is valid");
    assert_eq!(keyring.verify(&bytes), Ok(key.public().id()));

    openssl(
        &directory,
        "pkey -pubin -in @key.pub -pubout -outform DER -out @der",
    );
    let digest = run("sha256sum", &[&directory.path().join("der")]);
    let id = key.public().id().to_string();
    assert!(digest.starts_with(id.as_bytes()), "{id}");
    openssl(
        &directory,
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out @rsa",
    );
    mode(&directory.path().join("rsa"), 0o600);
    let error = PrivateKey::read(&directory.path().join("rsa")).expect_err("not Ed25519");
    assert!(matches!(error, KeyError::NotAKey { .. }), "{error:?}");
}
