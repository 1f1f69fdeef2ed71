//! How long each part takes; prints, asserts nothing about time.

use super::{Mode, begin};
use crate::target::{Program, states};
use livepatch_user::retire::Limits;
use std::time::{Duration, Instant};

fn print(what: &str, program: &Program) {
    let start = Instant::now();
    let mut search = begin(program, Mode::Protection, Limits::default());
    let began = start.elapsed();
    let mut refreshes = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        search.refresh().expect("it runs");
        refreshes.push(start.elapsed());
    }
    let mut captures: Vec<Duration> = Vec::new();
    let mut judged = Duration::ZERO;
    for _ in 0..7 {
        search.refresh().expect("it runs");
        let stopped = program.stop();
        let threads = states(&stopped);
        let start = Instant::now();
        let capture = search.capture(threads);
        captures.push(start.elapsed());
        stopped.release().expect("all threads are let go");
        let start = Instant::now();
        let outcome = capture.judge();
        judged = start.elapsed();
        println!("{outcome:?}");
    }
    captures.sort_unstable();
    println!(
        "{what}: begin {began:?}, refresh {refreshes:?}, capture min {:?} median {:?} max {:?}, judge {judged:?}",
        captures[0], captures[3], captures[6]
    );
}

#[test]
#[ignore = "prints figures: --release -- --ignored --nocapture --test-threads 1"]
fn figures() {
    print("small", &Program::start(2));
    print("64 threads", &Program::start(64));
    print("1000 threads", &Program::start(1000));
    let program = Program::start(64);
    program.tell("Z");
    print("500 MB", &program);
    let program = Program::start(2);
    program.tell("Zy");
    print("500 MB, 4 MB of it written all the time", &program);
}
