//! Where thread-local variables lie, against what the program computes.

use super::child::{Live, Workshop};
use crate::image::{Image, ImageId, Images, Kind, SlotKind};
use crate::memory::Memory;
use livepatch_bundle::{LinkAddr, RunAddr, Scope};

const PROGRAM: &str = r#"
__thread int big[100] __attribute__((aligned(64))) = {1};
static __thread long quiet_tls = 5;
__thread char loud_tls = 6;
#ifdef DYNAMIC
#include <errno.h>
long library_offset(void), fixed_offset(void);
#endif
int main(int argc, char **argv)
{
    quiet_tls += argc; loud_tls += argc; big[argc]++;
    unsigned long tp = thread_pointer();
    SHOW("big", (char *)&big - tp); SHOW("quiet", (char *)&quiet_tls - tp);
    SHOW("loud", (char *)&loud_tls - tp);
#ifdef DYNAMIC
    SHOW("dynamic", library_offset()); SHOW("fixed", fixed_offset());
    SHOW("errno", (char *)&errno - tp);
#endif
    return wait_for_end();
}
"#;
const LIBRARY: &str = r#"
static __thread long pad[3] = {9, 9, 9};
static __thread long quiet_tls = 5;
long library_offset(void) { pad[0]++; return (char *)&quiet_tls - (char *)thread_pointer(); }
"#;
const FIXED: &str = r#"
__thread long fixed_tls = 5;
long fixed_offset(void) { return (char *)&fixed_tls - (char *)thread_pointer(); }
"#;

fn offset(images: &Images<'_>, id: ImageId, variable: &str, scope: Scope) -> Option<u64> {
    let image = images.get(id);
    let hits = image.find(variable, scope, None);
    assert_eq!(hits.len(), 1, "{variable} in {}", image.label());
    assert_eq!(hits[0].kind, Kind::Tls);
    assert_eq!(hits[0].at(image.bias()), None);
    let block = images.tls_offset(id)?;
    Some(hits[0].address.0.wrapping_add_signed(block))
}

fn named<'a, 'm>(images: &'a Images<'m>, name: &str) -> &'a Image<'m> {
    let mut all = images.iter();
    all.find(|image| image.file_name().is_some_and(|file| file == name))
        .expect("loaded")
}

#[test]
fn the_executables_block_is_computed() {
    let workshop = Workshop::new();
    for (compiler, flags) in [
        ("gcc", &["-pie", "-fPIE"][..]),
        ("gcc", &["-no-pie", "-fno-pie"]),
        ("gcc", &["-static"]),
        ("musl-gcc", &[]),
        ("musl-gcc", &["-static"]),
    ] {
        let live = Live::start(&workshop.compile_with(compiler, "program", PROGRAM, flags));
        let images = live.images();
        let main = images.main().expect("an executable").id();
        for (told, name, scope) in [
            ("big", "big", Scope::Global),
            ("quiet", "quiet_tls", Scope::Local),
            ("loud", "loud_tls", Scope::Global),
        ] {
            let found = offset(&images, main, name, scope);
            assert_eq!(found, Some(live.told(told)), "{name} {compiler} {flags:?}");
        }
    }
}

#[test]
fn blocks_of_libraries_are_read_from_slots() {
    let workshop = Workshop::new();
    workshop.compile("libdynamic.so", LIBRARY, &["-shared", "-fPIC"]);
    let model = ["-shared", "-fPIC", "-ftls-model=initial-exec"];
    workshop.compile("libfixed.so", FIXED, &model);
    let flags = ["-DDYNAMIC", "-L.", "-l:libdynamic.so", "-l:libfixed.so"];
    let live = Live::start(&workshop.compile("program", PROGRAM, &flags));
    let images = live.images();

    let fixed = named(&images, "libfixed.so");
    let found = offset(&images, fixed.id(), "fixed_tls", Scope::Global);
    assert_eq!(found, Some(live.told("fixed")));
    assert_eq!(fixed.tls_module(), None);

    let libc = named(&images, "libc.so.6");
    let found = offset(&images, libc.id(), "errno", Scope::Global);
    assert_eq!(found, Some(live.told("errno")));

    // A block that nothing addresses by an offset: unknown, but the module's number is there.
    let dynamic = named(&images, "libdynamic.so");
    assert_eq!(images.tls_offset(dynamic.id()), None);
    assert_eq!(dynamic.tls_module(), Some(2), "the executable is 1");
    // The compiler addresses static variables by the module alone (local dynamic).
    let slots = dynamic.local_tls_slots(LinkAddr(0));
    let slot = slots
        .iter()
        .find(|slot| slot.kind == SlotKind::TlsModule)
        .expect("one");
    assert_eq!(live.memory.read_u64(slot.address), Ok(2));
}

#[test]
fn tls_slots_are_found_by_name() {
    let workshop = Workshop::new();
    let library = "__thread long dynamic_tls = 1; long library_offset(void) \
                   { return (char *)&dynamic_tls - (char *)thread_pointer(); }";
    workshop.compile("libdynamic.so", library, &["-shared", "-fPIC"]);
    workshop.compile(
        "libfixed.so",
        FIXED,
        &["-shared", "-fPIC", "-mtls-dialect=gnu2"],
    );
    let flags = ["-DDYNAMIC", "-L.", "-l:libdynamic.so", "-l:libfixed.so"];
    let live = Live::start(&workshop.compile("program", PROGRAM, &flags));
    let images = live.images();
    let kinds = |library, name| -> Vec<SlotKind> {
        let slots = named(&images, library).import_slots(name);
        slots.iter().map(|slot| slot.kind).collect()
    };
    assert_eq!(
        kinds("libdynamic.so", "dynamic_tls"),
        [SlotKind::TlsModule, SlotKind::TlsOffset]
    );
    assert_eq!(kinds("libfixed.so", "fixed_tls"), [SlotKind::TlsDesc]);
    let found = images.lookup_global("dynamic_tls", None).expect("defined");
    assert_eq!((found.kind, found.address), (Kind::Tls, None));
    let pair = named(&images, "libdynamic.so").import_slots("dynamic_tls");
    let second = live.memory.read_u64(RunAddr(pair[0].address.0 + 8));
    assert_eq!(second, Ok(found.value.0));
}
