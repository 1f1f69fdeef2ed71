//! Blocks come and go; what is sealed stays, or goes as a whole.

use super::*;

fn arena() -> Arena {
    Arena::new(64 << 20).expect("addresses are plenty")
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
    let arena = arena();
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
    let arena = arena();
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
    let arena = arena();
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
    let arena = arena();
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
    let arena = arena();
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
