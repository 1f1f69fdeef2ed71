//! Restartable sequences (`rseq(2)`): code that the kernel restarts when the thread is preempted in it.
//!
//! The kernel looks at the instruction pointer when a preempted thread goes on. A thread that stood inside
//! such a sequence and comes back elsewhere has it forgotten; put back inside later, it would finish a sequence that
//! must not be finished. So a thread inside one is not borrowed.

use crate::memory::Memory;
use livepatch_bundle::RunAddr;

/// Offset of `rseq_cs` in `struct rseq` (linux/rseq.h).
const CURRENT: i64 = 8;

/// Whether `rip` may be inside the sequence that `area` (the thread's `struct rseq`, 0 for none) announces. What
/// cannot be read counts as inside.
pub(super) fn is_inside(memory: &impl Memory, area: u64, rip: u64) -> bool {
    if area == 0 {
        return false;
    }
    match memory.read_u64(RunAddr(area).offset(CURRENT)) {
        Ok(0) => false,
        // struct rseq_cs { u32 version, flags; u64 start_ip, post_commit_offset, abort_ip; }
        Ok(descriptor) => {
            let start = memory.read_u64(RunAddr(descriptor).offset(8));
            let len = memory.read_u64(RunAddr(descriptor).offset(16));
            start
                .and_then(|start| Ok(rip.wrapping_sub(start) < len?))
                .unwrap_or(true)
        }
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Unreadable;

    struct Words(Vec<(u64, u64)>);

    impl Memory for Words {
        fn read(&self, address: RunAddr, buffer: &mut [u8]) -> Result<(), Unreadable> {
            let word = self.0.iter().find(|(at, _)| *at == address.0);
            let (_, value) = word.ok_or(Unreadable {
                address,
                len: buffer.len(),
            })?;
            buffer.copy_from_slice(&value.to_le_bytes());
            Ok(())
        }
    }

    #[test]
    fn only_the_announced_sequence_counts() {
        let memory = Words(vec![(0x108, 0x200), (0x208, 0x4000), (0x210, 0x10)]);
        assert!(is_inside(&memory, 0x100, 0x4000));
        assert!(is_inside(&memory, 0x100, 0x400f));
        assert!(!is_inside(&memory, 0x100, 0x4010));
        assert!(!is_inside(&memory, 0, 0x4000));
        assert!(!is_inside(&Words(vec![(0x108, 0)]), 0x100, 0x4000));
        assert!(is_inside(&Words(vec![]), 0x100, 0x4000));
        assert!(is_inside(&Words(vec![(0x108, 0x200)]), 0x100, 0x4000));
    }
}
