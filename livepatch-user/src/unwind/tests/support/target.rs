//! A live program, stopped with plain ptrace. It is killed when the test ends.

use super::build::Program;
use super::process::{ProcessSpace, images};
use crate::memory::Registers;
use crate::unwind::{ForbiddenRange, StackCheck, Unwinder, Verdict};
use livepatch_bundle::{LinkAddr, RunAddr};
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use object::{Object, ObjectSymbol};
use std::io::{BufRead, BufReader, Read};

use std::process::{Child, ChildStdout, Command, Stdio};

pub(crate) struct Target {
    child: Child,
    output: BufReader<ChildStdout>,
    pub(crate) pid: Pid,
    program: Program,
}

impl Target {
    /// Starts `path` and waits until it says that it is ready, and asleep if it is to sleep.
    pub(crate) fn start(program: &Program, arguments: &[&str]) -> Self {
        let mut child = Command::new(&program.path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let pid = Pid::from_raw(child.id().cast_signed());
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut target = Self {
            child,
            output,
            pid,
            program: program.clone(),
        };
        let mut line = String::new();
        target
            .output
            .read_line(&mut line)
            .expect("its output can be read");
        assert!(
            line.starts_with("ready"),
            "it says `{line}`{}",
            target.rest()
        );
        target
    }

    fn rest(&mut self) -> String {
        let mut rest = String::new();
        let _ = self.output.read_to_string(&mut rest);
        rest
    }

    /// Waits until the only thread sleeps in a system call.
    pub(crate) fn asleep(self) -> Self {
        let path = format!("/proc/{}/syscall", self.pid);
        for _ in 0..1000 {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if text.starts_with("0 ") {
                return self; // read
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!("it does not fall asleep");
    }

    pub(crate) fn space(&self) -> ProcessSpace {
        ProcessSpace(self.pid)
    }

    pub(crate) fn unwinder(&self) -> Unwinder {
        Unwinder::new(images(self.pid))
    }

    /// The code of a function of the program, from its symbol table.
    pub(crate) fn function(&self, name: &str) -> ForbiddenRange {
        let file = std::fs::read(&self.program.path).expect("the program can be read");
        let elf = object::File::parse(&*file).expect("it is ELF");
        let symbol = elf.symbols().find(|symbol| symbol.name() == Ok(name));
        let symbol = symbol.unwrap_or_else(|| panic!("no symbol `{name}`"));
        let name_of_file = self.program.path.display().to_string();
        let bias = images(self.pid)
            .into_iter()
            .find(|image| image.label == name_of_file);
        let bias = bias.expect("the program is mapped").bias;
        let start = LinkAddr(symbol.address()).at(bias);
        let end = start.offset(symbol.size().cast_signed());
        ForbiddenRange::new(start, end, name)
    }

    /// A check against one function.
    pub(crate) fn check(&self, name: &str) -> StackCheck {
        StackCheck::new(vec![self.function(name)], self.unwinder())
    }

    pub(crate) fn stop(&self) -> Stopped {
        Stopped::all_of(self.pid)
    }

    /// Stops the only thread and judges it against the function.
    pub(crate) fn judge(&self, name: &str) -> Verdict {
        let mut check = self.check(name);
        let stopped = self.stop();
        let mut verdicts = check.judge_many(&stopped.threads, &self.space());
        assert_eq!(verdicts.len(), 1, "one thread");
        verdicts.remove(0).1
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All threads of a process, stopped until this is dropped.
pub(crate) struct Stopped {
    pub(crate) threads: Vec<(Pid, Registers)>,
}

impl Stopped {
    pub(crate) fn all_of(pid: Pid) -> Self {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
        let tasks: Vec<Pid> = tasks
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .map(Pid::from_raw)
            .collect();
        for task in &tasks {
            ptrace::seize(*task, ptrace::Options::empty()).expect("it can be seized");
            ptrace::interrupt(*task).expect("it can be interrupted");
        }
        let registers = |task: &Pid| {
            waitpid(*task, Some(WaitPidFlag::__WALL)).expect("it stops");
            (*task, ptrace::getregs(*task).expect("it is stopped"))
        };
        Self {
            threads: tasks.iter().map(registers).collect(),
        }
    }

    pub(crate) fn pcs(&self) -> Vec<RunAddr> {
        self.threads
            .iter()
            .map(|(_, registers)| RunAddr(registers.rip))
            .collect()
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        for (task, _) in &self.threads {
            let _ = ptrace::detach(*task, None);
        }
    }
}
