//! Writing to disk: all or nothing.

use crate::samples;
use livepatch_bundle::{BundleError, read, write_file};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

fn names(directory: &Path) -> Vec<String> {
    fs::read_dir(directory)
        .expect("readable")
        .map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .into_string()
                .expect("a plain name")
        })
        .collect()
}

#[test]
fn a_new_file_and_an_old_one() {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("fix.lpatch");
    for previous in [None, Some("something else")] {
        if let Some(text) = previous {
            fs::write(&path, text).expect("writable");
        }
        write_file(&samples::small(), &path).expect("it can be written");
        let bytes = fs::read(&path).expect("just written");
        assert_eq!(read(&bytes).expect("just written"), samples::small());
        assert_eq!(names(directory.path()), ["fix.lpatch"]);
    }
    let plain = directory.path().join("plain");
    fs::write(&plain, "").expect("writable");
    let mode = |path| fs::metadata(path).expect("exists").permissions().mode();
    assert_eq!(mode(&path), mode(&plain), "as the umask says");
}

#[test]
fn a_symbolic_link_stays() {
    let directory = TempDir::new().expect("a temporary directory");
    let link = directory.path().join("link");
    let target = directory.path().join("target");
    fs::write(&target, "old").expect("writable");
    symlink("target", &link).expect("supported");
    write_file(&samples::small(), &link).expect("it can be written");
    assert!(fs::symlink_metadata(&link).expect("exists").is_symlink());
    assert!(read(&fs::read(&target).expect("exists")).is_ok());
}

#[test]
fn directories_and_devices_are_not_replaced() {
    let directory = TempDir::new().expect("a temporary directory");
    for path in [directory.path(), Path::new("/dev/null")] {
        let error = write_file(&samples::small(), path).expect_err("not a file");
        assert!(matches!(error, BundleError::NotAFile { .. }), "{error:?}");
    }
}

#[test]
fn nothing_can_be_created_there() {
    let directory = TempDir::new().expect("a temporary directory");
    let file = directory.path().join("file");
    fs::write(&file, "").expect("writable");
    for path in [
        directory.path().join("missing/fix"),
        file.join("fix"),
        "/proc/self/fix".into(),
    ] {
        let error = write_file(&samples::small(), &path).expect_err("no place");
        assert!(matches!(error, BundleError::Io { .. }), "{error:?}");
        assert!(std::error::Error::source(&error).is_some());
        assert!(
            error.to_string().contains(&*path.to_string_lossy()),
            "{error}"
        );
    }
}

#[test]
fn an_invalid_bundle_leaves_the_old_file() {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("fix.lpatch");
    fs::write(&path, "old").expect("writable");
    let mut bundle = samples::small();
    bundle.manifest.name.clear();
    write_file(&bundle, &path).expect_err("invalid");
    assert_eq!(fs::read(&path).expect("still there"), b"old");
    assert_eq!(names(directory.path()), ["fix.lpatch"]);
}

const CHILD: &str = "LIVEPATCH_TEST_WRITE_TO";

/// This test runs itself again under a file size limit of 1 KiB or less, less than the bundle's size: a write
/// comes back short and the next one fails, as on a full disk.
#[test]
fn a_full_disk_leaves_the_old_file() {
    if let Some(path) = std::env::var_os(CHILD) {
        let error = write_file(&samples::small(), Path::new(&path)).expect_err("the limit");
        assert!(matches!(error, BundleError::Io { .. }), "{error:?}");
        return;
    }
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("fix.lpatch");
    fs::write(&path, "old").expect("writable");
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().expect("running"))
        .args([
            "--exact",
            "disk::a_full_disk_leaves_the_old_file",
            "--nocapture",
        ])
        .env(CHILD, &path)
        .output()
        .expect("`sh` is needed for this test");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("1 passed"), "{text}");
    assert_eq!(fs::read(&path).expect("still there"), b"old");
    assert_eq!(names(directory.path()), ["fix.lpatch"]);
}
