//! Searching live processes for pointers into a patch.

mod figures;
mod target;

use livepatch_bundle::RunAddr;
use livepatch_user::memory::Memory;
use livepatch_user::process::maps;
use livepatch_user::retire::{
    Holder, Incomplete, Limits, Outcome, Place, RemoteSyscall, Search, Tracking,
};
use target::{Program, states};

/// With write protection through the target, or with nothing, where the capture copies everything.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Protection,
    Nothing,
}

fn begin(program: &Program, mode: Mode, limits: Limits) -> Search<'_> {
    let mut loan = program.borrow();
    let thread_pointer = RunAddr(loan.0.registers().fs_base);
    let remote = (mode == Mode::Protection).then_some(&mut loan as &mut dyn RemoteSyscall);
    let mut search = Search::prepare(
        &program.memory,
        program.patch(),
        Some(thread_pointer),
        remote,
        limits,
    )
    .expect("the process can be searched");
    loan.0.release().expect("the thread is given back");
    search.refresh().expect("everything is readable");
    match mode {
        Mode::Protection => assert!(
            matches!(search.tracking(), Tracking::Protection(_)),
            "this test needs Linux 6.7 with CONFIG_USERFAULTFD (asynchronous write protection)"
        ),
        Mode::Nothing => assert!(!matches!(search.tracking(), Tracking::Protection(_))),
    }
    search
}

fn finish(program: &Program, search: &mut Search<'_>) -> Outcome {
    let stopped = program.stop();
    let capture = search.capture(states(&stopped));
    stopped.release().expect("all threads are let go");
    let mut loan = program.borrow();
    let scratch = loan.0.scratch(&[0; 32]).expect("there is room");
    let outcome = capture.judge_with(&mut loan, scratch);
    loan.0.release().expect("the thread is given back");
    outcome
}

/// Searches while `before` has been done, `during` is done between the look and the stop.
fn outcome(mode: Mode, before: &str, during: &str) -> Outcome {
    let program = Program::start(2);
    program.tell(before);
    let mut search = begin(&program, mode, Limits::default());
    program.tell(during);
    finish(&program, &mut search)
}

fn held(outcome: Outcome) -> Vec<Holder> {
    match outcome {
        Outcome::Held { holders, count } => {
            assert_eq!(holders.len(), count, "{holders:?}");
            holders
        }
        other => panic!("{other:?}"),
    }
}

fn assert_free(outcome: &Outcome, what: &str) {
    assert!(matches!(outcome, Outcome::Free), "{what}: {outcome:?}");
}

const BOTH: [Mode; 2] = [Mode::Protection, Mode::Nothing];

#[test]
fn a_process_that_holds_nothing() {
    for mode in BOTH {
        assert_free(&outcome(mode, "", ""), "nothing was stored");
        assert_free(
            &outcome(mode, "hsw", "c"),
            "all was cleared before the stop",
        );
        assert_free(&outcome(mode, "h", "chswvc"), "and again");
    }
}

/// Every place, stored before the search or during it.
#[test]
fn every_place_is_found() {
    for (command, place) in [
        ("h", "the heap"),
        ("a", "a return address on a coroutine's stack"),
        ("b", "a large mapping"),
        ("u", "an odd address"),
        ("m", "the list of atexit handlers, disguised"),
        ("r", "memory that is read-only now"),
        ("n", "memory that must not be touched now"),
        ("s", "shared memory"),
        ("f", "a copied page of a file, read-only now"),
        ("w", "new memory"),
        ("v", "memory that moved"),
        ("l", "the stack of a thread"),
    ] {
        for mode in BOTH {
            for (before, during) in [(command, ""), ("", command)] {
                let holders = held(outcome(mode, before, during));
                let text = format!("{mode:?}, {place}, before `{before}`: {holders:?}");
                assert_eq!(holders.len(), 1, "{text}");
                assert!(matches!(holders[0].place, Place::Memory { .. }), "{text}");
            }
        }
    }
}

#[test]
fn what_the_kernel_keeps_is_found() {
    for (command, what) in [
        ("i", "the handler of signal 10"),
        ("e", "an event of epoll descriptor 3"),
        ("p", "a timer"),
    ] {
        for (before, during) in [(command, ""), ("", command)] {
            let holders = held(outcome(Mode::Protection, before, during));
            let found =
                |holder: &Holder| matches!(&holder.place, Place::Kernel { what: w } if w == what);
            assert!(holders.iter().all(found), "{what}: {holders:?}");
        }
    }
}

/// Without a look, everything is copied within the stop.
#[test]
fn a_search_that_was_only_prepared() {
    for command in ["", "h"] {
        let program = Program::start(1);
        program.tell(command);
        let limits = Limits::default();
        let mut search = Search::prepare(&program.memory, program.patch(), None, None, limits)
            .expect("the process can be searched");
        let outcome = finish(&program, &mut search);
        match command {
            "" => assert_free(&outcome, "nothing was stored"),
            _ => assert_eq!(held(outcome).len(), 1),
        }
    }
}

/// The switch writes to read-only pages while they are protected; it must work, and be seen.
#[test]
fn a_forced_write_is_noticed() {
    let program = Program::start(0);
    let mut search = begin(&program, Mode::Protection, Limits::default());
    let maps = maps(program.target.pid).expect("it runs");
    let text = maps
        .iter()
        .find(|mapping| mapping.execute)
        .expect("it has code");
    let pointer = program.patch().ranges[0].start.offset(0x40);
    let before = program.memory.read_u64(text.start).expect("it is readable");
    for (word, count) in [(pointer.0, 1), (before, 0)] {
        let bytes = word.to_le_bytes();
        let written = program.memory.write_forced(text.start, &bytes, None);
        written.expect("forced writes are allowed on this kernel");
        match finish(&program, &mut search) {
            Outcome::Free => assert_eq!(count, 0),
            other => assert_eq!(held(other).len(), count),
        }
        search.refresh().expect("everything is readable");
    }
}

#[test]
fn registers_are_searched() {
    for (command, register) in [("g", "r12"), ("x", "xstate")] {
        let holders = held(outcome(Mode::Protection, command, ""));
        let found = |holder: &Holder| matches!(holder.place, Place::Register { name, .. } if name == register);
        assert!(holders.iter().all(found), "{register}: {holders:?}");
    }
}

#[test]
fn what_is_left_over_below_the_stack_pointers_does_not_count() {
    for mode in BOTH {
        assert_free(&outcome(mode, "dt", ""), "stored before");
        assert_free(&outcome(mode, "", "dt"), "stored during the search");
    }
}

#[test]
fn a_process_that_writes_all_the_time_and_forks() {
    let program = Program::start(0);
    program.tell("yk");
    let mut search = begin(&program, Mode::Protection, Limits::default());
    program.tell("k");
    for _ in 0..3 {
        search.refresh().expect("as before");
    }
    program.tell("hk");
    let holders = held(finish(&program, &mut search));
    assert_eq!(holders.len(), 1, "{holders:?}");
    search.refresh().expect("as before");
    program.tell("c");
    assert_free(&finish(&program, &mut search), "cleared");
}

#[test]
fn too_much_for_the_stop_is_incomplete() {
    for mode in BOTH {
        let outcome = outcome(mode, "", "z");
        let expected = matches!(
            outcome,
            Outcome::Incomplete(Incomplete::TooMuchInStop { bytes, limit })
                if bytes >= 64 << 20 && limit == 8 << 20
        );
        assert!(expected, "{outcome:?}");
    }
    // What was written before the search began need not be copied in the stop.
    assert_free(&outcome(Mode::Protection, "z", ""), "written before");
}

#[test]
fn too_much_at_all_is_incomplete() {
    let program = Program::start(0);
    program.tell("z");
    let limits = Limits {
        running: 32 << 20,
        ..Limits::default()
    };
    let outcome = Search::begin(&program.memory, program.patch(), None, None, limits);
    assert!(
        matches!(outcome, Err(Incomplete::TooMuch { .. })),
        "{outcome:?}"
    );
}

#[test]
fn a_process_that_ends_meanwhile() {
    let program = Program::start(3);
    let mut search = begin(&program, Mode::Protection, Limits::default());
    program.kill();
    search.refresh().expect_err("it is gone");
    let outcome = search.capture(Vec::new()).judge();
    assert!(
        matches!(outcome, Outcome::Incomplete(Incomplete::Proc { .. })),
        "{outcome:?}"
    );
}

/// The mappings are the same ones as before, not split and not merged, and no descriptor stays in the target.
#[test]
fn nothing_of_the_search_stays_behind() {
    let program = Program::start(3);
    program.tell("hyz");
    let descriptors = || {
        let path = format!("/proc/{}/fd", program.target.pid);
        std::fs::read_dir(path).expect("it runs").count()
    };
    let protected = || {
        let path = format!("/proc/{}/smaps", program.target.pid);
        let text = std::fs::read_to_string(path).expect("it runs");
        let flags = text.lines().filter(|line| line.starts_with("VmFlags:"));
        flags
            .filter(|line| line.split(' ').any(|flag| flag == "uw"))
            .count()
    };
    let before = (maps(program.target.pid).expect("it runs"), descriptors());
    let mut search = begin(&program, Mode::Protection, Limits::default());
    assert_eq!(
        descriptors(),
        before.1,
        "the target's own descriptor is closed"
    );
    assert!(protected() > 5, "smaps shows the protected mappings");
    search.refresh().expect("it runs");
    drop(search);
    assert_eq!(protected(), 0);
    let after = (maps(program.target.pid).expect("it runs"), descriptors());
    assert_eq!(after, before);
}
