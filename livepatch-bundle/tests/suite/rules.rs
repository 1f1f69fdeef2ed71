//! Each rule, broken alone; and several at once.

use crate::samples;
use livepatch_bundle::{Bundle, BundleError, Definition, Located, Reloc, RelocKind, Scope};
use livepatch_bundle::{LinkAddr, Reference, Symbol, SymbolKind, read, verify, write};
use livepatch_bundle::{SectionId, SymbolId};

type Break = (fn(&mut Bundle), &'static str);

fn reloc(offset: u64, symbol: usize) -> Reloc {
    Reloc {
        offset,
        kind: RelocKind::Pc32,
        symbol: SymbolId(symbol),
        addend: 0,
    }
}

fn place(bundle: &mut Bundle, symbol: usize) -> &mut Definition {
    bundle.symbols[symbol]
        .definition
        .as_mut()
        .expect("the sample defines it")
}

const CONTENTS: &[Break] = &[
    (
        |b| b.sections[0].name.clear(),
        "section `` is empty or has control characters",
    ),
    (
        |b| b.sections[0].name = ".text\u{1b}[2J".into(),
        "section `.text\\u{1b}[2J` is empty or has control characters",
    ),
    (
        |b| b.sections[2].name = ".rodata.table".into(),
        "section `.rodata.table` exists twice",
    ),
    (
        |b| b.symbols[1].name = "room".into(),
        "symbol `room` exists twice",
    ),
    (
        |b| b.sections[2].name = ".livepatch.manifest".into(),
        "has a name that its kind Data must not have",
    ),
    (
        |b| b.sections[5].name = ".text.old".into(),
        "section `.text.old` has a name that its kind OldCode must not have",
    ),
    (
        |b| b.sections[0].align = 3,
        "is aligned to 0x3, not a power of two up to 0x1000",
    ),
    (|b| b.sections[0].align = 8192, "is aligned to 0x2000"),
    (|b| b.sections[0].align = 0, "is aligned to 0x0"),
    (
        |b| b.sections[2].size = 5,
        "section `.data.counter` has size 0x5 and 0x4 bytes of contents",
    ),
    (
        |b| b.sections[3].data.push(0),
        "section `.bss.room` is zeroed and has relocations or contents",
    ),
    (
        |b| b.sections[3].relocations.push(reloc(0, 0)),
        "section `.bss.room` is zeroed",
    ),
    (
        |b| b.sections[3].size = 1 << 40,
        "the sections have more than 0x10000000 bytes together",
    ),
    (
        |b| b.sections[3].size = u64::MAX,
        "the sections have more than 0x10000000 bytes together",
    ),
    (
        |b| b.sections[0].relocations[0].offset = 3,
        "relocation R_X86_64_PLT32 at `.text.answer`+0x3 is outside",
    ),
    (
        |b| b.sections[0].relocations[0].offset = u64::MAX,
        "at `.text.answer`+0xffffffffffffffff is outside",
    ),
    (
        |b| b.sections[1].relocations.push(reloc(8, 0)),
        "at `.rodata.table`+0x8 overlaps or precedes the one before",
    ),
    (
        |b| b.sections[1].relocations.push(reloc(0, 0)),
        "at `.rodata.table`+0x0 overlaps or precedes the one before",
    ),
    (
        |b| b.sections[1].relocations[0].symbol = SymbolId(6),
        "refers to symbol number 6, which does not exist",
    ),
    (
        |b| b.sections[1].relocations[0].symbol = SymbolId(3),
        "refers to `answer.old`, which is not placed",
    ),
    (
        |b| b.symbols.swap(3, 4),
        "definition `answer.old` comes after a reference",
    ),
    (
        |b| place(b, 1).size = 5,
        "symbol `counter` lies outside its section",
    ),
    (
        |b| place(b, 1).offset = u64::MAX,
        "symbol `counter` lies outside its section",
    ),
    (
        |b| place(b, 1).section = SectionId(7),
        "symbol `counter` lies outside its section",
    ),
    (
        |b| b.symbols[1].kind = SymbolKind::Tls,
        "symbol `counter` defines a thread-local variable",
    ),
];

const MANIFEST: &[Break] = &[
    (
        |b| b.manifest.schema = 2,
        "the manifest has schema version 2, not 1",
    ),
    (
        |b| b.manifest.name = "a b".into(),
        "patch name `a b` is not 1 to 63 of",
    ),
    (|b| b.manifest.name.clear(), "patch name `` is not"),
    (|b| b.manifest.name = "x".repeat(64), "is not 1 to 63 of"),
    (
        |b| b.manifest.supersedes.push("é".into()),
        "superseded patch `é` is not",
    ),
    (
        |b| b.manifest.modules[0].file_name = "/bin/daemon".into(),
        "module `/bin/daemon` is not a file name",
    ),
    (
        |b| b.manifest.description = "\u{7}".into(),
        "description has control characters",
    ),
    (
        |b| b.manifest.functions[0].pieces.clear(),
        "function `answer` has no pieces",
    ),
    (
        |b| b.manifest.functions[0].pieces[0].old = "answer.new".into(),
        "`answer.new` is not the symbol of old code",
    ),
    (
        |b| b.manifest.functions[0].pieces[0].old = "gone".into(),
        "`gone` is not the symbol of old code",
    ),
    (
        |b| place(b, 3).size = 0,
        "`answer.old` is not the symbol of old code",
    ),
    (
        |b| b.manifest.functions[0].pieces[0].running = "room".into(),
        "`room` is not a reference to the running program",
    ),
    (
        |b| b.manifest.functions[0].new = None,
        "function `answer` has no new code",
    ),
    (
        |b| b.manifest.functions[0].new = Some("counter".into()),
        "function `answer` has no new code",
    ),
    (
        |b| {
            let f = b.manifest.functions.remove(0);
            b.manifest.anchors.push(f);
        },
        "anchor `answer` has new code",
    ),
    (
        |b| {
            let f = b.manifest.functions[0].clone();
            b.manifest.functions.push(f);
        },
        "piece `answer.old` exists twice",
    ),
    (
        |b| {
            b.manifest.references.pop();
        },
        "undefined symbol `puts` is not among the manifest's references",
    ),
    (
        |b| b.manifest.references.push(reference("nobody")),
        "reference `nobody` is not an undefined symbol",
    ),
    (
        |b| b.manifest.references.push(reference("counter")),
        "reference `counter` is not an undefined symbol",
    ),
    (
        |b| b.manifest.references.push(reference("puts")),
        "reference `puts` exists twice",
    ),
    (
        |b| b.manifest.references[1].name.clear(),
        "reference `` is empty",
    ),
    (
        |b| b.manifest.references[0].located[0].module = 1,
        "reference `answer` is located in module number 1",
    ),
    (
        |b| {
            let l = b.manifest.references[0].located[0];
            b.manifest.references[0].located.push(l);
        },
        "was told before",
    ),
    (
        |b| b.manifest.quiesce.push("counter".into()),
        "`counter` is to be quiescent, but is not a reference",
    ),
    (
        |b| b.manifest.lines.functions[0].rows = "0:3:1".into(),
        "source lines of `answer.new` are not those of a function of the patch",
    ),
    (
        |b| b.manifest.lines.functions[0].rows = "ffff:3:0".into(),
        "source lines of `answer.new` are not those of a function of the patch",
    ),
    (
        |b| b.manifest.lines.functions[0].rows = "0:3".into(),
        "source lines of `answer.new` are not those of a function of the patch",
    ),
    (
        |b| b.manifest.lines.functions[0].symbol = "counter".into(),
        "source lines of `counter` are not those of a function of the patch",
    ),
    (
        |b| b.manifest.hooks[0].function = "counter".into(),
        "pre-apply hook `counter` is no function of the patch",
    ),
    (
        |b| b.manifest.hooks.push(b.manifest.hooks[0].clone()),
        "hook `answer.new` exists twice",
    ),
    (
        |b| b.manifest.hooks = vec![b.manifest.hooks[0].clone(); 65],
        "65 hooks, more than 64",
    ),
];

fn reference(symbol: &str) -> Reference {
    Reference {
        symbol: symbol.into(),
        name: symbol.into(),
        scope: Scope::Local,
        kind: SymbolKind::Object,
        size: 8,
        defined: true,
        weak: false,
        hidden: false,
        source: None,
        located: vec![Located {
            module: 0,
            address: LinkAddr(0),
        }],
    }
}

#[test]
fn every_rule_is_enforced_by_name() {
    for (change, expected) in CONTENTS.iter().chain(MANIFEST) {
        let mut bundle = samples::small();
        change(&mut bundle);
        let error = verify(&bundle).expect_err(expected).to_string();
        assert!(
            error.contains(expected),
            "`{error}` should say `{expected}`"
        );
        assert!(write(&bundle).is_err(), "written although: {expected}");
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let mut bundle = samples::small();
    bundle.manifest.name.clear();
    bundle.sections[0].align = 3;
    bundle.manifest.quiesce.push("counter".into());
    let BundleError::Inconsistent(problems) = verify(&bundle).expect_err("three rules broken")
    else {
        panic!("another kind of error");
    };
    assert_eq!(problems.len(), 3, "{problems:?}");
}

#[test]
fn a_flood_of_problems_is_cut() {
    let mut bundle = samples::small();
    bundle.symbols.extend((0..10_000).map(|number| Symbol {
        name: format!("u{number}"),
        kind: SymbolKind::Unknown,
        definition: None,
    }));
    let error = verify(&bundle).expect_err("unexplained").to_string();
    assert!(error.contains("and 9936 more"), "{error}");
    assert!(error.len() < 10_000);
}

#[test]
fn a_marker_may_share_the_offset_of_the_next_field() {
    let mut bundle = samples::small();
    let marker = Reloc {
        kind: RelocKind::TlsDescCall,
        ..reloc(1, 5)
    };
    bundle.sections[0].relocations.insert(0, marker);
    let bytes = write(&bundle).expect("a marker covers no bytes");
    assert_eq!(read(&bytes).expect("just written"), bundle);
}
