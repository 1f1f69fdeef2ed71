//! Object files that nobody vouches for: damaged in every way that comes to mind, they are read or refused, and never
//! more.

mod support;

use patchgen::generate::{Options, generate};
use patchgen::input::PairBytes;
use proptest::prelude::*;
use std::sync::LazyLock;
use support::compile_text;

const SOURCE: &str = "
    #include <assert.h>
    int puts(const char *);
    struct node { struct node *next; int kind : 3, size : LIMIT; union { int i; float f; } value[LIMIT]; } list;
    enum { ONE = LIMIT, TWO } last;
    static int counter; static const char *names[] = { \"a\", \"b\" };
    __thread int depth;
    static int __attribute__((noinline)) check(int x) { static int n; assert(x > LIMIT); return n += x; }
    int f(int x) { switch (x) { case 1: return puts(\"1\"); case 2: return check(x); case 3: return depth++;
                   case 4: return puts(names[x & 1]); case 5: return counter++; } return x * 2.5; }
";

static OBJECTS: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let one = |name: &str, flag: &str| {
        let path = compile_text(
            directory.path(),
            name,
            SOURCE,
            &[flag, "-fno-asynchronous-unwind-tables", "-g"],
        );
        std::fs::read(path).expect("compiled")
    };
    (one("old.o", "-DLIMIT=3"), one("new.o", "-DLIMIT=4"))
});

fn judge(old: Vec<u8>, new: Vec<u8>) {
    let pair = PairBytes {
        name: "x.o".to_owned(),
        old: Some(old),
        new: Some(new),
    };
    let mut options = Options::default();
    options.labels.name = "x".to_owned();
    // Any verdict is right, as long as it is one.
    let _ = generate(&[pair], &options);
}

#[test]
fn every_truncation_is_refused_or_read() {
    let (old, new) = &*OBJECTS;
    for len in (0..new.len()).step_by(7) {
        judge(old.clone(), new[..len].to_vec());
    }
}

/// Bytes of the file that matter: the header, section headers, symbols, relocations and code, by position.
fn damaged(bytes: &[u8], damage: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, value) in damage {
        let at = at.index(bytes.len());
        bytes[at] = *value;
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_objects_are_refused_or_read(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        old_too in any::<bool>(),
    ) {
        let (old, new) = &*OBJECTS;
        let old = if old_too { damaged(old, &damage) } else { old.clone() };
        judge(old, damaged(new, &damage));
    }

    #[test]
    fn damaged_headers_are_refused_or_read(
        field in 0..4_usize, section in any::<prop::sample::Index>(), value in any::<u64>(), small in any::<bool>(),
    ) {
        let (old, new) = &*OBJECTS;
        let mut new = new.clone();
        let value = if small { value % 4096 } else { value };
        let table = u64::from_le_bytes(new[40..48].try_into().expect("eight bytes")) as usize;
        let count = u16::from_le_bytes(new[60..62].try_into().expect("two bytes")) as usize;
        let at = table + section.index(count) * 64 + [16, 24, 32, 48][field];
        if field < 3 {
            new[at..at + 8].copy_from_slice(&value.to_le_bytes());
        } else {
            new[at..at + 8].copy_from_slice(&value.to_be_bytes());
        }
        judge(old.clone(), new);
    }
}
