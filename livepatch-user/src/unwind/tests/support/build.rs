//! Building the test programs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use tempfile::TempDir;

/// A directory with one program in it.
#[derive(Clone)]
pub(crate) struct Program {
    _directory: Rc<TempDir>,
    pub(crate) path: PathBuf,
}

/// The directory of the C sources.
pub(crate) fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/unwind/tests/c")
}

/// Builds `stacks.c` with `compiler`, whose words are separated by blanks.
pub(crate) fn stacks(compiler: &str) -> Program {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("stacks");
    run(&format!(
        "{compiler} -o {} {}",
        path.display(),
        sources().join("stacks.c").display()
    ));
    Program {
        _directory: Rc::new(directory),
        path,
    }
}

/// Builds `lazy.c` with its library.
pub(crate) fn lazy() -> Program {
    let directory = TempDir::new().expect("a temporary directory");
    let (dir, sources) = (directory.path().display(), sources());
    let sources = sources.display();
    run(&format!(
        "gcc -O2 -shared -fPIC -o {dir}/liblazy.so {sources}/liblazy.c"
    ));
    run(&format!(
        "gcc -O2 -Wl,-z,lazy -o {dir}/lazy {sources}/lazy.c {dir}/liblazy.so"
    ));
    let path = directory.path().join("lazy");
    Program {
        _directory: Rc::new(directory),
        path,
    }
}

/// Builds `many.c`.
pub(crate) fn many() -> Program {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("many");
    let source = sources().join("many.c");
    run(&format!(
        "gcc -O2 -pthread -o {} {}",
        path.display(),
        source.display()
    ));
    Program {
        _directory: Rc::new(directory),
        path,
    }
}

/// Runs a compiler; a missing one is a failure that says so.
pub(crate) fn run(command: &str) {
    let mut words = command.split_whitespace();
    let program = words.next().expect("a command has a first word");
    let output = Command::new(program).args(words).output();
    let output =
        output.unwrap_or_else(|error| panic!("`{program}` is missing ({error}); install it"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{command}`: {text}");
}
