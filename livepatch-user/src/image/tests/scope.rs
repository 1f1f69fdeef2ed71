//! The order in which names are looked up.

use super::child::{Live, Workshop};
use crate::image::{Image, Namespace};
use livepatch_bundle::RunAddr;
use std::process::Command;

const PLUGIN: &str = "int plugin_value = 1; int *plugin_address(void) { return &plugin_value; }";

#[test]
fn plugins_see_themselves_before_each_other() {
    let workshop = Workshop::new();
    for plugin in ["first.so", "second.so"] {
        workshop.compile(plugin, PLUGIN, &["-shared", "-fPIC"]);
    }
    let source = r#"
#include <dlfcn.h>
#include <stdlib.h>
static void load(const char *name, const char *file, int fresh)
{
    void *plugin = fresh ? dlmopen(LM_ID_NEWLM, file, RTLD_NOW) : dlopen(file, RTLD_NOW);
    if (!plugin) { fputs(dlerror(), stderr); exit(1); }
    SHOW(name, ((int *(*)(void))dlsym(plugin, "plugin_address"))());
}
int main(int argc, char **argv)
{
    load("first", "first.so", 0); load("second", "second.so", 0);
    load("fresh", "second.so", 1);
    return wait_for_end();
}
"#;
    let live = Live::start(&workshop.compile("program", source, &[]));
    let images = live.images();
    assert!(images.consistent());
    let at = |name| images.at(RunAddr(live.told(name))).expect("mapped");
    let value = |image: &Image<'_>| {
        let found = images.lookup_from(image.id(), "plugin_value", None);
        found.and_then(|found| found.address)
    };
    assert_eq!(value(at("first")), Some(RunAddr(live.told("first"))));
    assert_eq!(value(at("second")), Some(RunAddr(live.told("second"))));
    assert_eq!(value(at("fresh")), Some(RunAddr(live.told("fresh"))));
    let allocator = |name: &'static str| {
        images
            .lookup_from(at(name).id(), "malloc", None)
            .map(|found| found.image)
    };
    assert_eq!(allocator("first"), allocator("second"));
    assert_ne!(
        allocator("first"),
        allocator("fresh"),
        "it has a C library of its own"
    );
    let whole = images.lookup_global("plugin_value", None).expect("defined");
    assert_eq!(whole.image, at("first").id(), "the first that was loaded");

    assert_eq!(at("second").namespace(), Namespace::Base);
    assert_eq!(at("fresh").namespace(), Namespace::Other(1));
    assert!(!images.scope_order().contains(&at("fresh").id()));
    let id = at("second").build_id().expect("one");
    assert_eq!(images.with_build_id(id).count(), 2, "mapped twice");
}

#[test]
fn preloaded_libraries_come_before_those_that_are_linked() {
    let workshop = Workshop::new();
    let definition = "int value = 1; void *value_address(void) { return &value; }";
    workshop.compile("liblinked.so", definition, &["-shared", "-fPIC"]);
    workshop.compile("preloaded.so", definition, &["-shared", "-fPIC"]);
    let source = "void *value_address(void); int main() \
                  { SHOW(\"value\", value_address()); return wait_for_end(); }";
    let program = workshop.compile("program", source, &["-L.", "-l:liblinked.so"]);
    let live = Live::run(
        Command::new(&program)
            .env("LD_PRELOAD", workshop.path("preloaded.so"))
            .env("LD_LIBRARY_PATH", workshop.path(".")),
    );
    let images = live.images();
    let linked = images
        .iter()
        .find(|i| i.file_name().is_some_and(|f| f == "liblinked.so"));
    let linked = linked.expect("loaded").id();
    for found in [
        images.lookup_global("value", None),
        images.lookup_from(linked, "value", None),
    ] {
        let address = found.and_then(|found| found.address);
        assert_eq!(address, Some(RunAddr(live.told("value"))));
    }
}

#[test]
fn a_loader_started_as_a_program_is_not_the_executable() {
    let workshop = Workshop::new();
    let source = "int value = 1; int main() { ADDRESS(value); return wait_for_end(); }";
    let program = workshop.compile("program", source, &["-rdynamic"]);
    let loader = std::path::Path::new("/lib64/ld-linux-x86-64.so.2");
    let live = Live::run(Command::new(loader).arg(&program));
    let images = live.images();
    let main = images.main().expect("an executable");
    assert_eq!(main.path(), Some(program.as_path()));
    assert_eq!(images.iter().filter(|image| image.is_main()).count(), 1);
    let found = images.lookup_global("value", None).expect("defined");
    assert_eq!(found.address, Some(RunAddr(live.told("value"))));
}

#[test]
fn musl_programs_are_searched_too() {
    let workshop = Workshop::new();
    let source = "int main() { SHOW(\"puts\", puts); ADDRESS(stdout); return wait_for_end(); }";
    let live = Live::start(&workshop.compile_with("musl-gcc", "program", source, &[]));
    let images = live.images();
    for name in ["puts", "stdout"] {
        let found = images.lookup_global(name, None).expect("defined");
        assert_eq!(found.address, Some(RunAddr(live.told(name))), "{name}");
    }
}
