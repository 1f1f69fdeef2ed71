//! Object code against object code, as `patchgen` compares.

mod support;

use livepatch_match::{Mismatch, RefPair, align};
use support::{Piece, Unit, Workshop, program};

fn compile(shop: &Workshop, source: &str, flags: &[&str], output: &str) -> Unit {
    let source = program(source);
    let mut arguments = flags.to_vec();
    arguments.extend(["-c", source.to_str().expect("UTF-8")]);
    Unit::read(&shop.build("gcc", &arguments, output))
}

/// The first reference that leads to something of another name, or what `align` says.
fn difference(old: (&Unit, &Piece), new: (&Unit, &Piece)) -> Option<String> {
    let alignment = match align(&old.1.code(), &new.1.code()) {
        Ok(alignment) => alignment,
        Err(error) => return Some(error.to_string()),
    };
    let differs = |pair: &&RefPair| {
        let left = old.0.place(old.1, pair.target).expect("a place");
        let right = new.0.place(new.1, pair.other).expect("a place");
        left.name != right.name || (left.exact && left.offset != right.offset)
    };
    let pair = alignment.references.iter().find(differs)?;
    Some(format!("{pair:?}"))
}

#[test]
fn versions_are_told_apart_and_moves_are_not() {
    for flags in [
        "-O2 -fPIC",
        "-O2 -fno-pie",
        "-O0 -fPIE",
        "-Os -fPIE",
        "-O3 -fno-pie",
    ] {
        for sections in ["-ffunction-sections", "-fno-function-sections"] {
            let shop = Workshop::new();
            let mut options: Vec<&str> = flags.split(' ').collect();
            options.push(sections);
            let old = compile(
                &shop,
                "versions.c",
                &[&options[..], &["-DV=1"]].concat(),
                "old.o",
            );
            let new = compile(
                &shop,
                "versions.c",
                &[&options[..], &["-DV=2"]].concat(),
                "new.o",
            );
            for piece in &old.pieces {
                let found = difference((&old, piece), (&new, new.piece(&piece.name)));
                let expected = piece.name.starts_with("diff_");
                assert_eq!(
                    found.is_some(),
                    expected,
                    "{flags} {sections} {}: {found:?}",
                    piece.name
                );
            }
            assert!(old.pieces.len() > 30);
        }
    }
}

#[test]
fn sections_of_their_own_change_no_function() {
    let mut others = 0;
    for flags in [
        "-O2 -fPIC",
        "-O2 -fno-pie",
        "-O0 -fPIE",
        "-Os -fPIE",
        "-O2 -fPIE -fno-align-functions",
    ] {
        let shop = Workshop::new();
        let options: Vec<&str> = flags.split(' ').collect();
        let whole = compile(&shop, "features.c", &options, "whole.o");
        let split = compile(
            &shop,
            "features.c",
            &[&options[..], &["-ffunction-sections"]].concat(),
            "split.o",
        );
        for piece in &split.pieces {
            let found = difference((&split, piece), (&whole, whole.piece(&piece.name)));
            // A jump from `.cold` back counts in the other's layout.
            let found = found.filter(|_| !piece.name.ends_with(".cold"));
            assert_eq!(found, None, "{flags} {}", piece.name);
            others += usize::from(piece.bytes.len() != whole.piece(&piece.name).bytes.len());
        }
    }
    assert!(others > 5, "only {others} functions had another length");
}

#[test]
fn functions_of_other_names_are_not_the_same() {
    let shop = Workshop::new();
    let unit = compile(
        &shop,
        "features.c",
        &["-O2", "-ffunction-sections"],
        "unit.o",
    );
    let mut compared = 0;
    for one in &unit.pieces {
        for other in unit.pieces.iter().filter(|other| other.name != one.name) {
            compared += 1;
            let found = difference((&unit, one), (&unit, other));
            assert!(found.is_some(), "{} and {}", one.name, other.name);
        }
    }
    assert!(compared > 500);
}

#[test]
fn the_first_difference_is_told_with_its_place() {
    let shop = Workshop::new();
    let old = compile(&shop, "versions.c", &["-O2", "-DV=1"], "old.o");
    let new = compile(&shop, "versions.c", &["-O2", "-DV=2"], "new.o");
    let name = "diff_field";
    let error = align(&old.piece(name).code(), &new.piece(name).code()).unwrap_err();
    let text =
        "instruction at +0x0 is `mov eax, [rdi]`, the other has `mov eax, [rdi+0x4]` at +0x0";
    assert!(matches!(
        error,
        Mismatch::Instruction {
            at: 0,
            at_other: 0,
            ..
        }
    ));
    assert_eq!(error.to_string(), text);
}
