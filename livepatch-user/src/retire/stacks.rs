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
//!
//! Frames that are in use have holes, in which such addresses stay, too. There, and in the red zone, a word that can be
//! nothing but a return address does not count once the stack check has found no frame of the patch: it is not one that
//! anything will return to. (Two things would be missed: a coroutine that is parked on an array in
//! a frame of a thread, and what a thread holds in interrupted frames while it runs a signal handler on an alternate
//! stack that is such an array.)

use super::AddressRange;
use super::capture::ThreadState;
use super::needles::Found;
use super::search::PatchAddresses;
use crate::memory::Memory;
use crate::process::{Mapping, find_mapping};
use crate::unwind::LONGEST_CALL;
use livepatch_bundle::RunAddr;
use livepatch_match::calls_at;

/// How far below the end of its mapping a thread's control block is at most.
pub(crate) const CONTROL_BLOCK: u64 = 16 << 10;
/// Below the stack pointer a function may use these bytes.
pub(crate) const RED_ZONE: i64 = 128;

/// What is known of a thread's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stack {
    /// Below the stack pointer and the red zone: not in use. Empty where the mapping may hold other things.
    unused: AddressRange,
    /// Where no word is a return address into the patch that is still to be used: the red zone, and the frames where
    /// the stack check found none of the patch.
    clear: AddressRange,
}

/// The threads' stacks by ascending address. Their mappings must be the same in both lists.
pub(super) fn stacks(threads: &[ThreadState], before: &[Mapping], after: &[Mapping]) -> Vec<Stack> {
    let mut pointers: Vec<u64> = threads.iter().map(|thread| thread.registers.rsp).collect();
    pointers.sort_unstable();
    let pointers_below = |end: RunAddr| pointers.partition_point(|&pointer| pointer < end.0);
    let stack = |thread: &ThreadState| {
        let rsp = RunAddr(thread.registers.rsp);
        let red_zone = rsp.offset(-RED_ZONE);
        let own = own_stack(thread, before).filter(|mapping| {
            let same = find_mapping(after, mapping.start) == Some(mapping)
                && below(after, mapping) == below(before, mapping);
            same && pointers_below(mapping.end) - pointers_below(mapping.start) == 1
        });
        let walked = own.zip(thread.walked);
        Stack {
            unused: AddressRange {
                start: own.map_or(red_zone, |mapping| mapping.start),
                end: red_zone,
            },
            clear: AddressRange {
                start: red_zone,
                end: walked.map_or(rsp, |(own, walked)| walked.end.min(own.end)),
            },
        }
    };
    let mut stacks: Vec<Stack> = threads.iter().map(stack).collect();
    stacks.sort_unstable_by_key(|stack| stack.unused.start);
    stacks
}

/// The mapping that is this thread's stack and nothing else.
fn own_stack<'m>(thread: &ThreadState, maps: &'m [Mapping]) -> Option<&'m Mapping> {
    let mapping = find_mapping(maps, RunAddr(thread.registers.rsp))?;
    if mapping.is_named("[stack]") {
        return Some(mapping);
    }
    let block = RunAddr(thread.registers.fs_base);
    let at_the_end = mapping.contains(block) && mapping.end.0 - block.0 <= CONTROL_BLOCK;
    let private = mapping.write && !mapping.shared && mapping.inode == 0;
    (is_guarded(maps, mapping) && at_the_end && private).then_some(mapping)
}

/// Whether a mapping without any rights lies right below.
pub(crate) fn is_guarded(maps: &[Mapping], mapping: &Mapping) -> bool {
    below(maps, mapping).is_some_and(|guard| !guard.read && !guard.write && !guard.execute)
}

/// The mapping that ends where this one starts.
fn below<'m>(maps: &'m [Mapping], mapping: &Mapping) -> Option<&'m Mapping> {
    let index = maps.partition_point(|other| other.start < mapping.start);
    let below = maps.get(index.checked_sub(1)?)?;
    (below.end == mapping.start).then_some(below)
}

/// Whether the word is left over from finished calls: anything below the stack pointer, and among the frames in use the
/// address after a call, which is nothing else than a return address. `stacks` as [`stacks`] gives them.
pub(super) fn is_left_over(
    word: &Found,
    stacks: &[Stack],
    patch: &PatchAddresses,
    memory: &impl Memory,
) -> bool {
    let after = stacks.partition_point(|stack| stack.unused.start <= word.at);
    let Some(stack) = after.checked_sub(1).map(|index| &stacks[index]) else {
        return false;
    };
    stack.unused.contains(word.at)
        || (stack.clear.contains(word.at) && is_return_address(word.value, patch, memory))
}

fn is_return_address(value: RunAddr, patch: &PatchAddresses, memory: &impl Memory) -> bool {
    let in_code = patch.code.iter().any(|range| range.contains(value));
    in_code
        && !patch.entries.contains(&value)
        && memory
            .read_vec(value.offset(-(LONGEST_CALL as i64)), LONGEST_CALL)
            .is_ok_and(|before| calls_at(&before))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Unreadable;
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
        stacks(threads, &maps, &maps)
            .iter()
            .map(|stack| (stack.unused.start.0, stack.unused.end.0))
            .filter(|(start, end)| start < end)
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
        let is_empty = |stacks: &[Stack]| stacks[0].unused.start == stacks[0].unused.end;
        assert!(is_empty(&stacks(&threads, &before, &after)));
        assert!(!is_empty(&stacks(&threads, &before, &before)));
    }

    /// Memory in which every instruction is the same.
    struct Code([u8; 5]);

    impl Memory for Code {
        fn read(&self, _: RunAddr, buffer: &mut [u8]) -> Result<(), Unreadable> {
            let end = buffer.len() - self.0.len();
            buffer[end..].copy_from_slice(&self.0);
            Ok(())
        }
    }

    #[test]
    fn the_walked_part_ends_with_the_mapping() {
        let maps = parse_maps(TEXT).expect("well-formed");
        let everything = AddressRange {
            start: RunAddr(0),
            end: RunAddr(u64::MAX),
        };
        let mut of_thread = thread(0x7f00_0080_0000, 0x7f00_0080_0700);
        let mut of_goroutine = thread(0x18_0000, 0x1f_f000);
        let clear = |thread: &ThreadState| {
            let range = stacks(std::slice::from_ref(thread), &maps, &maps)[0].clear;
            (range.start.0, range.end.0)
        };
        assert_eq!(clear(&of_thread), (0x7f00_007f_ff80, 0x7f00_0080_0000));
        of_thread.walked = Some(everything);
        assert_eq!(clear(&of_thread), (0x7f00_007f_ff80, 0x7f00_0080_1000));
        of_goroutine.walked = Some(everything);
        assert_eq!(clear(&of_goroutine), (0x17_ff80, 0x18_0000));
    }

    #[test]
    fn return_addresses_in_a_walked_stack_are_left_over() {
        let range = |start, end| AddressRange {
            start: RunAddr(start),
            end: RunAddr(end),
        };
        let patch = PatchAddresses {
            unwind: vec![],
            ranges: vec![range(0x1000, 0x3000)],
            code: vec![range(0x1000, 0x2000)],
            entries: vec![RunAddr(0x1000), RunAddr(0x1040)],
        };
        let stack = Stack {
            unused: range(0x7000, 0x7f80),
            clear: range(0x7f80, 0x9000),
        };
        let left_over = |at, value, code| {
            let word = Found {
                at: RunAddr(at),
                value: RunAddr(value),
            };
            is_left_over(&word, &[stack], &patch, &code)
        };
        let call = || Code([0xe8, 0, 0, 0, 0]);
        assert!(left_over(0x8010, 0x1044, call()));
        assert!(left_over(0x7f70, 0x2010, call()), "not in use");
        assert!(!left_over(0x6ff8, 0x1044, call()), "below the stack");
        assert!(
            !left_over(0x8010, 0x1044, Code([0x90; 5])),
            "no call before it"
        );
        assert!(
            !left_over(0x8010, 0x1040, call()),
            "the address of a function"
        );
        assert!(!left_over(0x8010, 0x2010, call()), "data");
        assert!(!left_over(0x9000, 0x1044, call()), "elsewhere");
    }
}
