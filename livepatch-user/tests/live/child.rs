//! Small C programs as targets. They die with the test.

use livepatch_user::process::{Activity, Pid, ProcessMemory, Stat, Target, activity, examine};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

/// Compiles `tests/fixtures/NAME.c` once.
pub(crate) fn build(name: &str) -> PathBuf {
    static BUILT: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let mut built = BUILT.lock().expect("no build panics");
    let built = built.get_or_insert_default();
    if let Some(path) = built.get(name) {
        return path.clone();
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.c"));
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("live-{name}"));
    let status = Command::new("cc")
        .args(["-O1", "-g", "-pthread", "-Wall", "-Werror", "-o"])
        .args([&output, &source])
        .arg("-lrt")
        .status()
        .expect("`cc` is installed");
    assert!(status.success(), "`{name}.c` compiles");
    built.insert(name.to_owned(), output.clone());
    output
}

/// A running fixture; killed when dropped.
pub(crate) struct Live {
    process: Child,
    input: ChildStdin,
    output: Option<Output>,
}

/// What a fixture prints.
pub(crate) struct Output(BufReader<ChildStdout>);

impl Output {
    /// The next line.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.0
            .read_line(&mut line)
            .expect("the fixture prints text");
        line.trim_end().to_owned()
    }
}

/// Starts a program that another test may be writing to just now (`ETXTBSY`, execve(2)).
pub(crate) fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    for _ in 0..100 {
        match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            started => return started.expect("the fixture starts"),
        }
    }
    panic!("the fixture is written to for two seconds")
}

impl Live {
    /// Starts a fixture and waits until it says `ready`.
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Self {
        Self::start_at(&build(name), arguments)
    }

    /// The same with a fixture that has been built.
    pub(crate) fn start_at(path: &Path, arguments: &[&str]) -> Self {
        let mut process = spawn(Command::new(path).args(arguments));
        let input = process.stdin.take().expect("piped");
        let output = Output(BufReader::new(process.stdout.take().expect("piped")));
        let mut live = Self {
            process,
            input,
            output: Some(output),
        };
        assert_eq!(live.line(), "ready");
        live
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid(self.process.id().cast_signed())
    }

    pub(crate) fn target(&self) -> Target {
        examine(self.pid()).expect("a fixture can be a target")
    }

    pub(crate) fn memory(&self) -> ProcessMemory {
        ProcessMemory::open(&self.target()).expect("a fixture's memory opens")
    }

    /// What it prints from now on, for another owner.
    pub(crate) fn take_output(&mut self) -> Output {
        self.output.take().expect("taken once")
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> String {
        self.output.as_mut().expect("not taken").line()
    }

    /// Sends a line, in one write: a fixture may read it by one `read`.
    pub(crate) fn tell(&mut self, text: &str) {
        self.input
            .write_all(format!("{text}\n").as_bytes())
            .expect("the fixture reads");
    }

    /// Sends a line and reads one.
    pub(crate) fn ask(&mut self, question: &str) -> String {
        self.tell(question);
        self.line()
    }

    /// Asks for numbers.
    pub(crate) fn numbers(&mut self, question: &str) -> Vec<i64> {
        let answer = self.ask(question);
        let numbers = answer.split(' ').map(str::parse).collect::<Result<_, _>>();
        numbers.unwrap_or_else(|_| panic!("`{question}` is answered by numbers: `{answer}`"))
    }

    pub(crate) fn signal(&self, number: i32) {
        signal(self.pid(), number);
    }
}

/// Sends a signal to one of our children.
pub(crate) fn signal(pid: Pid, number: i32) {
    let number = nix::sys::signal::Signal::try_from(number).expect("a signal");
    let sent = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.0), number);
    sent.expect("our child takes signals");
}

impl Drop for Live {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Waits until the main thread sleeps in a system call (and is not about to, when a signal would come too early).
pub(crate) fn wait_until_asleep(pid: Pid) {
    for _ in 0..20_000 {
        let now = activity(pid, pid.leader());
        if matches!(now, Activity::InSyscall { number, .. } if number.cast_signed() != libc::SYS_write)
        {
            return;
        }
        std::thread::sleep(std::time::Duration::from_micros(500));
    }
    panic!("process {pid} does not go to sleep");
}

/// Waits until the main thread is in the state with this letter.
pub(crate) fn wait_for_state(pid: Pid, letter: char) {
    let directory = PathBuf::from(format!("/proc/{}", pid.0));
    for _ in 0..20_000 {
        if Stat::read(&directory).expect("readable").state == letter {
            return;
        }
        std::thread::sleep(std::time::Duration::from_micros(500));
    }
    panic!("process {pid} does not come to state `{letter}`");
}
