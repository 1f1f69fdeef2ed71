//! Programs that the tests compile and start, and what they print about themselves.

use crate::image::{Context, Images};
use crate::process::{Mapping, Pid, ProcessMemory, examine, maps};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Prints pointers and values by name; then waits until its standard input closes, which it does when the
/// test ends, however it ends.
const PRELUDE: &str = r#"
#define _GNU_SOURCE
#include <stdio.h>
#include <unistd.h>
#include <string.h>
#define SHOW(name, value) printf("%s %lx\n", name, (unsigned long)(value))
#define ADDRESS(symbol) SHOW(#symbol, &symbol)
static inline unsigned long thread_pointer(void)
{ unsigned long tp; __asm__("mov %%fs:0,%0" : "=r"(tp)); return tp; }
static inline int wait_for_end(void)
{ char c; puts("."); fflush(stdout); while (read(0, &c, 1) > 0); return 0; }
"#;

/// A directory with sources and what was made of them.
pub(super) struct Workshop(TempDir);

impl Workshop {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Compiles a source, given without the prelude, into `name`.
    pub(super) fn compile(&self, name: &str, source: &str, flags: &[&str]) -> PathBuf {
        self.compile_with("gcc", name, source, flags)
    }

    pub(super) fn compile_with(
        &self,
        compiler: &str,
        name: &str,
        source: &str,
        flags: &[&str],
    ) -> PathBuf {
        let file = format!("{name}.c");
        std::fs::write(self.path(&file), format!("{PRELUDE}{source}")).expect("written");
        let out = self.path(name);
        let mut arguments = vec!["-O1", "-w", "-o", name, &file];
        arguments.extend(flags);
        self.run(compiler, &arguments);
        out
    }

    /// Runs a tool in the directory.
    pub(super) fn run(&self, tool: &str, arguments: &[&str]) {
        let output = Command::new(tool)
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .unwrap_or_else(|error| panic!("`{tool}` is missing: {error}"));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{tool} {arguments:?}: {errors}");
    }
}

/// A running program; it ends with this.
pub(super) struct Live {
    child: Child,
    pub(super) memory: ProcessMemory,
    told: HashMap<String, u64>,
}

impl Live {
    pub(super) fn start(program: &Path) -> Self {
        let directory = program.parent().expect("programs lie in a directory");
        Self::run(Command::new(program).env("LD_LIBRARY_PATH", directory))
    }

    pub(super) fn run(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let output = child.stdout.take().expect("piped");
        let lines = BufReader::new(output)
            .lines()
            .map(|line| line.expect("text"));
        let told = lines.take_while(|line| line != ".").map(|line| {
            let (name, value) = line.split_once(' ').expect("name and value");
            let value = u64::from_str_radix(value, 16).expect("hex");
            (name.to_owned(), value)
        });
        let told = told.collect();
        let pid = Pid(child.id().cast_signed());
        let target = examine(pid).expect("a process that can be examined");
        let memory = ProcessMemory::open(&target).expect("its memory");
        Self {
            child,
            memory,
            told,
        }
    }

    pub(super) fn pid(&self) -> Pid {
        Pid(self.child.id().cast_signed())
    }

    pub(super) fn maps(&self) -> Vec<Mapping> {
        maps(self.pid()).expect("its maps")
    }

    pub(super) fn images(&self) -> Images<'_> {
        self.images_with(Context::of(self.pid()))
    }

    pub(super) fn images_with(&self, context: Context) -> Images<'_> {
        Images::read(&self.maps(), &self.memory, context)
    }

    /// What the program printed under a name.
    pub(super) fn told(&self, name: &str) -> u64 {
        self.told[name]
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // It may have ended already; both calls are for a child that has not been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
