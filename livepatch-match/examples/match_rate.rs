//! `match_rate PROGRAM OBJECT...`: how many functions of the objects match the program's code, and which differ.

#[path = "../tests/support/mod.rs"]
mod support;

use support::{Image, Report, Unit, check_object};

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let program = arguments
        .next()
        .expect("usage: match_rate PROGRAM OBJECT...");
    let image = Image::read(&std::fs::read(program)?);
    let mut report = Report::default();
    for object in arguments {
        let unit = Unit::read(&std::fs::read(object)?);
        report.merge(check_object(&unit, &image));
    }
    for what in report.different.iter().chain(&report.wrong) {
        println!("{what}");
    }
    println!(
        "{} matched ({} of other length), {} differ, {} not in the program; {} references, {} wrong; {:?} in align",
        report.matched,
        report.other_length,
        report.different.len(),
        report.absent.len(),
        report.references,
        report.wrong.len(),
        report.time,
    );
    Ok(())
}
