//! What on a stopped thread's stack is left over and means nothing.
//!
//! Below the stack pointer (less the 128 bytes of the red zone, psABI 3.2.2) return addresses of finished calls stay
//! behind; every thread that ever ran new code has some. They must not count, and live data must not be taken for them.
//! So the part below the stack pointer is ignored only where the whole mapping is certainly one thread's stack:
//!
//! ```text
//! ---p  guard pages                 or  [stack] of the main thread
//! rw-p  unused | stack | thread control block at fs_base, at most 16 KiB below the end
//! ```
//!
//! as `pthread_create` of glibc and musl lays it out, and where no other thread's stack pointer is in it.
//! Coroutines and goroutines run elsewhere; below their stack pointers everything counts.

use super::AddressRange;
use super::capture::ThreadState;
use super::search::PatchAddresses;
use crate::process::{Mapping, find_mapping};
use livepatch_bundle::RunAddr;

/// How far below the end of its mapping a thread's control block is at most.
const CONTROL_BLOCK: u64 = 16 << 10;
const RED_ZONE: i64 = 128;

/// The parts of the stacks that are not in use, for threads whose stacks' mappings are the same in both lists.
pub(super) fn unused(
    threads: &[ThreadState],
    before: &[Mapping],
    after: &[Mapping],
) -> Vec<AddressRange> {
    threads
        .iter()
        .filter_map(|thread| {
            let mapping = own_stack(thread, before)?;
            let same = find_mapping(after, mapping.start) == Some(mapping)
                && below(after, mapping) == below(before, mapping);
            let alone = threads
                .iter()
                .filter(|other| mapping.contains(RunAddr(other.registers.rsp)))
                .count()
                == 1;
            (same && alone).then_some(AddressRange {
                start: mapping.start,
                end: RunAddr(thread.registers.rsp).offset(-RED_ZONE),
            })
        })
        .collect()
}

/// The mapping that is this thread's stack and nothing else.
fn own_stack<'m>(thread: &ThreadState, maps: &'m [Mapping]) -> Option<&'m Mapping> {
    let mapping = find_mapping(maps, RunAddr(thread.registers.rsp))?;
    if mapping.is_named("[stack]") {
        return Some(mapping);
    }
    let guarded =
        below(maps, mapping).is_some_and(|guard| !guard.read && !guard.write && !guard.execute);
    let block = RunAddr(thread.registers.fs_base);
    let at_the_end = mapping.contains(block) && mapping.end.0 - block.0 <= CONTROL_BLOCK;
    let private = mapping.write && !mapping.shared && mapping.inode == 0;
    (guarded && at_the_end && private).then_some(mapping)
}

/// The mapping that ends where this one starts.
fn below<'m>(maps: &'m [Mapping], mapping: &Mapping) -> Option<&'m Mapping> {
    let index = maps.partition_point(|other| other.start < mapping.start);
    let below = maps.get(index.checked_sub(1)?)?;
    (below.end == mapping.start).then_some(below)
}

/// Whether the word is a return address left over in a frame that is in use: the exact walk found no such frame.
pub(super) fn is_left_over(
    at: RunAddr,
    value: RunAddr,
    threads: &[ThreadState],
    patch: &PatchAddresses,
) -> bool {
    let in_code = patch.code.iter().any(|range| range.contains(value));
    in_code
        && !patch.entries.contains(&value)
        && threads
            .iter()
            .filter_map(|thread| thread.walked)
            .any(|range| range.contains(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Tid, parse_maps};
    use crate::sys::ptrace::no_registers;

    const TEXT: &[u8] = b"\
00100000-00200000 rw-p 00000000 00:00 0 
7f0000000000-7f0000001000 ---p 00000000 00:00 0 
7f0000001000-7f0000801000 rw-p 00000000 00:00 0 
7f0000900000-7f0000a00000 rw-p 00000000 00:00 0 
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0 [stack]
";

    fn thread(rsp: u64, fs_base: u64) -> ThreadState {
        let mut registers = no_registers();
        registers.rsp = rsp;
        registers.fs_base = fs_base;
        ThreadState {
            tid: Tid(1),
            registers,
            extended: Vec::new(),
            walked: None,
        }
    }

    fn unused_of(threads: &[ThreadState]) -> Vec<(u64, u64)> {
        let maps = parse_maps(TEXT).expect("well-formed");
        unused(threads, &maps, &maps)
            .iter()
            .map(|range| (range.start.0, range.end.0))
            .collect()
    }

    #[test]
    fn stacks_of_threads_and_of_the_main_thread() {
        let threads = [
            thread(0x7f00_0080_0000, 0x7f00_0080_0700),
            thread(0x7ffc_0002_0000, 0x10_0000),
        ];
        let expected = [
            (0x7f00_0000_1000, 0x7f00_0080_0000 - 128),
            (0x7ffc_0000_0000, 0x7ffc_0002_0000 - 128),
        ];
        assert_eq!(unused_of(&threads), expected);
    }

    #[test]
    fn other_memory_is_in_use_below_the_stack_pointer() {
        for (what, rsp, fs_base) in [
            ("no guard below", 0x7f00_009f_0000, 0x7f00_009f_f000),
            (
                "the control block is elsewhere",
                0x7f00_0080_0000,
                0x10_0000,
            ),
            (
                "the control block is not at the end",
                0x7f00_0040_0000,
                0x7f00_0050_0000,
            ),
            ("a goroutine's stack in the heap", 0x18_0000, 0x1f_f000),
            ("nothing is mapped", 0x7e00_0000_0000, 0x7e00_0000_0100),
        ] {
            assert_eq!(unused_of(&[thread(rsp, fs_base)]), [], "{what}");
        }
    }

    #[test]
    fn two_threads_in_one_mapping() {
        let threads = [
            thread(0x7f00_0080_0000, 0x7f00_0080_0700),
            thread(0x7f00_0040_0000, 0x10_0000),
        ];
        assert_eq!(unused_of(&threads), []);
    }

    #[test]
    fn a_stack_that_changed() {
        let before = parse_maps(TEXT).expect("well-formed");
        let mut after = before.clone();
        after[1].read = true;
        let threads = [thread(0x7f00_0080_0000, 0x7f00_0080_0700)];
        assert_eq!(unused(&threads, &before, &after), []);
        assert_eq!(unused(&threads, &before, &before).len(), 1);
    }

    #[test]
    fn return_addresses_in_a_walked_stack_are_left_over() {
        let range = |start, end| AddressRange {
            start: RunAddr(start),
            end: RunAddr(end),
        };
        let patch = PatchAddresses {
            ranges: vec![range(0x1000, 0x3000)],
            code: vec![range(0x1000, 0x2000)],
            entries: vec![RunAddr(0x1000), RunAddr(0x1040)],
        };
        let walked = ThreadState {
            walked: Some(range(0x8000, 0x9000)),
            ..thread(0x8000, 0)
        };
        let left_over = |at, value| {
            is_left_over(
                RunAddr(at),
                RunAddr(value),
                std::slice::from_ref(&walked),
                &patch,
            )
        };
        assert!(left_over(0x8010, 0x1044));
        assert!(!left_over(0x8010, 0x1040), "the address of a function");
        assert!(!left_over(0x8010, 0x2010), "data");
        assert!(!left_over(0x9000, 0x1044), "elsewhere");
    }
}
