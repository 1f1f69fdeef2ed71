//! System calls on a borrowed thread.

use crate::child::{Live, wait_for_state, wait_until_asleep};
use crate::exclusive;
use crate::stop::deadline;
use livepatch_user::memory::Memory;
use livepatch_user::process::{Mapping, maps};
use livepatch_user::remote::Borrowed;

/// Borrows a thread, makes some calls, gives it back.
fn visit(live: &Live) {
    let (target, memory) = (live.target(), live.memory());
    let before = maps(live.pid()).expect("readable");
    let mut thread = Borrowed::new(&target, &memory, &before, deadline()).expect("borrowed");
    let pid = thread
        .syscall(libc::SYS_getpid, [0; 6])
        .expect("`getpid` works");
    assert_eq!(pid, u64::from(live.pid().0.unsigned_abs()));
    let text = thread.scratch(b"some text\0").expect("scratch memory");
    let more = thread.scratch(&[7; 5000]).expect("more of it");
    assert_eq!(memory.read_vec(text, 10).expect("readable"), b"some text\0");
    assert_eq!(memory.read_vec(more, 5000).expect("readable"), [7; 5000]);
    let refused = thread.syscall(libc::SYS_munmap, [1, 4096, 0, 0, 0, 0]);
    assert_eq!(refused.expect_err("misaligned").errno(), Some(libc::EINVAL));
    thread.release().expect("given back");
    assert_eq!(
        places(&maps(live.pid()).expect("readable")),
        places(&before)
    );
}

fn places(maps: &[Mapping]) -> Vec<(u64, u64)> {
    maps.iter()
        .map(|mapping| (mapping.start.0, mapping.end.0))
        .collect()
}

/// What a fixture printed: result, errno, milliseconds, handled signals.
fn outcome(line: &str) -> [i64; 4] {
    let numbers: Vec<_> = line
        .split(' ')
        .map(|word| word.parse().expect("a number"))
        .collect();
    numbers.try_into().expect("four numbers")
}

#[test]
fn input_is_read_as_if_nothing_had_been() {
    let _turn = exclusive();
    for (how, result) in [("read", 6), ("epoll_wait", 1)] {
        let mut live = Live::start("blocked", &[how]);
        for _ in 0..50 {
            visit(&live);
        }
        assert_eq!(outcome(&live.ask("hello"))[..2], [result, 0], "{how}");
    }
}

#[test]
fn waits_for_signals_end_by_their_signal() {
    let _turn = exclusive();
    let interrupted = (-1, libc::EINTR.into());
    for (how, signal, (result, errno)) in [
        ("pause", libc::SIGUSR1, interrupted),
        ("futex", libc::SIGUSR1, interrupted),
        ("sigsuspend", libc::SIGUSR1, interrupted),
        ("ppoll", libc::SIGUSR1, interrupted),
        ("epoll_pwait", libc::SIGUSR1, interrupted),
        ("sigtimedwait", libc::SIGUSR2, (libc::SIGUSR2.into(), 0)),
        ("busy", libc::SIGUSR1, (0, 0)),
    ] {
        let mut live = Live::start("blocked", &[how]);
        for round in 1..=50 {
            let sleeps = how != "busy";
            if sleeps {
                wait_until_asleep(live.pid());
            }
            visit(&live);
            if sleeps {
                wait_until_asleep(live.pid());
            }
            live.signal(signal);
            let [got, error, _, handled] = outcome(&live.line());
            assert_eq!((got, error), (result, errno), "{how}, round {round}");
            assert!(
                signal == libc::SIGUSR2 || handled == round,
                "{how}: {handled} of {round}"
            );
        }
    }
}

#[test]
fn a_signal_that_comes_meanwhile_is_delivered_afterwards() {
    let _turn = exclusive();
    for how in ["pause", "futex", "sigsuspend", "ppoll", "epoll_pwait"] {
        let mut live = Live::start("blocked", &[how]);
        for round in 1..=20 {
            wait_until_asleep(live.pid());
            let (target, memory) = (live.target(), live.memory());
            let list = maps(live.pid()).expect("readable");
            let mut thread = Borrowed::new(&target, &memory, &list, deadline()).expect("borrowed");
            if round % 2 == 0 {
                thread
                    .syscall(libc::SYS_getpid, [0; 6])
                    .expect("`getpid` works");
            }
            live.signal(libc::SIGUSR1);
            thread
                .syscall(libc::SYS_getpid, [0; 6])
                .expect("`getpid` works");
            thread.release().expect("given back");
            let [got, error, _, handled] = outcome(&live.line());
            assert_eq!(
                (got, error, handled),
                (-1, libc::EINTR.into(), round),
                "{how}"
            );
        }
    }
}

/// A wait that began anew would take a time and a half at least.
#[test]
fn waits_keep_their_end() {
    let _turn = exclusive();
    for (how, result, errno) in [
        ("nanosleep", 0, 0),
        ("poll", 0, 0),
        ("futex-timeout", -1, libc::ETIMEDOUT),
    ] {
        let mut live = Live::start("blocked", &[how]);
        std::thread::sleep(std::time::Duration::from_millis(1500));
        visit(&live);
        let [got, error, took, _] = outcome(&live.line());
        assert_eq!((got, error), (result, errno.into()), "{how}");
        assert!((2000..3500).contains(&took), "{how} took {took} ms of 2000");
    }
}

#[test]
fn a_stopped_process_can_be_visited_and_stays_stopped() {
    let _turn = exclusive();
    let mut live = Live::start("blocked", &["read"]);
    for _ in 0..20 {
        live.signal(libc::SIGSTOP);
        wait_for_state(live.pid(), 'T');
        visit(&live);
        wait_for_state(live.pid(), 'T');
        live.signal(libc::SIGCONT);
        assert_eq!(outcome(&live.ask("hello"))[..2], [6, 0]);
    }
}

#[test]
fn a_stop_that_comes_meanwhile_takes_effect_afterwards() {
    let _turn = exclusive();
    let mut live = Live::start("blocked", &["read"]);
    for _ in 0..20 {
        let (target, memory) = (live.target(), live.memory());
        let list = maps(live.pid()).expect("readable");
        let mut thread = Borrowed::new(&target, &memory, &list, deadline()).expect("borrowed");
        live.signal(libc::SIGSTOP);
        for _ in 0..3 {
            thread
                .syscall(libc::SYS_getpid, [0; 6])
                .expect("`getpid` works");
        }
        thread.release().expect("given back");
        wait_for_state(live.pid(), 'T');
        live.signal(libc::SIGCONT);
        assert_eq!(outcome(&live.ask("hello"))[..2], [6, 0]);
    }
}

#[test]
fn a_dropped_thread_is_given_back() {
    let _turn = exclusive();
    let mut live = Live::start("blocked", &["read"]);
    let (target, memory) = (live.target(), live.memory());
    let before = maps(live.pid()).expect("readable");
    let mut thread = Borrowed::new(&target, &memory, &before, deadline()).expect("borrowed");
    thread.scratch(b"text").expect("scratch memory");
    drop(thread);
    assert_eq!(
        places(&maps(live.pid()).expect("readable")),
        places(&before)
    );
    assert_eq!(outcome(&live.ask("hello"))[..2], [6, 0]);
}
