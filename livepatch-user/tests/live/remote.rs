//! System calls on a borrowed thread.

use crate::child::{Live, build, wait_for_state, wait_until_asleep};
use crate::exclusive;
use crate::other::{SUBJECT, as_nobody, killed_at};
use crate::stop::{cycle, deadline};
use livepatch_bundle::RunAddr;
use livepatch_user::memory::Memory;
use livepatch_user::process::{Mapping, Pid, ProcessMemory, examine, maps};
use livepatch_user::remote::{Borrowed, RemoteError};
use std::time::{Duration, Instant};

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
        ("red-zone", libc::SIGUSR1, (0, 0)),
    ] {
        let mut live = Live::start("blocked", &[how]);
        for round in 1..=50 {
            let sleeps = !matches!(how, "busy" | "red-zone");
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
    let waits = [
        ("nanosleep", 0, 0),
        ("poll", 0, 0),
        ("futex-timeout", -1, libc::ETIMEDOUT),
        ("epoll_wait-timeout", 0, 0),
        ("epoll_pwait-timeout", 0, 0),
    ];
    for stops in [false, true] {
        // On a busy machine it is not always known how long a thread has slept (`stop::timed`); mostly it is.
        let kept = (0..5).any(|_| {
            let mut lives = waits.map(|(how, ..)| Live::start("blocked", &[how]));
            std::thread::sleep(Duration::from_millis(1500));
            for live in &lives {
                if stops {
                    cycle(&live.target(), &live.memory());
                } else {
                    visit(live);
                }
            }
            let times = lives
                .iter_mut()
                .zip(waits)
                .map(|(live, (how, result, errno))| {
                    let [got, error, took, _] = outcome(&live.line());
                    assert_eq!((got, error), (result, errno.into()), "{how}");
                    assert!(took >= 2000, "{how} took {took} ms of 2000");
                    took
                });
            times.max() < Some(3500)
        });
        assert!(
            kept,
            "waits began anew in each of 5 rounds (stopped: {stops})"
        );
    }
}

/// A target that is stopped again and again still sees its timeouts.
#[test]
fn many_stops_do_not_put_a_timeout_off() {
    let _turn = exclusive();
    let mut live = Live::start("blocked", &["epoll_wait-timeout"]);
    let (target, memory) = (live.target(), live.memory());
    let end = Instant::now() + Duration::from_secs(7);
    while Instant::now() < end {
        cycle(&target, &memory);
        std::thread::sleep(Duration::from_millis(20));
    }
    let [result, errno, took, _] = outcome(&live.line());
    assert_eq!((result, errno), (0, 0));
    assert!((2000..6000).contains(&took), "took {took} ms of 2000");
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

#[test]
fn functions_are_called_and_leave_no_trace() {
    let _turn = exclusive();
    let mut live = Live::start("blocked", &["float"]);
    let functions = live.line();
    let functions: Vec<_> = functions
        .split(' ')
        .map(|word| RunAddr(word.parse().expect("an address")))
        .collect();
    for round in 1..=50 {
        let (target, memory) = (live.target(), live.memory());
        let before = maps(live.pid()).expect("readable");
        let mut thread = Borrowed::new(&target, &memory, &before, deadline()).expect("borrowed");
        let sum = thread
            .call(functions[0], [1, 2, 3, 4, 5, 6])
            .expect("returns");
        assert_eq!(sum, 654_321);
        let pid = thread.call(functions[1], [0; 6]).expect("returns");
        assert_eq!(pid, u64::from(live.pid().0.unsigned_abs()));
        let error = thread.call(functions[2], [0; 6]).expect_err("faults");
        assert!(error.to_string().ends_with("it got signal 11"), "{error}");
        thread.release().expect("given back");
        assert_eq!(
            places(&maps(live.pid()).expect("readable")),
            places(&before)
        );
        live.signal(libc::SIGUSR1);
        assert_eq!(
            outcome(&live.line())[0],
            0,
            "round {round}: other floating-point registers"
        );
    }
}

#[test]
fn a_function_that_does_not_return_is_given_up() {
    let _turn = exclusive();
    let mut live = Live::start("blocked", &["float"]);
    let functions = live.line();
    let endless = RunAddr(
        functions
            .split(' ')
            .nth(3)
            .expect("four")
            .parse()
            .expect("an address"),
    );
    let (target, memory) = (live.target(), live.memory());
    let before = maps(live.pid()).expect("readable");
    let mut thread = Borrowed::new(&target, &memory, &before, deadline()).expect("borrowed");
    let error = thread.call(endless, [0; 6]).expect_err("does not return");
    assert!(matches!(error, RemoteError::Stuck { .. }), "{error}");
    thread.release().expect("given back");
    live.signal(libc::SIGUSR1);
    assert_eq!(
        outcome(&live.line())[0],
        0,
        "other floating-point registers"
    );
}

#[test]
fn a_confined_process_is_visited_with_privilege() {
    let _turn = exclusive();
    assert!(
        nix::unistd::geteuid().is_root(),
        "this test needs CAP_SYS_ADMIN"
    );
    let mut live = Live::start("blocked", &["read", "confined"]);
    wait_until_asleep(live.pid());
    for _ in 0..10 {
        visit(&live);
    }
    assert_eq!(outcome(&live.ask("hello"))[..2], [6, 0]);
}

#[test]
fn a_confined_process_is_refused_without_privilege() {
    let _turn = exclusive();
    let fixture = build("blocked");
    let text = as_nobody("remote::visited_by_nobody", &fixture);
    assert!(
        text.contains("is confined by seccomp, which takes CAP_SYS_ADMIN to suspend"),
        "{text}"
    );
}

#[test]
#[ignore = "run by the test above as another user"]
fn visited_by_nobody() {
    let fixture = std::env::var(SUBJECT).expect("set by the test above");
    let mut live = Live::start_at(fixture.as_ref(), &["read", "confined"]);
    wait_until_asleep(live.pid());
    let (target, memory) = (live.target(), live.memory());
    let list = maps(live.pid()).expect("readable");
    let error = Borrowed::new(&target, &memory, &list, deadline()).expect_err("confined");
    println!("{error}");
    assert_eq!(outcome(&live.ask("hello"))[..2], [6, 0]);
}

/// Between two calls the borrowed thread stands as it was found.
#[test]
fn a_tracer_that_dies_between_calls_leaves_no_trace() {
    let _turn = exclusive();
    for (how, result) in [("read", 6), ("epoll_wait", 1)] {
        let mut live = Live::start("blocked", &[how]);
        for _ in 0..10 {
            killed_at(
                "remote::borrowed_for_ever",
                &live.pid().to_string(),
                "borrowed",
            );
            assert_eq!(outcome(&live.ask("hello"))[..2], [result, 0], "{how}");
            visit(&live);
        }
    }
}

#[test]
#[ignore = "run by the test above, and killed"]
fn borrowed_for_ever() {
    let pid = std::env::var(SUBJECT).expect("set by the test above");
    let target = examine(Pid(pid.parse().expect("a number"))).expect("a target");
    let memory = ProcessMemory::open(&target).expect("opens");
    let list = maps(target.pid).expect("readable");
    let mut thread = Borrowed::new(&target, &memory, &list, deadline()).expect("borrowed");
    thread.scratch(b"text").expect("scratch memory");
    println!("borrowed");
    std::thread::sleep(Duration::from_secs(3600));
}
