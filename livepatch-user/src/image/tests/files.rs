//! Symbols from files: whichever way they were stripped, moved, deleted or replaced.

use super::child::{Live, Workshop};
use crate::image::{Context, Image, Provenance, SymbolHit, Unusable};
use livepatch_bundle::{RunAddr, Scope};
use std::path::Path;

const PROGRAM: &str = r#"
__attribute__((noinline)) static int quiet(int x) { __asm__ volatile(""); return x + 1; }
__attribute__((noinline)) int loud(int x) { __asm__ volatile(""); return quiet(x) * 3; }
int main(int argc, char **argv)
{
    loud(argc);
    ADDRESS(quiet); ADDRESS(loud);
    return wait_for_end();
}
"#;
/// The same with other code before `quiet`, so that its address differs.
const OTHER: &str = r#"
__attribute__((noinline)) int first(int x) { for (int i = 0; i < x; i++) puts("x"); return x; }
__attribute__((noinline)) static int quiet(int x) { __asm__ volatile(""); return x + 2; }
int main(int argc, char **argv) { first(argc); quiet(argc); return wait_for_end(); }
"#;
const NO_ID: &str = "-Wl,--build-id=none";

fn quiet(image: &Image<'_>) -> Vec<SymbolHit> {
    image.find("quiet", Scope::Local, None)
}

fn assert_quiet(live: &Live, context: Context, from: Provenance) {
    let images = live.images_with(context);
    let main = images.main().expect("an executable");
    let hits = quiet(main);
    assert_eq!(hits.len(), 1, "{:?}", main.symbol_sources());
    assert_eq!(hits[0].provenance, from);
    assert_eq!(
        hits[0].at(main.bias()),
        Some(RunAddr(live.told("quiet"))),
        "{from}"
    );
}

/// A context that reaches files by their paths only.
fn without_map_files(workshop: &Workshop, live: &Live) -> Context {
    let proc_dir = workshop.path("proc");
    if !proc_dir.exists() {
        std::fs::create_dir(&proc_dir).expect("created");
        std::os::unix::fs::symlink("/", proc_dir.join("root")).expect("linked");
    }
    Context {
        proc_dir: Some(proc_dir),
        ..Context::of(live.pid())
    }
}

fn with_debug_dir(live: &Live, directory: &Path) -> Context {
    let mut context = Context::of(live.pid());
    context.debug_dirs.push(directory.to_path_buf());
    context
}

#[test]
fn a_deleted_file_still_tells() {
    let workshop = Workshop::new();
    let program = workshop.compile("program", PROGRAM, &[]);
    let live = Live::start(&program);
    std::fs::remove_file(&program).expect("removed");
    assert_quiet(&live, Context::of(live.pid()), Provenance::File);
    let images = live.images();
    let main = images.main().expect("an executable");
    assert!(main.deleted());
    assert_eq!(main.path(), Some(program.as_path()));
}

#[test]
fn a_replaced_file_is_not_believed() {
    for flags in [&[][..], &[NO_ID][..]] {
        let workshop = Workshop::new();
        let program = workshop.compile("program", PROGRAM, flags);
        let live = Live::start(&program);
        let by_path = without_map_files(&workshop, &live);
        assert_quiet(&live, by_path.clone(), Provenance::File);
        let other = workshop.compile("other", OTHER, flags);
        std::fs::rename(other, &program).expect("replaced");
        assert_quiet(&live, Context::of(live.pid()), Provenance::File);

        let images = live.images_with(by_path);
        let main = images.main().expect("an executable");
        assert_eq!(quiet(main), []);
        let why = &main.symbol_sources()[0];
        assert!(
            matches!(
                why,
                (
                    Provenance::File,
                    Err(Unusable::BuildId { .. } | Unusable::Text { .. } | Unusable::Layout { .. })
                )
            ),
            "{why:?}"
        );
    }
}

#[test]
fn a_debug_file_is_found_by_build_id() {
    let workshop = Workshop::new();
    let program = workshop.compile("program", PROGRAM, &["-g"]);
    workshop.run("objcopy", &["--only-keep-debug", "program", "debug"]);
    workshop.run("strip", &["program"]);
    let live = Live::start(&program);
    let id = live
        .images()
        .main()
        .and_then(|main| main.build_id().cloned());
    let id = id.expect("a build ID").to_string();
    let place = workshop.path("tree/.build-id").join(&id[..2]);
    std::fs::create_dir_all(&place).expect("created");
    std::fs::rename(
        workshop.path("debug"),
        place.join(format!("{}.debug", &id[2..])),
    )
    .expect("moved");
    assert_quiet(
        &live,
        with_debug_dir(&live, &workshop.path("tree")),
        Provenance::DebugFile,
    );
    assert_eq!(quiet(live.images().main().expect("one")), []);
}

#[test]
fn a_debug_link_is_followed_if_its_checksum_is_right() {
    let workshop = Workshop::new();
    let program = workshop.compile("program", PROGRAM, &["-g", NO_ID]);
    workshop.run(
        "objcopy",
        &["--only-keep-debug", "program", "program.debug"],
    );
    workshop.run("strip", &["program"]);
    workshop.run("objcopy", &["--add-gnu-debuglink=program.debug", "program"]);
    std::fs::create_dir(workshop.path(".debug")).expect("created");
    let debug = workshop.path(".debug/program.debug");
    std::fs::rename(workshop.path("program.debug"), &debug).expect("moved");
    let live = Live::start(&program);
    assert_quiet(&live, Context::of(live.pid()), Provenance::DebugFile);

    let mut bytes = std::fs::read(&debug).expect("read");
    bytes.push(0);
    std::fs::write(&debug, bytes).expect("written");
    assert_eq!(quiet(live.images().main().expect("one")), []);
}

#[test]
fn mini_debug_info_is_unpacked() {
    let workshop = Workshop::new();
    let program = workshop.compile("program", PROGRAM, &[]);
    workshop.run("objcopy", &["--only-keep-debug", "program", "mini"]);
    workshop.run("strip", &["program"]);
    workshop.run("xz", &["mini"]);
    let section = ".gnu_debugdata=mini.xz";
    workshop.run("objcopy", &["--add-section", section, "program"]);
    let live = Live::start(&program);
    assert_quiet(&live, Context::of(live.pid()), Provenance::DebugData);
}

#[test]
fn a_stripped_program_has_its_dynamic_symbols() {
    let workshop = Workshop::new();
    for hash in ["sysv", "gnu"] {
        let hash = format!("-Wl,--hash-style={hash}");
        let program = workshop.compile("program", PROGRAM, &["-rdynamic", "-s", &hash]);
        let live = Live::start(&program);
        let images = live.images();
        let main = images.main().expect("an executable");
        assert_eq!(quiet(main), []);
        let hits = main.find("loud", Scope::Global, None);
        assert_eq!(hits[0].provenance, Provenance::Dynamic);
        assert_eq!(hits[0].at(main.bias()), Some(RunAddr(live.told("loud"))));
        let start = RunAddr(live.told("quiet"));
        assert!(
            main.function_starts()
                .iter()
                .any(|piece| piece.start == start)
        );
    }
}

#[test]
fn local_symbols_are_told_apart_by_source() {
    let workshop = Workshop::new();
    let part = |value: u32| {
        format!("static int shared = {value}; int *part{value}(void) {{ return &shared; }}")
    };
    for value in [1, 2] {
        let name = format!("part{value}");
        workshop.compile(&name, &part(value), &["-c"]);
    }
    let source = r#"
int *part1(void), *part2(void);
__attribute__((visibility("hidden"))) int hidden = 3;
int main(int argc, char **argv)
{
    hidden += argc; *part1() += argc; *part2() += argc;
    SHOW("1", part1()); SHOW("2", part2()); ADDRESS(hidden);
    return wait_for_end();
}
"#;
    let program = workshop.compile("program", source, &["part1", "part2"]);
    let live = Live::start(&program);
    let images = live.images();
    let main = images.main().expect("an executable");
    assert_eq!(main.find("shared", Scope::Local, None).len(), 2);
    for number in ["1", "2"] {
        let from = |path: String| {
            let hits = main.find("shared", Scope::Local, Some(&path));
            assert_eq!(hits.len(), 1, "{path} {hits:?}");
            hits[0].at(main.bias())
        };
        let told = Some(RunAddr(live.told(number)));
        assert_eq!(from(format!("part{number}.c")), told);
        assert_eq!(from(format!("elsewhere/part{number}.c")), told);
    }
    assert_eq!(main.find("shared", Scope::Local, Some("other.c")), []);
    let hidden = main.find("hidden", Scope::Global, Some("program.c"));
    assert_eq!(hidden.len(), 1);
    assert_eq!(
        hidden[0].at(main.bias()),
        Some(RunAddr(live.told("hidden")))
    );
}

#[test]
fn the_file_has_what_unchanged_text_has() {
    use crate::memory::Memory;
    let workshop = Workshop::new();
    let program = workshop.compile("program", PROGRAM, &[]);
    let live = Live::start(&program);
    std::fs::remove_file(&program).expect("removed");
    let images = live.images();
    let main = images.main().expect("an executable");
    let range = main.executable_ranges()[0].clone();
    let len = usize::try_from(range.end.0 - range.start.0).expect("small");
    let memory = live.memory.read_vec(range.start, len).expect("mapped");
    assert_eq!(main.file_text(&range).expect("from the file"), memory);
    let beyond = range.start..RunAddr(range.end.0 + 1);
    assert!(main.file_text(&beyond).is_err());
}
