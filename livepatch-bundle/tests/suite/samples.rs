//! Bundles to test with: a small fixed one, and arbitrary valid ones.

use livepatch_bundle::{
    BuildId, Bundle, Definition, Function, FunctionLines, Hook, Lines, LinkAddr, Located, Manifest,
    Module, Phase, Piece, Reference, Reloc, RelocKind, SCHEMA, Scope, Section, SectionId,
    SectionKind, Symbol, SymbolId, SymbolKind,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// A patch of `answer`, which calls `puts`, with one section of every kind.
pub(crate) fn small() -> Bundle {
    let call = |symbol| Reloc {
        offset: 1,
        kind: RelocKind::Plt32,
        symbol: SymbolId(symbol),
        addend: -4,
    };
    let pointer = |offset, symbol| Reloc {
        offset,
        kind: RelocKind::Abs64,
        symbol: SymbolId(symbol),
        addend: 0,
    };
    let begin = Reloc {
        offset: 0x20,
        kind: RelocKind::Pc32,
        symbol: SymbolId(0),
        addend: 0,
    };
    // e8 00 00 00 00    call puts
    // c3                ret
    let code = vec![0xe8, 0, 0, 0, 0, 0xc3];
    let sections = vec![
        section(
            SectionKind::Code,
            ".text.answer",
            code.clone(),
            vec![call(5)],
        ),
        section(
            SectionKind::ReadOnly,
            ".rodata.table",
            vec![0; 16],
            vec![pointer(8, 0)],
        ),
        section(SectionKind::Data, ".data.counter", vec![1, 0, 0, 0], vec![]),
        section(SectionKind::Zero, ".bss.room", vec![], vec![]),
        section(SectionKind::Unwind, ".eh_frame", eh_frame(), vec![begin]),
        section(
            SectionKind::OldCode,
            ".livepatch.old.text.answer",
            code,
            vec![call(5)],
        ),
        section(
            SectionKind::OldReadOnly,
            ".livepatch.old.rodata.table",
            vec![0; 8],
            vec![pointer(0, 3)],
        ),
    ];
    let symbols = vec![
        defined("answer.new", SymbolKind::Function, 0, 6),
        defined("counter", SymbolKind::Object, 2, 4),
        defined("room", SymbolKind::Object, 3, 64),
        defined("answer.old", SymbolKind::Function, 5, 6),
        undefined("answer"),
        undefined("puts"),
    ];
    Bundle {
        manifest: manifest(),
        sections,
        symbols,
    }
}

/// One CIE and one FDE, as `gcc -O2` writes them for a leaf function of 6 bytes.
fn eh_frame() -> Vec<u8> {
    let mut bytes = vec![
        0x14, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'R', 0, 1, 0x78, 0x10, 1, 0x1b,
    ];
    bytes.extend([0x0c, 7, 8, 0x90, 1, 0, 0]);
    bytes.extend([
        0x10, 0, 0, 0, 0x1c, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0,
    ]);
    bytes
}

fn manifest() -> Manifest {
    Manifest {
        schema: SCHEMA,
        tool: "patchgen 0.1.0".into(),
        name: "fix-1.0_a+b".into(),
        description: "answers \"42\"".into(),
        supersedes: vec!["fix-0.9".into()],
        modules: vec![Module {
            file_name: "daemon".into(),
            soname: Some("libdaemon.so.1".into()),
            build_id: BuildId::from_hex("00ff17"),
        }],
        functions: vec![function(
            "answer",
            "answer.old",
            "answer",
            Some("answer.new"),
        )],
        anchors: vec![],
        references: vec![
            Reference {
                located: vec![Located {
                    module: 0,
                    address: LinkAddr(0x1139),
                }],
                defined: true,
                size: 6,
                ..reference("answer")
            },
            reference("puts"),
        ],
        quiesce: vec!["answer".into()],
        hooks: vec![Hook {
            phase: Phase::PreApply,
            function: "answer.new".into(),
        }],
        lines: Lines {
            files: vec!["/src/answer.c".into()],
            functions: vec![FunctionLines {
                symbol: "answer.new".into(),
                rows: "0:3:0 1:4".into(),
            }],
        },
        warnings: vec!["two\nlines".into()],
    }
}

fn function(name: &str, old: &str, running: &str, new: Option<&str>) -> Function {
    Function {
        name: name.into(),
        aliases: vec![],
        scope: Scope::Global,
        object: "answer.o".into(),
        source: Some("answer.c".into()),
        pieces: vec![Piece {
            old: old.into(),
            running: running.into(),
        }],
        new: new.map(Into::into),
        reason: "changed".into(),
    }
}

fn reference(symbol: &str) -> Reference {
    Reference {
        symbol: symbol.into(),
        name: symbol.into(),
        scope: Scope::Global,
        kind: SymbolKind::Unknown,
        size: 0,
        defined: false,
        weak: false,
        hidden: false,
        source: None,
        located: vec![],
    }
}

fn section(kind: SectionKind, name: &str, data: Vec<u8>, relocations: Vec<Reloc>) -> Section {
    Section {
        name: name.into(),
        kind,
        align: 16,
        size: match kind {
            SectionKind::Zero => 64,
            _ => data.len() as u64,
        },
        data,
        relocations,
    }
}

fn defined(name: &str, kind: SymbolKind, section: usize, size: u64) -> Symbol {
    Symbol {
        name: name.into(),
        kind,
        definition: Some(Definition {
            section: SectionId(section),
            offset: 0,
            size,
        }),
    }
}

fn undefined(name: &str) -> Symbol {
    Symbol {
        name: name.into(),
        kind: SymbolKind::Unknown,
        definition: None,
    }
}

/// Gap before the field, kind, symbol, addend.
type Field = (u64, usize, usize, i64);

/// Random choices from which a valid bundle is built; every number is taken modulo what there is.
#[derive(Clone, Debug)]
struct Plan {
    functions: Vec<(String, Vec<u8>, bool)>,
    sections: Vec<(usize, u32, Vec<u8>)>,
    definitions: Vec<(usize, usize, u64, u64)>,
    references: Vec<(usize, u64)>,
    relocations: Vec<(usize, Vec<Field>)>,
    texts: Vec<String>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let name = "[a-zA-Z_.$é ]{1,12}";
    let choice = any::<usize>;
    (
        vec((name, vec(any::<u8>(), 1..40), any::<bool>()), 0..4),
        vec((choice(), 0..=12_u32, vec(any::<u8>(), 0..80)), 0..6),
        vec((choice(), choice(), any::<u64>(), any::<u64>()), 0..6),
        vec((choice(), any::<u64>()), 0..5),
        vec(
            (
                choice(),
                vec((0..24_u64, choice(), choice(), any::<i64>()), 0..6),
            ),
            0..6,
        ),
        vec("[^\\p{Cc}]{0,20}", 6),
    )
        .prop_map(
            |(functions, sections, definitions, references, relocations, texts)| Plan {
                functions,
                sections,
                definitions,
                references,
                relocations,
                texts,
            },
        )
}

/// Any valid bundle.
pub(crate) fn arbitrary() -> impl Strategy<Value = Bundle> {
    plan().prop_map(|plan| build(&plan))
}

const KINDS: [(SectionKind, &str); 7] = [
    (SectionKind::Code, ".text."),
    (SectionKind::ReadOnly, ".rodata."),
    (SectionKind::Data, ".data."),
    (SectionKind::Zero, ".bss."),
    (SectionKind::Unwind, ".eh_frame."),
    (SectionKind::OldCode, ".livepatch.old.text."),
    (SectionKind::OldReadOnly, ".livepatch.old.rodata."),
];

fn build(plan: &Plan) -> Bundle {
    let mut bundle = Bundle {
        manifest: Manifest {
            tool: plan.texts[0].clone(),
            description: plan.texts[1].clone(),
            warnings: vec![plan.texts[2].clone()],
            functions: vec![],
            references: vec![],
            quiesce: vec![],
            hooks: vec![],
            lines: Lines::default(),
            ..manifest()
        },
        sections: vec![],
        symbols: vec![],
    };
    for (number, (kind, align, data)) in plan.sections.iter().enumerate() {
        let (kind, prefix) = KINDS[kind % KINDS.len()];
        let zero = kind == SectionKind::Zero;
        bundle.sections.push(Section {
            align: 1 << align,
            size: data.len() as u64,
            data: if zero { vec![] } else { data.clone() },
            ..section(kind, &format!("{prefix}{number}"), vec![], vec![])
        });
    }
    for (number, (section, kind, offset, size)) in plan.definitions.iter().enumerate() {
        if let Some(section) = pick(*section, bundle.sections.len()) {
            let kinds = [
                SymbolKind::Function,
                SymbolKind::Object,
                SymbolKind::Unknown,
            ];
            let room = bundle.sections[section].size;
            let offset = offset % (room + 1);
            bundle.symbols.push(Symbol {
                name: format!("d{number}"),
                kind: kinds[kind % kinds.len()],
                definition: Some(Definition {
                    section: SectionId(section),
                    offset,
                    size: size % (room - offset + 1),
                }),
            });
        }
    }
    add_functions(plan, &mut bundle);
    add_references(plan, &mut bundle);
    add_relocations(plan, &mut bundle);
    bundle
}

fn pick(choice: usize, count: usize) -> Option<usize> {
    choice.checked_rem(count)
}

fn add_functions(plan: &Plan, bundle: &mut Bundle) {
    for (number, (name, code, anchor)) in plan.functions.iter().enumerate() {
        let running = format!("{name}@{number}");
        let old = format!("{running}.old");
        let new = format!("{running}.new");
        let first = bundle.sections.len();
        let old_name = format!(".livepatch.old.text.{running}");
        bundle.sections.push(section(
            SectionKind::OldCode,
            &old_name,
            code.clone(),
            vec![],
        ));
        bundle.symbols.push(defined(
            &old,
            SymbolKind::Function,
            first,
            code.len() as u64,
        ));
        if *anchor {
            let function = function(name, &old, &running, None);
            bundle.manifest.anchors.push(function);
            continue;
        }
        let new_name = format!(".text.{running}");
        bundle
            .sections
            .push(section(SectionKind::Code, &new_name, code.clone(), vec![]));
        bundle
            .symbols
            .push(defined(&new, SymbolKind::Function, first + 1, 0));
        let function = function(name, &old, &running, Some(&new));
        bundle.manifest.functions.push(function);
    }
}

fn add_references(plan: &Plan, bundle: &mut Bundle) {
    let functions = bundle
        .manifest
        .functions
        .iter()
        .chain(&bundle.manifest.anchors);
    let mut names: Vec<String> = functions
        .flat_map(|function| function.pieces.iter().map(|piece| piece.running.clone()))
        .collect();
    names.extend((0..plan.references.len()).map(|number| format!("u{number}")));
    let kinds = [
        SymbolKind::Function,
        SymbolKind::Object,
        SymbolKind::Tls,
        SymbolKind::Unknown,
    ];
    for (number, name) in names.iter().enumerate() {
        let (kind, address) =
            pick(number, plan.references.len()).map_or((0, 0), |choice| plan.references[choice]);
        let kind = kinds[kind % kinds.len()];
        bundle.symbols.push(Symbol {
            kind,
            ..undefined(name)
        });
        bundle.manifest.references.push(Reference {
            kind,
            source: Some(plan.texts[3].clone()),
            located: vec![Located {
                module: 0,
                address: LinkAddr(address),
            }],
            ..reference(name)
        });
    }
    bundle.manifest.quiesce = names;
}

fn add_relocations(plan: &Plan, bundle: &mut Bundle) {
    let is_old = |kind: SectionKind| !kind.is_placed();
    let in_old: Vec<bool> = bundle
        .symbols
        .iter()
        .map(|symbol| {
            symbol
                .definition
                .is_some_and(|place| is_old(bundle.sections[place.section.0].kind))
        })
        .collect();
    for (section, fields) in &plan.relocations {
        let Some(section) = pick(*section, bundle.sections.len()) else {
            continue;
        };
        let section = &mut bundle.sections[section];
        let mut offset = 0;
        section.relocations.clear();
        for &(gap, kind, symbol, addend) in fields {
            let kind = RelocKind::ALL[kind % RelocKind::ALL.len()];
            let Some(symbol) = pick(symbol, in_old.len()) else {
                continue;
            };
            let reachable = is_old(section.kind) || !in_old[symbol];
            let end = offset + gap + kind.width() as u64;
            if section.kind == SectionKind::Zero || end > section.size || !reachable {
                continue;
            }
            section.relocations.push(Reloc {
                offset: offset + gap,
                kind,
                symbol: SymbolId(symbol),
                addend,
            });
            offset = end;
        }
    }
}
