//! Blocks come and go; what is sealed stays, or goes as a whole.

use super::*;

/// One of each kind.
fn arenas() -> [Arena; 2] {
    [Backing::Anonymous, Backing::Memfd].map(of)
}

fn of(backing: Backing) -> Arena {
    Arena::new(64 << 20, backing).expect("addresses are plenty")
}

fn write(address: *mut libc::c_void, value: u64) {
    // SAFETY: the test allocated at least eight bytes there.
    unsafe { address.cast::<u64>().write(value) };
}

fn read(address: *mut libc::c_void) -> u64 {
    // SAFETY: as in `write`.
    unsafe { address.cast::<u64>().read() }
}

#[test]
fn blocks_are_apart_and_come_back() {
    arenas().iter().for_each(allocate_and_free);
}

fn allocate_and_free(arena: &Arena) {
    let blocks: Vec<_> = (0..10_000).map(|_| arena.alloc(24, 8)).collect();
    for (index, block) in blocks.iter().enumerate() {
        write(*block, index as u64);
    }
    for (index, block) in blocks.iter().enumerate() {
        assert_eq!(read(*block), index as u64);
    }
    let chunks = arena.chunks();
    blocks.iter().for_each(|block| arena.free(block.addr()));
    assert_eq!(arena.used(), 0);
    let again: Vec<_> = (0..10_000).map(|_| arena.alloc(24, 8)).collect();
    assert_eq!(arena.chunks(), chunks, "freed blocks are used again");
    assert!(again.iter().all(|block| arena.holds(block.addr())));
}

#[test]
fn large_blocks_take_slabs_and_give_them_back() {
    arenas().iter().for_each(take_large_blocks);
}

fn take_large_blocks(arena: &Arena) {
    let large = arena.alloc(5 << 20, 8);
    assert!(!large.is_null());
    write(large, 7);
    assert_eq!(read(large), 7);
    arena.free(large.addr());
    assert_eq!(arena.used(), 0);
    assert!(arena.alloc(65 << 20, 8).is_null(), "beyond the limit");
    assert!(arena.alloc(8, 3).is_null(), "no alignment");
}

#[test]
fn what_came_since_the_sealing_can_be_undone() {
    arenas().iter().for_each(seal_and_undo);
}

fn seal_and_undo(arena: &Arena) {
    let old = arena.alloc(100, 8);
    write(old, 1);
    let used = arena.used();
    arena.seal().expect("pages can be protected");
    let new = arena.alloc(100, 8);
    write(new, 2);
    arena.free(old.addr());
    assert_eq!(read(old), 1, "sealed memory stays as it is");
    let gone = arena.undo();
    arena.give_back(&gone);
    assert_eq!((read(old), arena.used()), (1, used));
    write(old, 3);
}

#[test]
fn what_was_sealed_can_be_dropped_or_kept() {
    arenas().iter().for_each(seal_and_drop_or_keep);
}

fn seal_and_drop_or_keep(arena: &Arena) {
    let old = arena.alloc(100, 8);
    arena.seal().expect("pages can be protected");
    let new = arena.alloc(100, 8);
    arena.free(old.addr());
    arena.keep();
    write(old, 1);
    let one = arena.used();
    assert_eq!(one, 112, "the old block is free");
    write(new, 5);
    arena.seal().expect("pages can be protected");
    let newest = arena.alloc(100, 8);
    write(newest, 9);
    let gone = arena.replace();
    assert_eq!((read(newest), arena.used()), (9, one));
    arena.give_back(&gone);
    assert_eq!(arena.chunks(), 1);
}

#[test]
fn prepared_chunks_are_used_first() {
    arenas().iter().for_each(prepare_and_trim);
}

fn prepare_and_trim(arena: &Arena) {
    arena.prepare(3).expect("memory");
    assert_eq!(arena.chunks(), 3);
    arena.alloc(3 << 20, 8);
    assert_eq!(arena.chunks(), 3);
    arena.trim();
    assert_eq!(arena.chunks(), 3, "somebody counts on them");
    arena.relax();
    arena.trim();
    assert_eq!(arena.chunks(), 2);
}

/// How memory may be used, as the system tells.
fn access(address: *mut libc::c_void) -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("it is ours");
    let holds = |line: &&str| {
        let number = |digits| usize::from_str_radix(digits, 16).expect("hexadecimal");
        let (start, end) = line
            .split_once(' ')
            .expect("columns")
            .0
            .split_once('-')
            .expect("a range");
        (number(start)..number(end)).contains(&address.addr())
    };
    let line = maps.lines().find(holds).expect("it is mapped");
    line.split(' ').nth(1).expect("columns").to_owned()
}

/// Fills so many chunks; each block has its number.
fn fill(arena: &Arena, chunks: usize) -> Vec<*mut libc::c_void> {
    let blocks: Vec<_> = (0..chunks).map(|_| arena.alloc(CHUNK, 8)).collect();
    for (number, block) in blocks.iter().enumerate() {
        write(*block, number as u64);
    }
    blocks
}

fn are_numbered(blocks: &[*mut libc::c_void]) -> bool {
    let mut blocks = blocks.iter().enumerate();
    blocks.all(|(number, block)| read(*block) == number as u64)
}

#[test]
fn what_is_sealed_can_be_read_and_not_written() {
    for (arena, rights) in arenas().iter().zip(["p", "s"]) {
        for chunks in [1, 12] {
            let blocks = fill(arena, chunks);
            arena.rehearse();
            assert_eq!(access(blocks[0]), format!("rw-{rights}"));
            arena.seal().expect("pages can be protected");
            let new = arena.alloc(CHUNK, 8);
            write(new, 1);
            for block in &blocks {
                assert_eq!(access(*block), format!("r--{rights}"));
            }
            assert!(are_numbered(&blocks));
            arena.keep();
            for block in blocks.iter().chain([&new]) {
                assert_eq!(access(*block), format!("rw-{rights}"));
                arena.free(block.addr());
            }
        }
    }
}

#[test]
fn much_comes_and_goes_between_zones() {
    let arena = of(Backing::Memfd);
    let old = fill(&arena, 12);
    arena.prepare(13).expect("memory");
    arena.seal().expect("pages can be protected");
    let new = fill(&arena, 12);
    let gone = arena.undo();
    arena.give_back(&gone);
    arena.relax();
    arena.trim();
    assert_eq!((arena.chunks(), are_numbered(&old)), (12, true));
    arena.prepare(13).expect("memory");
    arena.seal().expect("pages can be protected");
    let again = fill(&arena, 12);
    assert_eq!(again, new, "what was given back is used again");
    let gone = arena.replace();
    arena.give_back(&gone);
    arena.relax();
    arena.trim();
    assert_eq!((arena.chunks(), are_numbered(&again)), (12, true));
    assert!(arena.alloc(21 * CHUNK, 8).is_null(), "beyond the limit");
    assert!(!arena.alloc(20 * CHUNK, 8).is_null());
}

thread_local! {
    /// After so many moves the system refuses one.
    static LEFT: std::cell::Cell<usize> = const { std::cell::Cell::new(usize::MAX) };
    static REMAP: std::cell::Cell<Option<zones::Move>> = const { std::cell::Cell::new(None) };
}

fn refusing(from: usize, to: usize, length: usize) -> io::Result<()> {
    let left = LEFT.get();
    LEFT.set(left.wrapping_sub(1));
    match left {
        0 => Err(io::ErrorKind::OutOfMemory.into()),
        _ => REMAP.get().expect("it was set")(from, to, length),
    }
}

#[test]
fn views_that_cannot_be_exchanged_leave_data_that_can_be_written() {
    let arena = of(Backing::Memfd);
    if let Some(zones) = &mut *arena.zones() {
        REMAP.set(Some(std::mem::replace(&mut zones.remap, refusing)));
    }
    // Two zones: one is protected as a whole, and a part of the other.
    let mut blocks = fill(&arena, 12);
    arena.prepare(1).expect("memory");
    arena.seal().expect("pages can be protected");
    blocks.push(arena.alloc(CHUNK, 8));
    write(blocks[12], 12);
    arena.keep();
    let can_be_written = |blocks: &[*mut libc::c_void]| {
        assert!(are_numbered(blocks));
        for (number, block) in blocks.iter().enumerate() {
            assert_eq!(access(*block), "rw-s");
            write(*block, number as u64);
        }
    };
    for fails_at in 0..8 {
        LEFT.set(fails_at);
        let sealed = arena.seal();
        assert_eq!(sealed.is_err(), fails_at < 4, "{fails_at}");
        if sealed.is_ok() {
            // Four moves later, the first that takes them back.
            assert_eq!(access(blocks[0]), "r--s");
            arena.keep();
        }
        LEFT.set(usize::MAX);
        can_be_written(&blocks);
        arena.seal().expect("it was the system for a moment");
        assert!(blocks.iter().all(|block| access(*block) == "r--s"));
        arena.keep();
        can_be_written(&blocks);
    }
}

#[test]
fn data_that_is_left_to_another_process_is_not_changed_there() {
    for is_sealed in [false, true] {
        let arena = of(Backing::Memfd);
        let blocks = fill(&arena, 12);
        if is_sealed {
            arena.seal().expect("pages can be protected");
        }
        let file = |zones: &Option<Zones>| zones.as_ref().map(Zones::file);
        let file = file(&arena.zones()).expect("it is of files");
        arena.own().expect("the system can map it");
        assert_eq!(arena.backing(), Backing::Anonymous);
        if is_sealed {
            assert_eq!(access(blocks[0]), "r--p");
            write(arena.alloc(CHUNK, 8), 9);
            let gone = arena.undo();
            arena.give_back(&gone);
        }
        assert!(are_numbered(&blocks));
        write(blocks[1], 7);
        let mut there = [0; 8];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut there, CHUNK as u64)
            .expect("it is long enough");
        assert_eq!(u64::from_ne_bytes(there), 1);
        // All goes on as with anonymous memory.
        arena.seal().expect("pages can be protected");
        assert_eq!(
            (access(blocks[0]), access(blocks[1])),
            ("r--p".into(), "r--p".into())
        );
        arena.prepare(2).expect("memory");
        let new = arena.alloc(CHUNK, 8);
        write(new, 5);
        let gone = arena.replace();
        arena.give_back(&gone);
        arena.relax();
        arena.trim();
        assert_eq!((arena.chunks(), read(new)), (1, 5));
    }
}

#[test]
fn data_that_a_module_has_locked_in_memory_can_be_sealed_after_the_rehearsal() {
    let arena = of(Backing::Memfd);
    let blocks = fill(&arena, 12);
    // SAFETY: changes nothing of what is there.
    let locked = unsafe { libc::mlock(blocks[5], 4096) };
    assert_eq!(locked, 0, "a page may be locked");
    // Two mappings cannot be moved at once; then the data is mapped anew.
    arena.rehearse();
    assert!(are_numbered(&blocks));
    arena.seal().expect("it is one mapping now");
    assert!(blocks.iter().all(|block| access(*block) == "r--s"));
    assert!(are_numbered(&blocks));
    arena.keep();
    write(blocks[5], 5);
    assert!(are_numbered(&blocks));
}
