//! Unpacked images, kept from one run to the next: unpacking takes longer than all else.
//!
//! ```text
//! DIRECTORY/KEY.image    KEY: SHA-256 of the packed image, in hex
//! 0   SHA-256 of the key's 32 bytes and the contents
//! 32  the contents: the unpacked image
//! ```
//!
//! What is kept is used only if it is whole, this user's own, and nobody else could have written it. A cache that cannot be read or written is no
//! error: the image is unpacked.

use nix::fcntl::OFlag;
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// So many images are kept, of 70 MB each.
const KEPT: usize = 4;
const SUFFIX: &str = "image";
const DIGEST: usize = 32;
/// More than any image has, in bytes.
const MOST: u64 = 1 << 30;

/// A directory with unpacked images.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
}

impl Cache {
    /// The cache in this directory, which is made when something is to be kept.
    #[must_use]
    pub fn at(directory: &Path) -> Self {
        let directory = directory.to_owned();
        Self { directory }
    }

    /// `livepatch` in `$XDG_CACHE_HOME`, else in `$HOME/.cache`; `None` where neither is an absolute path.
    #[must_use]
    pub fn of_user() -> Option<Self> {
        let path =
            |name| Some(PathBuf::from(std::env::var_os(name)?)).filter(|path| path.is_absolute());
        let caches = path("XDG_CACHE_HOME").or_else(|| Some(path("HOME")?.join(".cache")))?;
        Some(Self::at(&caches.join("livepatch")))
    }

    /// What `packed` holds: what was kept of it, or what `unpack` makes of it, which is kept then.
    ///
    /// # Errors
    /// Those of `unpack`.
    pub(crate) fn unpacked<E>(
        &self,
        packed: &[u8],
        unpack: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        let key = Sha256::digest(packed).into();
        if let Some(contents) = self.read(&key) {
            return Ok(contents);
        }
        let contents = unpack()?;
        // The next run will be slower, and that is all.
        let _ = self.keep(&key, &contents);
        Ok(contents)
    }

    fn path(&self, key: &[u8; DIGEST]) -> PathBuf {
        let name: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        self.directory.join(name).with_extension(SUFFIX)
    }

    fn read(&self, key: &[u8; DIGEST]) -> Option<Vec<u8>> {
        if !is_ours(&fs::symlink_metadata(&self.directory).ok()?) {
            return None;
        }
        let mut options = OpenOptions::new();
        options
            .read(true)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
        let mut file = options.open(self.path(key)).ok()?;
        let metadata = file.metadata().ok()?;
        let size = metadata.len();
        if !(metadata.is_file() && is_ours(&metadata) && size <= MOST) {
            return None;
        }
        let mut digest = [0; DIGEST];
        file.read_exact(&mut digest).ok()?;
        let mut contents = Vec::with_capacity(usize::try_from(size).ok()?);
        file.take(MOST).read_to_end(&mut contents).ok()?;
        (digest_of(key, &contents) == digest).then_some(contents)
    }

    fn keep(&self, key: &[u8; DIGEST], contents: &[u8]) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)?;
        if !is_ours(&fs::symlink_metadata(&self.directory)?) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
        file.write_all(&digest_of(key, contents))?;
        file.write_all(contents)?;
        file.persist(self.path(key))?;
        self.forget_old()
    }

    /// Removes all but the newest.
    fn forget_old(&self) -> io::Result<()> {
        let mut images: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let path = entry.path();
            if path
                .extension()
                .is_some_and(|extension| extension == SUFFIX)
            {
                images.push((entry.metadata()?.modified()?, path));
            }
        }
        images.sort();
        let old = images.len().saturating_sub(KEPT);
        images[..old]
            .iter()
            .try_for_each(|(_, path)| fs::remove_file(path))
    }
}

fn digest_of(key: &[u8; DIGEST], contents: &[u8]) -> [u8; DIGEST] {
    Sha256::new()
        .chain_update(key)
        .chain_update(contents)
        .finalize()
        .into()
}

/// Whether it belongs to this user, and nobody else may change it.
fn is_ours(metadata: &Metadata) -> bool {
    let own = metadata.uid() == nix::unistd::geteuid().as_raw();
    own && metadata.mode() & 0o022 == 0 && !metadata.is_symlink()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn place() -> (tempfile::TempDir, Cache) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let cache = Cache::at(&directory.path().join("caches/livepatch"));
        (directory, cache)
    }

    /// What the cache says `packed` holds, and whether it had to be unpacked.
    fn unpacked(cache: &Cache, packed: &[u8]) -> (Vec<u8>, bool) {
        let mut was_unpacked = false;
        let contents = cache.unpacked(packed, || {
            was_unpacked = true;
            Ok::<_, ()>([b"unpacked ", packed].concat())
        });
        (contents.expect("it never fails"), was_unpacked)
    }

    fn kept(directory: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).expect("it is there");
        entries
            .map(|entry| entry.expect("readable").path())
            .collect()
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    }

    #[test]
    fn an_image_is_unpacked_once() {
        let (_directory, cache) = place();
        let wanted = b"unpacked a".to_vec();
        assert_eq!(unpacked(&cache, b"a"), (wanted.clone(), true));
        assert_eq!(unpacked(&cache, b"a"), (wanted, false));
        assert_eq!(unpacked(&cache, b"b"), (b"unpacked b".to_vec(), true));
        let failed = cache.unpacked(b"c", || Err("damaged"));
        assert_eq!(failed, Err("damaged"));
        assert_eq!(kept(&cache.directory).len(), 2);
    }

    #[test]
    fn what_is_damaged_or_of_another_image_is_not_used() {
        let (_directory, cache) = place();
        unpacked(&cache, b"a");
        let path = kept(&cache.directory).remove(0);
        let whole = fs::read(&path).expect("readable");
        for at in 0..whole.len() {
            let mut spoilt = whole.clone();
            spoilt[at] ^= 1;
            fs::write(&path, &spoilt).expect("writable");
            assert_eq!(
                unpacked(&cache, b"a"),
                (b"unpacked a".to_vec(), true),
                "{at}"
            );
            fs::write(&path, &whole[..at]).expect("writable");
            assert_eq!(
                unpacked(&cache, b"a"),
                (b"unpacked a".to_vec(), true),
                "{at}"
            );
        }
        unpacked(&cache, b"b");
        let other = kept(&cache.directory).into_iter().find(|one| *one != path);
        fs::rename(&path, other.expect("two are kept")).expect("writable");
        assert_eq!(unpacked(&cache, b"b"), (b"unpacked b".to_vec(), true));
    }

    #[test]
    fn what_others_may_have_written_is_not_used() {
        let (_directory, cache) = place();
        unpacked(&cache, b"a");
        let path = kept(&cache.directory).remove(0);
        mode(&path, 0o662);
        assert!(unpacked(&cache, b"a").1);
        assert!(!unpacked(&cache, b"a").1, "it was written anew");
        let elsewhere = path.with_extension("other");
        fs::rename(&path, &elsewhere).expect("writable");
        symlink(&elsewhere, &path).expect("writable");
        assert!(unpacked(&cache, b"a").1);
        mode(&cache.directory, 0o777);
        assert!(unpacked(&cache, b"a").1 && unpacked(&cache, b"a").1);
    }

    #[test]
    fn few_are_kept() {
        let (_directory, cache) = place();
        for number in 0..10 {
            unpacked(&cache, &[number]);
        }
        assert_eq!(kept(&cache.directory).len(), KEPT);
        assert!(!unpacked(&cache, &[9]).1, "the newest is kept");
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_no_error() {
        let (directory, _) = place();
        let file = directory.path().join("file");
        fs::write(&file, "").expect("writable");
        assert!(unpacked(&Cache::at(&file.join("cache")), b"a").1);
    }
}
