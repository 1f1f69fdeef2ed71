//! Where images lie, and which there are.

use super::child::{Live, Workshop};
use crate::image::{Auxv, Context, Image, Images, Namespace, Role};
use livepatch_bundle::{RunAddr, Scope};

const PROGRAM: &str = r#"
int counter = 7;
static int hidden_counter = 8;
__attribute__((noinline)) static int quiet(int x) { __asm__ volatile(""); return x + hidden_counter; }
__attribute__((noinline)) int loud(int x) { __asm__ volatile(""); return quiet(x) + counter++; }
int main(int argc, char **argv)
{
    loud(argc);
    ADDRESS(counter); ADDRESS(hidden_counter); ADDRESS(quiet); ADDRESS(loud); ADDRESS(main);
    return wait_for_end();
}
"#;

/// The ways to link a program.
const KINDS: &[&[&str]] = &[
    &["-pie", "-fPIE"],
    &["-no-pie", "-fno-pie"],
    &["-static"],
    &["-static-pie", "-fPIE"],
    &["-pie", "-fPIE", "-Wl,-z,noseparate-code"],
    &["-no-pie", "-fno-pie", "-Wl,-z,noseparate-code"],
    &["-pie", "-fPIE", "-Wl,-z,max-page-size=0x200000"],
    &["-pie", "-fPIE", "-Wl,--hash-style=sysv"],
    &["-pie", "-fPIE", "-Wl,--build-id=none"],
    &["-static", "-Wl,--build-id=none"],
];

fn main_of<'a, 'm>(images: &'a Images<'m>) -> &'a Image<'m> {
    images.main().expect("an executable")
}

#[test]
fn every_kind_of_program_tells_its_symbols() {
    let workshop = Workshop::new();
    for (number, flags) in KINDS.iter().enumerate() {
        let program = workshop.compile(&format!("program{number}"), PROGRAM, flags);
        let live = Live::start(&program);
        let images = live.images();
        assert!(images.started(), "{flags:?}");
        let main = main_of(&images);
        assert_eq!(main.path(), Some(program.as_path()), "{flags:?}");
        assert_eq!(main.namespace(), Namespace::Base, "{flags:?}");
        assert_eq!(
            main.build_id().is_none(),
            flags.contains(&"-Wl,--build-id=none")
        );
        for (name, scope) in [
            ("counter", Scope::Global),
            ("hidden_counter", Scope::Local),
            ("quiet", Scope::Local),
            ("loud", Scope::Global),
            ("main", Scope::Global),
        ] {
            let hits = main.find(name, scope, None);
            assert_eq!(
                hits.len(),
                1,
                "{name} {flags:?} {:?}",
                main.symbol_sources()
            );
            let address = hits[0].at(main.bias());
            assert_eq!(address, Some(RunAddr(live.told(name))), "{name} {flags:?}");
        }
        let inside = RunAddr(live.told("loud") + 3);
        assert!(main.is_code(inside) && !main.is_code(RunAddr(live.told("counter"))));
        assert_eq!(
            main.symbol_at(inside),
            Some(("loud".into(), 3)),
            "{flags:?}"
        );
        let start = RunAddr(live.told("quiet"));
        let pieces = main.function_starts();
        assert!(
            pieces
                .iter()
                .any(|piece| piece.start == start && piece.len > 0),
            "{flags:?}"
        );
        assert_eq!(images.at(inside).map(Image::id), Some(main.id()));
    }
}

#[test]
fn a_program_that_is_being_set_up_is_not_started() {
    let workshop = Workshop::new();
    let live = Live::start(&workshop.compile("program", PROGRAM, &[]));
    let before_its_stack = Context {
        auxv: Auxv::default(),
        ..Context::of(live.pid())
    };
    assert!(!live.images_with(before_its_stack).started());
}

#[test]
fn a_dynamic_program_has_libraries_loader_and_vdso() {
    let workshop = Workshop::new();
    let live = Live::start(&workshop.compile("program", PROGRAM, &[]));
    let images = live.images();
    assert!(images.consistent());
    let libc = images.iter().find(|i| i.soname() == Some("libc.so.6"));
    assert!(libc.is_some_and(|libc| libc.build_id().is_some() && libc.tls().is_some()));
    let count = |role| images.iter().filter(|image| image.role() == role).count();
    assert_eq!((count(Role::Main), count(Role::Vdso)), (1, 1));
    let order: Vec<_> = images
        .scope_order()
        .iter()
        .map(|&id| images.get(id))
        .collect();
    assert!(order[0].is_main());
    assert_eq!(order.len(), 3, "program, libc, loader");
    let vdso = images
        .iter()
        .find(|image| image.role() == Role::Vdso)
        .expect("one");
    assert_eq!(
        vdso.find("__vdso_clock_gettime", Scope::Global, None).len(),
        1
    );
    assert_eq!(vdso.namespace(), Namespace::Unlisted);
}

#[test]
fn an_elf_file_mapped_as_data_is_no_image() {
    let workshop = Workshop::new();
    let source = r#"
#include <fcntl.h>
#include <sys/mman.h>
int main(int argc, char **argv)
{
    int file = open("/proc/self/exe", O_RDONLY);
    SHOW("data", mmap(0, 1 << 20, PROT_READ, MAP_PRIVATE, file, 0));
    return wait_for_end();
}
"#;
    let live = Live::start(&workshop.compile("program", source, &[]));
    let images = live.images();
    assert!(images.at(RunAddr(live.told("data"))).is_none());
    assert!(images.main().is_some());
}

/// Code copied to anonymous pages, as programs do to have it on huge pages.
#[test]
fn remapped_code_is_still_the_images() {
    let workshop = Workshop::new();
    let library = r#"
int library_value = 1;
__attribute__((noinline)) int in_library(int x) { return x + library_value; }
"#;
    let packed = "-Wl,-z,noseparate-code";
    workshop.compile("libpacked.so", library, &["-shared", "-fPIC", packed]);
    let source = r#"
#include <link.h>
#include <sys/mman.h>
int in_library(int);
static int remap(struct dl_phdr_info *info, size_t size, void *unused)
{
    const char *name = info->dlpi_name;
    if (*name && !strstr(name, "libpacked")) return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X)) continue;
        char *start = (char *)((info->dlpi_addr + p->p_vaddr) & -4096);
        size_t len = ((info->dlpi_addr + p->p_vaddr + p->p_memsz + 4095) & -4096) - (size_t)start;
        char *copy = mmap(0, len, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memcpy(copy, start, len);
        mprotect(copy, len, PROT_READ | PROT_EXEC);
        mremap(copy, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, start);
    }
    return 0;
}
int main(int argc, char **argv)
{
    dl_iterate_phdr(remap, 0);
    ADDRESS(main); ADDRESS(in_library); SHOW("sum", in_library(argc));
    return wait_for_end();
}
"#;
    for flags in [&["-pie", "-fPIE"][..], &["-pie", "-fPIE", packed]] {
        let mut all = vec!["-L.", "-l:libpacked.so"];
        all.extend(flags);
        let program = workshop.compile("program", source, &all);
        let live = Live::start(&program);
        let images = live.images();
        let main = main_of(&images);
        assert_eq!(main.path(), Some(program.as_path()), "{flags:?}");
        let hits = main.find("main", Scope::Global, None);
        let address = RunAddr(live.told("main"));
        assert_eq!(
            hits.first().and_then(|hit| hit.at(main.bias())),
            Some(address)
        );
        assert!(main.is_code(address));
        let found = images.lookup_global("in_library", None).expect("defined");
        assert_eq!(found.address, Some(RunAddr(live.told("in_library"))));
        let library = images.get(found.image);
        assert_eq!(library.namespace(), Namespace::Base);
        assert!(
            library
                .file_name()
                .is_some_and(|name| name == "libpacked.so")
        );
        let code = library.executable_ranges()[0].clone();
        assert!(
            library.file_text(&code).is_err(),
            "its pages no longer come from the file"
        );
    }
}
