//! Who cannot be a target, and what is said about it.

use crate::child::{Live, wait_for_state};
use livepatch_user::process::{Pid, TargetError, Tid, examine, threads};
use livepatch_user::sys::ptrace;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A child that is killed when dropped.
struct Kept(Child);

impl Kept {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("starts"))
    }

    fn pid(&self) -> Pid {
        Pid(self.0.id().cast_signed())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_fixture_is_a_target() {
    let live = Live::start("blocked", &["read"]);
    let target = live.target();
    assert_eq!(target.name, "live-blocked");
    assert!(target.executable.ends_with("live-blocked"));
    assert!(target.is_running());
    drop(live);
    assert!(!target.is_running());
}

#[test]
fn the_dead_are_no_targets() {
    let ended = Kept::start(&mut Command::new("true"));
    wait_for_state(ended.pid(), 'Z');
    let error = examine(ended.pid()).expect_err("dead");
    assert!(
        matches!(&error, TargetError::Dead { name, .. } if name == "true"),
        "{error}"
    );
    let pid = ended.pid();
    drop(ended);
    let error = examine(pid).expect_err("gone");
    assert!(matches!(error, TargetError::NoSuchProcess(_)), "{error}");
}

#[test]
fn a_process_whose_main_thread_ended_is_no_target() {
    let mut live = Live::start("crowd", &["spin", "1"]);
    assert_eq!(live.ask("quit"), "gone");
    wait_for_state(live.pid(), 'Z');
    let error = examine(live.pid()).expect_err("its main thread ended");
    assert!(matches!(error, TargetError::LeaderExited { .. }), "{error}");
}

#[test]
fn a_thread_is_no_target() {
    let live = Live::start("crowd", &["spin", "1"]);
    let tids = threads(live.pid()).expect("listed");
    let tid = tids
        .into_iter()
        .find(|tid| tid.0 != live.pid().0)
        .expect("two threads");
    let error = examine(Pid(tid.0)).expect_err("a thread");
    let TargetError::Thread { leader, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(leader, live.pid());
}

#[test]
fn a_traced_process_is_no_target() {
    let live = Live::start("blocked", &["read"]);
    ptrace::seize(Tid(live.pid().0), 0).expect("our child can be traced");
    let error = examine(live.pid()).expect_err("traced");
    let TargetError::Traced {
        tracer,
        tracer_name,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(tracer.0, std::process::id().cast_signed(), "{error}");
    assert!(!tracer_name.is_empty());
}

/// `pause` in a loop, as the whole of a 32-bit program.
fn program_32() -> Vec<u8> {
    const BASE: u32 = 0x0804_8000;
    const HEADERS: u32 = 52 + 32;
    // b8 1d 00 00 00    mov eax, 29 (pause)
    // cd 80             int 0x80
    // eb f7             jmp -9
    let code = [0xb8, 0x1d, 0, 0, 0, 0xcd, 0x80, 0xeb, 0xf7];
    let size = HEADERS + 9;
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half = |file: &mut Vec<u8>, values: &[u16]| {
        values
            .iter()
            .for_each(|value| file.extend(value.to_le_bytes()));
    };
    let word = |file: &mut Vec<u8>, values: &[u32]| {
        values
            .iter()
            .for_each(|value| file.extend(value.to_le_bytes()));
    };
    half(&mut file, &[2, 3]); // ET_EXEC, EM_386
    word(&mut file, &[1, BASE + HEADERS, 52, 0, 0]);
    half(&mut file, &[52, 32, 1, 0, 0, 0]);
    word(&mut file, &[1, 0, BASE, BASE, size, size, 5, 0x1000]); // PT_LOAD, r-x
    file.extend(code);
    file
}

#[test]
fn a_32_bit_process_is_no_target() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("program-32");
    let mut file = std::fs::File::create(&path).expect("created");
    file.write_all(&program_32()).expect("written");
    file.set_permissions(PermissionsExt::from_mode(0o755))
        .expect("made executable");
    drop(file);
    let live = Kept::start(&mut Command::new(&path));
    wait_for_state(live.pid(), 'S');
    let error = examine(live.pid()).expect_err("32-bit");
    assert!(
        matches!(error, TargetError::WrongArchitecture { kind: "32-bit", .. }),
        "{error}"
    );
}

/// The variable that tells [`examined_by_nobody`] whom to examine.
const VARIABLE: &str = "LIVEPATCH_TEST_EXAMINE";
const NOBODY: u32 = 65534;

#[test]
fn another_users_process_is_no_target() {
    if !nix::unistd::geteuid().is_root() {
        let error = examine(Pid(1)).expect_err("root's");
        assert!(matches!(error, TargetError::Forbidden { .. }), "{error}");
        return;
    }
    let live = Live::start("blocked", &["read"]);
    // This test program again, where nobody can reach it.
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).expect("opened");
    let copy = directory.path().join("live");
    std::fs::copy(std::env::current_exe().expect("a path"), &copy).expect("copied");
    let output = Command::new(&copy)
        .args([
            "--exact",
            "examine::examined_by_nobody",
            "--nocapture",
            "--ignored",
        ])
        .env(VARIABLE, live.pid().to_string())
        .current_dir(Path::new("/"))
        .uid(NOBODY)
        .stdout(Stdio::piped())
        .output()
        .expect("starts as nobody");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let expected = format!(
        "no permission to trace process {} (`live-blocked`): it runs as user 0 and livepatch as user {NOBODY}; run \
         livepatch as that user or as root",
        live.pid()
    );
    assert!(text.contains(&expected), "{text}");
}

#[test]
#[ignore = "run by the test above as another user"]
fn examined_by_nobody() {
    let pid = std::env::var(VARIABLE).expect("set by the test above");
    let error = examine(Pid(pid.parse().expect("a number"))).expect_err("not ours");
    println!("{error}");
}
