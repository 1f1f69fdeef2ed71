//! Object files whose tables say what no compiler says, and whose parts lie elsewhere: an error, a refusal or a patch that can
//! be written, never a panic, an endless loop or memory without bound. (`hostile.rs` damages single bytes.)
//!
//! `LIVEPATCH_FUZZ_CASES` raises the number of random cases.

#[path = "../../livepatch-bundle/tests/suite/fields.rs"]
mod fields;
mod support;

use fields::fields;
use livepatch_bundle::{read, write};
use patchgen::generate::{Options, Outcome, generate};
use patchgen::input::PairBytes;
use proptest::prelude::*;
use proptest::sample::Index;
use std::sync::OnceLock;

/// More than any of these small objects may need.
const MEMORY_LIMIT_KIB: u64 = 1 << 20;

/// What the objects are made from: a jump table, statics, strings, a `.cold` piece, thread-local data, debug information.
const SOURCE: &str = include_str!("hostile_tables.c");

struct Objects {
    old: Vec<u8>,
    new: Vec<u8>,
}

fn objects() -> &'static Objects {
    static OBJECTS: OnceLock<Objects> = OnceLock::new();
    OBJECTS.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let compile = |name: &str, flag: &str| {
            let object = support::compile_text(directory.path(), name, SOURCE, &[flag, "-g"]);
            std::fs::read(object).expect("it was just written")
        };
        Objects {
            old: compile("old/hostile.o", "-DADD=1"),
            new: compile("new/hostile.o", "-DADD=2"),
        }
    })
}

/// Compares the two; whatever comes out must be well formed.
fn probe(old: &[u8], new: &[u8]) {
    let pair = PairBytes {
        name: "hostile.o".into(),
        old: Some(old.to_vec()),
        new: Some(new.to_vec()),
    };
    match generate(&[pair], &Options::default()) {
        Ok(Outcome::Patch(bundle)) => {
            if let Ok(bytes) = write(&bundle) {
                assert_eq!(read(&bytes).expect("what is written can be read"), *bundle);
            }
        }
        Ok(Outcome::Unchanged) => {}
        Ok(Outcome::Refused(reasons)) => assert!(!reasons.is_empty()),
        Err(error) => assert!(error.to_string().len() < 64 << 10),
    }
}

/// As old version, as new one, and as both.
fn probe_as_either(damaged: &[u8]) {
    let good = objects();
    probe(damaged, &good.new);
    probe(&good.old, damaged);
    probe(damaged, damaged);
}

/// The most memory that this process ever had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|text| text.parse().ok())
        .expect("a number of KiB")
}

fn config() -> ProptestConfig {
    let cases = std::env::var("LIVEPATCH_FUZZ_CASES").ok();
    ProptestConfig::with_cases(cases.map_or(200, |text| {
        text.parse()
            .expect("LIVEPATCH_FUZZ_CASES is a number of cases")
    }))
}

fn awkward() -> impl Strategy<Value = u64> {
    prop_oneof![
        0_u64..40,
        prop::sample::select(vec![
            0xff,
            0xff00,
            0xfff1,
            0xfff2,
            0xffff,
            1 << 31,
            (1 << 31) - 1,
            u64::from(u32::MAX),
            1 << 63,
            u64::MAX >> 1,
            u64::MAX,
            u64::MAX - 7,
        ]),
        any::<u64>(),
    ]
}

#[test]
fn the_samples_make_a_patch() {
    let Objects { old, new } = objects();
    let pair = PairBytes {
        name: "hostile.o".into(),
        old: Some(old.clone()),
        new: Some(new.clone()),
    };
    let outcome = generate(&[pair], &Options::default()).expect("good objects");
    assert!(matches!(outcome, Outcome::Patch(_)), "{outcome:?}");
}

#[test]
fn every_header_field_is_doubted() {
    let good = &objects().old;
    let header = fields(good).into_iter().take(19);
    for field in header {
        for value in [0, 1, 0xff, u64::from(u32::MAX), u64::MAX] {
            let mut damaged = good.clone();
            let width = field.len().min(8);
            damaged[field.start..field.start + width]
                .copy_from_slice(&value.to_le_bytes()[..width]);
            probe_as_either(&damaged);
        }
    }
    assert!(peak() < MEMORY_LIMIT_KIB, "{} KiB", peak());
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn fields_of_tables_with_awkward_values(
        damages in prop::collection::vec((any::<Index>(), awkward()), 1..4),
    ) {
        let mut damaged = objects().old.clone();
        let fields = fields(&damaged);
        for (field, value) in damages {
            let field = fields[field.index(fields.len())].clone();
            let width = field.len().min(8);
            damaged[field.start..field.start + width].copy_from_slice(&value.to_le_bytes()[..width]);
        }
        probe_as_either(&damaged);
        prop_assert!(peak() < MEMORY_LIMIT_KIB, "{} KiB", peak());
    }

    #[test]
    fn pieces_in_other_places(from in any::<Index>(), to in any::<Index>(), len in 1_usize..400) {
        let mut damaged = objects().old.clone();
        let (from, to) = (from.index(damaged.len()), to.index(damaged.len()));
        let len = len.min(damaged.len() - from.max(to));
        damaged.copy_within(from..from + len, to);
        probe_as_either(&damaged);
        prop_assert!(peak() < MEMORY_LIMIT_KIB, "{} KiB", peak());
    }
}
