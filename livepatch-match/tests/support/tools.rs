//! Compiling and linking in a directory of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A directory to build in.
pub(crate) struct Workshop {
    dir: TempDir,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    /// Runs a tool here and returns what it wrote to `output`.
    pub(crate) fn build(&self, program: &str, arguments: &[&str], output: &str) -> Vec<u8> {
        let mut command = tool(program);
        command
            .args(arguments)
            .args(["-o", output])
            .current_dir(self.dir.path());
        let result = command
            .output()
            .unwrap_or_else(|error| panic!("`{program}` must be installed: {error}"));
        assert!(
            result.status.success(),
            "{command:?}\n{}",
            String::from_utf8_lossy(&result.stderr)
        );
        std::fs::read(self.path(output)).expect("the output")
    }
}

/// A tool with a plain environment.
pub(crate) fn tool(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("LC_ALL", "C");
    command
}

/// A source file of the tests.
pub(crate) fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/programs")
        .join(name)
}
