use super::*;
use crate::testing::{manifest, section};
use livepatch_bundle::{Reloc, RelocKind, SectionKind, Symbol};

const CODE: RunAddr = RunAddr(0x5555_0000_1000);
const ELSEWHERE: RunAddr = RunAddr(0x7fff_0000_2000);
const SLOT: RunAddr = RunAddr(0x5555_0000_4000);
const SUBJECT: SymbolId = SymbolId(0);

/// A program that knows one thing.
#[derive(Default)]
struct Fake {
    named: Vec<Named>,
    slots: Slots,
    global: Option<Global>,
    canonical: Option<RunAddr>,
    preemptible: bool,
    preempted: bool,
    doubtful: bool,
    wrapped: bool,
    elsewhere: Option<Elsewhere>,
    unsure: bool,
    may_hide: bool,
    has_all_names: bool,
    tls_offset: Option<i64>,
}

impl Linkage for Fake {
    fn named(&self, _: &Reference) -> Vec<Named> {
        self.named.clone()
    }
    fn slots(&self, _: &str) -> Slots {
        self.slots
    }
    fn global(&self, _: &str) -> Option<Global> {
        self.global
    }
    fn canonical(&self, _: &str) -> Option<RunAddr> {
        self.canonical
    }
    fn may_hide(&self, _: &str) -> bool {
        self.may_hide
    }
    fn unsure(&self, _: &str) -> Option<String> {
        self.unsure.then(|| "plugin".to_owned())
    }
    fn elsewhere(&self, _: &str) -> Option<Elsewhere> {
        self.elsewhere.clone()
    }
    fn preemptible(&self, _: &str) -> bool {
        self.preemptible
    }
    fn preempted(&self, _: &str) -> bool {
        self.preempted
    }
    fn wrapped(&self, _: &str) -> bool {
        self.wrapped
    }
    fn has_all_names(&self) -> bool {
        self.has_all_names
    }
    fn doubtful(&self, _: &str) -> Option<String> {
        self.doubtful.then(|| "program".to_owned())
    }
    fn tls_offset(&self) -> Option<i64> {
        self.tls_offset
    }
    fn tls_module(&self) -> Option<u64> {
        Some(1)
    }
}

fn at(value: RunAddr) -> Named {
    Named {
        value,
        tls: false,
        ifunc: false,
    }
}

/// `f`, a function that the old objects define, seen by all.
fn reference() -> Reference {
    Reference {
        symbol: "f".into(),
        name: "f".into(),
        scope: Scope::Global,
        kind: SymbolKind::Function,
        size: 0,
        defined: true,
        weak: false,
        hidden: false,
        source: None,
        located: vec![],
    }
}

/// The same, if another module defines it.
fn import() -> Reference {
    Reference {
        defined: false,
        ..reference()
    }
}

/// The same, if others may have the name, too.
fn local() -> Reference {
    Reference {
        scope: Scope::Local,
        ..reference()
    }
}

/// A bundle whose code of this kind refers to `reference`.
fn bundle(reference: Reference, from: SectionKind) -> Bundle {
    let reloc = Reloc {
        offset: 1,
        kind: RelocKind::Plt32,
        symbol: SUBJECT,
        addend: -4,
    };
    let mut manifest = manifest();
    let name = reference.symbol.clone();
    manifest.references.push(reference);
    Bundle {
        manifest,
        sections: vec![section(".text.new", from, vec![0; 8], vec![reloc])],
        symbols: vec![Symbol {
            name,
            kind: SymbolKind::Unknown,
            definition: None,
        }],
    }
}

fn says(via: Via, value: RunAddr) -> Evidence {
    Evidence {
        symbol: SUBJECT,
        via,
        value: value.0,
    }
}

fn proof(evidence: &[Evidence]) -> Proof {
    Proof {
        evidence: evidence.to_vec(),
        ..Proof::default()
    }
}

fn answer(
    reference: Reference,
    evidence: &[Evidence],
    program: &Fake,
) -> Result<Resolution, Vec<ResolveError>> {
    let bundle = bundle(reference, SectionKind::Code);
    resolve(&bundle, &proof(evidence), program).map(|mut all| all.remove(0))
}

#[test]
fn running_code_alone_tells_where_a_function_is() {
    let known = answer(reference(), &[says(Via::Branch, CODE)], &Fake::default()).unwrap();
    assert_eq!((known.branch, known.address), (Some(CODE), Some(CODE)));
}

#[test]
fn a_call_through_the_plt_of_an_import_does_not_tell_its_address() {
    let known = answer(import(), &[says(Via::Branch, CODE)], &Fake::default()).unwrap();
    assert_eq!((known.branch, known.address), (Some(CODE), None));
}

#[test]
fn a_call_in_a_library_of_what_others_may_define_does_not_tell_its_address() {
    let program = Fake {
        named: vec![at(CODE)],
        global: Some(Global::Address(ELSEWHERE)),
        preemptible: true,
        ..Fake::default()
    };
    let known = answer(reference(), &[], &program).unwrap();
    assert_eq!(known.address, Some(ELSEWHERE));
}

#[test]
fn what_comes_first_in_the_search_order_is_taken_in_a_library_that_never_used_its_own() {
    let program = Fake {
        named: vec![at(CODE)],
        global: Some(Global::Address(ELSEWHERE)),
        preempted: true,
        ..Fake::default()
    };
    let known = answer(reference(), &[], &program).unwrap();
    assert_eq!(
        (known.branch, known.address),
        (Some(ELSEWHERE), Some(ELSEWHERE))
    );
    // A library that calls its own by its address was linked to do so.
    let known = answer(reference(), &[says(Via::Branch, CODE)], &program).unwrap();
    assert_eq!((known.branch, known.address), (Some(CODE), Some(CODE)));
}

#[test]
fn a_library_that_may_be_linked_to_use_its_own_is_refused() {
    let program = Fake {
        named: vec![at(CODE)],
        global: Some(Global::Address(ELSEWHERE)),
        preempted: true,
        doubtful: true,
        ..Fake::default()
    };
    let errors = answer(reference(), &[], &program).unwrap_err();
    assert!(matches!(errors[0], ResolveError::Doubtful { .. }));
    assert!(answer(reference(), &[says(Via::Branch, CODE)], &program).is_ok());
}

#[test]
fn what_may_be_wrapped_is_refused_unless_running_code_uses_it() {
    let program = Fake {
        named: vec![at(CODE)],
        wrapped: true,
        ..Fake::default()
    };
    let errors = answer(reference(), &[], &program).unwrap_err();
    assert!(matches!(errors[0], ResolveError::Wrapped { .. }));
    assert!(answer(local(), &[], &program).is_ok());
    let known = answer(import(), &[says(Via::Branch, ELSEWHERE)], &program).unwrap();
    assert_eq!(known.branch, Some(ELSEWHERE));
}

#[test]
fn a_weak_symbol_that_nobody_defines_is_zero() {
    let weak = || Reference {
        weak: true,
        ..import()
    };
    let program = Fake {
        has_all_names: true,
        ..Fake::default()
    };
    let known = answer(weak(), &[], &program).unwrap();
    assert_eq!(
        (known.branch, known.address),
        (Some(RunAddr(0)), Some(RunAddr(0)))
    );
    assert_eq!(answer(import(), &[], &program).unwrap().address, None);
    // A stripped program may have it under no name.
    assert_eq!(answer(weak(), &[], &Fake::default()).unwrap().address, None);
}

#[test]
fn code_and_table_that_disagree_are_refused() {
    let program = Fake {
        named: vec![at(ELSEWHERE)],
        ..Fake::default()
    };
    let errors = answer(reference(), &[says(Via::Direct, CODE)], &program).unwrap_err();
    assert!(matches!(
        errors[..],
        [ResolveError::Disagree { running: CODE, .. }]
    ));
}

#[test]
fn code_tells_which_of_several_of_one_name_is_meant() {
    let program = Fake {
        named: vec![at(ELSEWHERE), at(CODE)],
        ..Fake::default()
    };
    let known = answer(local(), &[says(Via::Branch, CODE)], &program).unwrap();
    assert_eq!(known.address, Some(CODE));
    let errors = answer(local(), &[], &program).unwrap_err();
    assert!(matches!(
        errors[..],
        [ResolveError::Ambiguous { count: 2, .. }]
    ));
}

#[test]
fn what_only_compared_code_refers_to_may_stay_unknown_but_not_contradicted() {
    let program = Fake {
        named: vec![at(ELSEWHERE), at(CODE)],
        ..Fake::default()
    };
    let old = bundle(local(), SectionKind::OldCode);
    assert_eq!(
        resolve(&old, &Proof::default(), &program),
        Ok(vec![Resolution::default()])
    );

    let program = Fake {
        named: vec![at(ELSEWHERE)],
        ..Fake::default()
    };
    let old = bundle(reference(), SectionKind::OldCode);
    assert!(resolve(&old, &proof(&[says(Via::Direct, CODE)]), &program).is_err());
}

#[test]
fn a_new_import_is_found_in_the_loaders_order() {
    let program = Fake {
        global: Some(Global::Address(ELSEWHERE)),
        ..Fake::default()
    };
    let known = answer(import(), &[], &program).unwrap();
    assert_eq!(
        (known.branch, known.address),
        (Some(ELSEWHERE), Some(ELSEWHERE))
    );
}

#[test]
fn a_function_chosen_at_load_time_is_where_it_is_bound_or_refused() {
    let program = |bound| Fake {
        global: Some(Global::Ifunc(bound)),
        ..Fake::default()
    };
    let known = answer(import(), &[], &program(Some(ELSEWHERE))).unwrap();
    assert_eq!(known.branch, Some(ELSEWHERE));
    let errors = answer(import(), &[], &program(None)).unwrap_err();
    assert!(matches!(errors[..], [ResolveError::Unbound { .. }]));

    let by_slot = Fake {
        slots: Slots {
            address: Some(SLOT),
            ..Slots::default()
        },
        ..program(None)
    };
    assert_eq!(answer(import(), &[], &by_slot).unwrap().slot, Some(SLOT));
}

#[test]
fn a_function_is_called_by_the_lazy_slot_and_known_by_its_address() {
    let program = Fake {
        global: Some(Global::Address(ELSEWHERE)),
        slots: Slots {
            lazy: Some(SLOT),
            ..Slots::default()
        },
        ..Fake::default()
    };
    let known = answer(import(), &[], &program).unwrap();
    let ways = (known.branch, known.address, known.slot, known.lazy_slot);
    assert_eq!(ways, (None, Some(ELSEWHERE), None, Some(SLOT)));
}

#[test]
fn the_plt_entry_of_a_fixed_executable_is_the_functions_address() {
    let program = Fake {
        global: Some(Global::Address(ELSEWHERE)),
        canonical: Some(CODE),
        ..Fake::default()
    };
    let known = answer(import(), &[], &program).unwrap();
    assert_eq!((known.branch, known.address), (Some(ELSEWHERE), Some(CODE)));
    let program = Fake {
        global: Some(Global::Ifunc(None)),
        canonical: Some(CODE),
        ..Fake::default()
    };
    let known = answer(import(), &[], &program).unwrap();
    assert_eq!((known.branch, known.address), (Some(CODE), Some(CODE)));
}

#[test]
fn the_resolver_of_an_own_ifunc_is_not_the_function() {
    let program = Fake {
        named: vec![Named {
            ifunc: true,
            ..at(CODE)
        }],
        ..Fake::default()
    };
    assert_eq!(answer(reference(), &[], &program).unwrap().address, None);
}

#[test]
fn a_copied_variable_lives_in_the_executable() {
    let variable = Reference {
        kind: SymbolKind::Object,
        defined: false,
        ..reference()
    };
    let program = Fake {
        slots: Slots {
            copy: Some(SLOT),
            ..Slots::default()
        },
        global: Some(Global::Address(ELSEWHERE)),
        ..Fake::default()
    };
    assert_eq!(answer(variable, &[], &program).unwrap().address, Some(SLOT));
}

#[test]
fn a_thread_local_variable_is_its_block_and_its_offset() {
    let variable = Reference {
        kind: SymbolKind::Tls,
        ..reference()
    };
    let program = Fake {
        named: vec![Named {
            tls: true,
            ..at(RunAddr(0x10))
        }],
        tls_offset: Some(-0x40),
        ..Fake::default()
    };
    let known = answer(variable.clone(), &[], &program).unwrap();
    assert_eq!(
        (known.tp_offset, known.dtp_offset),
        (Some(-0x30), Some(0x10))
    );
    assert_eq!(known.tls_module, Some(1));

    let spoken = says(Via::TpOff, RunAddr((-0x38_i64).cast_unsigned()));
    let known = answer(variable, &[spoken], &Fake::default()).unwrap();
    assert_eq!(known.tp_offset, Some(-0x38));
}

#[test]
fn a_hidden_symbol_is_no_other_modules() {
    let hidden = Reference {
        hidden: true,
        ..import()
    };
    let program = Fake {
        global: Some(Global::Address(ELSEWHERE)),
        has_all_names: true,
        ..Fake::default()
    };
    assert_eq!(answer(hidden.clone(), &[], &program).unwrap().address, None);
    let own = Fake {
        named: vec![at(CODE)],
        preempted: true,
        ..program
    };
    assert_eq!(answer(hidden, &[], &own).unwrap().address, Some(CODE));
}

#[test]
fn what_a_stripped_module_may_hide_is_refused() {
    let program = |is_usual| Fake {
        global: Some(Global::Address(ELSEWHERE)),
        elsewhere: Some(Elsewhere {
            module: "other".into(),
            is_usual,
        }),
        ..Fake::default()
    };
    let is_refused = |reference, is_usual| {
        let errors = answer(reference, &[], &program(is_usual)).err();
        errors.is_some_and(|errors| matches!(errors[..], [ResolveError::Overlooked { .. }]))
    };
    assert!(is_refused(reference(), true));
    assert!(is_refused(import(), false));
    assert!(!is_refused(import(), true));
}
#[test]
fn what_may_be_a_static_or_depends_on_how_libraries_were_opened_is_refused() {
    let static_one = Fake {
        may_hide: true,
        ..Fake::default()
    };
    let errors = answer(import(), &[], &static_one).unwrap_err();
    assert!(matches!(errors[..], [ResolveError::Namesake { .. }]));
    let opened = Fake {
        unsure: true,
        ..Fake::default()
    };
    let errors = answer(import(), &[], &opened).unwrap_err();
    assert!(matches!(errors[..], [ResolveError::Unseen { .. }]));
    for program in [static_one, opened] {
        let known = answer(import(), &[says(Via::Branch, ELSEWHERE)], &program);
        assert_eq!(known.unwrap().branch, Some(ELSEWHERE));
    }
}
