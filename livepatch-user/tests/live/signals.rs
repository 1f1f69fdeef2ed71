//! Real signals at the moment of a stop.

use crate::child::{Live, build};
use crate::exclusive;
use crate::stop::cycle;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// Stops and releases without end while `work` runs. Returns how often.
fn meanwhile(live: &Live, work: impl FnOnce()) -> u64 {
    let (target, memory) = (live.target(), live.memory());
    let done = AtomicBool::new(false);
    let mut cycles = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                cycle(&target, &memory);
                cycles += 1;
            }
        });
        // Also when `work` fails, or the scope would never end.
        let _end = Set(&done);
        work();
    });
    cycles
}

struct Set<'a>(&'a AtomicBool);

impl Drop for Set<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn no_queued_signal_is_lost_or_reordered() {
    let _turn = exclusive();
    let mut live = Live::start("signals", &[]);
    const COUNT: i64 = 3000;
    let pid = live.pid().to_string();
    let cycles = meanwhile(&live, || {
        let status = Command::new(build("signals"))
            .args(["send", &pid, &COUNT.to_string()])
            .status()
            .expect("the sender runs");
        assert!(status.success());
    });
    assert!(cycles > 10, "{cycles} stops while the signals came");
    let expected = [COUNT, COUNT, COUNT, 0];
    for _ in 0..200 {
        if live.numbers("counts") == expected {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(live.numbers("counts"), expected);
}

/// The signal is blocked except within the call, so a call that swallowed it would wait for ever.
#[test]
fn an_interruption_by_a_handler_is_always_seen() {
    let _turn = exclusive();
    for (how, signal, result) in [
        ("sigsuspend", libc::SIGUSR1, -1),
        ("ppoll", libc::SIGUSR1, -1),
        ("epoll_pwait", libc::SIGUSR1, -1),
        ("sigtimedwait", libc::SIGUSR2, i64::from(libc::SIGUSR2)),
    ] {
        let mut live = Live::start("blocked", &[how]);
        let mut lines = Vec::new();
        let pid = live.pid();
        let mut output = live.take_output();
        let cycles = meanwhile(&live, || {
            for round in 0..500_u64 {
                crate::child::signal(pid, signal);
                lines.push(output.line());
                std::thread::sleep(std::time::Duration::from_micros(round * 7919 % 300));
            }
        });
        assert!(cycles > 10, "{how}: {cycles} stops while the signals came");
        for line in lines {
            let numbers: Vec<i64> = line
                .split(' ')
                .map(|word| word.parse().expect("a number"))
                .collect();
            assert_eq!(numbers[0], result, "{how}: {line}");
        }
    }
}
