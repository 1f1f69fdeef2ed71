//! What the dynamic loader filled in: slots, copies, versions, indirect functions.

use super::child::{Live, Workshop};
use crate::image::{Image, Images, Kind, Resolved, SlotKind};
use crate::memory::Memory;
use livepatch_bundle::{RunAddr, Scope};

const LIBRARY: &str = r#"
__asm__(".symver answer_old, answer@V1\n.symver answer_new, answer@@V2");
int answer_old(void) { return 1; }
int answer_new(void) { return 2; }
int never_called(void) { return 3; }
int shared_value = 4;
void *old_address(void) { return answer_old; }
void *new_address(void) { return answer_new; }
void *never_address(void) { return never_called; }
"#;
const VERSIONS: &str = "V1 { global: answer; };
\
    V2 { global: answer; never_called; shared_value; *_address; local: *; } V1;
";
const PROGRAM: &str = r#"
#include <dlfcn.h>
extern char **environ;
int answer(void), never_called(void);
void *old_address(void), *new_address(void), *never_address(void);
extern int shared_value;
static int (*volatile table)(void) = answer;
int main(int argc, char **argv)
{
    shared_value += answer() + table() + (int)strlen(argv[0]) + (environ ? 1 : 0);
    if (argc > 5) return never_called();
    ADDRESS(stdout); ADDRESS(environ); ADDRESS(shared_value);
    SHOW("V1", old_address()); SHOW("V2", new_address()); SHOW("never", never_address());
    SHOW("taken", table); SHOW("strlen", dlsym(RTLD_DEFAULT, "strlen"));
    SHOW("memcpy", dlsym(RTLD_DEFAULT, "memcpy"));
    return wait_for_end();
}
"#;
const LINKS: &[&[&str]] = &[
    &["-Wl,-z,now", "-pie", "-fPIE"],
    &["-Wl,-z,lazy", "-pie", "-fPIE"],
    &["-Wl,-z,lazy", "-fcf-protection=full", "-Wl,-z,ibtplt"],
    &["-Wl,-z,lazy", "-no-pie", "-fno-pie"],
    &["-Wl,-z,now", "-no-pie", "-fno-pie", "-fno-plt"],
    &["-Wl,-z,pack-relative-relocs"],
];

fn library(workshop: &Workshop) {
    std::fs::write(workshop.path("versions"), VERSIONS).expect("written");
    let flags = ["-shared", "-fPIC", "-Wl,--version-script=versions"];
    workshop.compile("liblinked.so", LIBRARY, &flags);
}

fn start(workshop: &Workshop, flags: &[&str]) -> Live {
    let mut all = vec!["-L.", "-l:liblinked.so"];
    all.extend(flags);
    Live::start(&workshop.compile("program", PROGRAM, &all))
}

fn main_of<'a, 'm>(images: &'a Images<'m>) -> &'a Image<'m> {
    images.main().expect("an executable")
}

fn global(images: &Images<'_>, name: &str) -> Resolved {
    images
        .lookup_global(name, None)
        .unwrap_or_else(|| panic!("`{name}` is defined somewhere"))
}

#[test]
fn names_mean_what_they_mean_to_the_program() {
    let workshop = Workshop::new();
    library(&workshop);
    for flags in LINKS {
        let live = start(&workshop, flags);
        let images = live.images();
        for name in ["stdout", "environ", "shared_value"] {
            let found = global(&images, name);
            assert_eq!(
                found.address,
                Some(RunAddr(live.told(name))),
                "{name} {flags:?}"
            );
            assert_eq!(found.kind, Kind::Object);
        }
        let answer = |version| {
            images
                .lookup_global("answer", version)
                .and_then(|f| f.address)
        };
        assert_eq!(answer(None), Some(RunAddr(live.told("V2"))), "{flags:?}");
        assert_eq!(answer(Some("V2")), Some(RunAddr(live.told("V2"))));
        assert_eq!(answer(Some("V1")), Some(RunAddr(live.told("V1"))));
        assert_eq!(answer(Some("V3")), None);
        let library = images.get(global(&images, "answer").image);
        for (name, told) in [("answer", "V2"), ("answer@V1", "V1"), ("answer@@V2", "V2")] {
            let hits = library.find(name, Scope::Global, None);
            assert_eq!(hits.len(), 1, "{hits:?}");
            assert_eq!(hits[0].at(library.bias()), Some(RunAddr(live.told(told))));
        }
        let canonical = images.canonical_plt("answer");
        let taken = RunAddr(live.told("taken"));
        assert_eq!(
            canonical.unwrap_or(RunAddr(live.told("V2"))),
            taken,
            "{flags:?}"
        );
        assert_eq!(images.lookup_global("no_such_name", None), None);
    }
}

#[test]
fn slots_hold_what_they_are_for() {
    let workshop = Workshop::new();
    library(&workshop);
    for flags in LINKS {
        let live = start(&workshop, flags);
        let images = live.images();
        let main = main_of(&images);
        let slots = main.import_slots("answer");
        let holds = |slot: &crate::image::Slot| live.memory.read_u64(slot.address);
        assert!(!slots.is_empty(), "{flags:?}");
        for slot in &slots {
            assert_eq!(slot.version.as_deref(), Some("V2"));
            // A program with fixed addresses may use its own PLT entry as the function's address.
            let value = holds(slot).expect("mapped");
            let own = main.is_code(RunAddr(value)) && slot.kind != SlotKind::JumpSlot;
            assert!(value == live.told("V2") || own, "{slot:?} {flags:?}");
        }
        let copies = main.import_slots("stdout");
        let copy = copies.iter().find(|slot| slot.kind == SlotKind::Copy);
        if let Some(copy) = copy {
            assert_eq!(copy.address, RunAddr(live.told("stdout")));
        }
        assert!(
            copy.is_some() || copies[0].kind == SlotKind::GlobDat,
            "{copies:?}"
        );

        let unused = main.import_slots("never_called");
        let value = holds(&unused[0]).expect("mapped");
        if flags.contains(&"-Wl,-z,lazy") {
            assert_eq!(unused[0].kind, SlotKind::JumpSlot);
            assert!(main.is_code(RunAddr(value)), "a stub of its own");
        } else if flags.contains(&"-Wl,-z,now") {
            assert_eq!(value, live.told("never"), "{flags:?}");
        }
        assert_eq!(main.import_slots("no_such_name"), []);
    }
}

#[test]
fn indirect_functions_are_known_by_what_they_were_bound_to() {
    let workshop = Workshop::new();
    library(&workshop);
    for flags in LINKS {
        let live = start(&workshop, flags);
        let images = live.images();
        for name in ["strlen", "memcpy"] {
            let found = global(&images, name);
            assert_eq!(found.kind, Kind::IFunc);
            let bound = images.bound_ifunc(name, &found);
            assert_eq!(bound, Some(RunAddr(live.told(name))), "{name} {flags:?}");
        }
    }
}

#[test]
fn indirect_functions_of_static_programs_are_known() {
    let workshop = Workshop::new();
    let source =
        "int main(int argc, char **argv) { SHOW(\"n\", strlen(argv[0])); return wait_for_end(); }";
    for flags in [
        &["-static"][..],
        &["-static-pie", "-fPIE"],
        &["-static", "-s"],
    ] {
        let live = Live::start(&workshop.compile("program", source, flags));
        let images = live.images();
        let main = main_of(&images);
        assert!(!main.irelative_slots().is_empty(), "{flags:?}");
        for (resolver, _) in main.irelative_slots() {
            assert!(main.bound_by_resolver(resolver).is_some(), "{flags:?}");
        }
        if flags.contains(&"-s") {
            continue;
        }
        let found = global(&images, "strlen");
        assert_eq!(found.kind, Kind::IFunc, "{flags:?}");
        let bound = images.bound_ifunc("strlen", &found).expect("bound");
        let (name, offset) = main.symbol_at(bound).expect("a function");
        assert!(
            name.starts_with("__strlen_") && offset == 0,
            "{name}+{offset}"
        );
    }
}
