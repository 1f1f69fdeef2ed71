//! A `syscall` instruction that is mapped anyway.

use crate::memory::{Memory, Registers};
use crate::process::{Backing, Mapping};
use crate::stop::restart;
use livepatch_bundle::RunAddr;

/// `0f 05    syscall`
pub(super) const SYSCALL: [u8; 2] = [0x0f, 0x05];

/// The most bytes of one mapping that are searched.
const LIMIT: u64 = 4 << 20;

/// Finds a `syscall` instruction: the one by which the thread entered the kernel, or one of the vDSO, or any other.
/// The middle of another instruction does too, since only these two bytes are executed.
pub(super) fn find(
    memory: &impl Memory,
    maps: &[Mapping],
    registers: &Registers,
) -> Option<RunAddr> {
    own(memory, registers).or_else(|| in_maps(memory, maps))
}

fn own(memory: &impl Memory, registers: &Registers) -> Option<RunAddr> {
    let address = RunAddr(registers.rip).offset(-2);
    (restart::is_in_syscall(registers) && is_gate(memory, address)).then_some(address)
}

pub(super) fn is_gate(memory: &impl Memory, address: RunAddr) -> bool {
    let mut bytes = [0; 2];
    memory.read(address, &mut bytes).is_ok() && bytes == SYSCALL
}

fn in_maps(memory: &impl Memory, maps: &[Mapping]) -> Option<RunAddr> {
    let usable = |mapping: &&Mapping| mapping.execute && mapping.read;
    let files = |mapping: &&Mapping| matches!(mapping.backing, Backing::File { .. });
    let vdso = maps.iter().filter(|mapping| mapping.is_named("[vdso]"));
    vdso.chain(maps.iter().filter(files))
        .filter(usable)
        .find_map(|mapping| search(memory, mapping))
}

fn search(memory: &impl Memory, mapping: &Mapping) -> Option<RunAddr> {
    let len = usize::try_from(mapping.len().min(LIMIT)).ok()?;
    let bytes = memory.read_vec(mapping.start, len).ok()?;
    let at = memchr::memmem::find(&bytes, &SYSCALL)?;
    Some(RunAddr(mapping.start.0 + at as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::parse_maps;
    use crate::sys::ptrace::no_registers;
    use crate::testing::Bytes;

    fn target() -> (Bytes, Vec<Mapping>) {
        let mut bytes = vec![0x90; 0x3000];
        bytes[0x1010..0x1012].copy_from_slice(&SYSCALL);
        bytes[0x2020..0x2022].copy_from_slice(&SYSCALL);
        let text =
            "1000-2000 r-xp 0 0:0 1 /a\n2000-3000 r-xp 0 0:0 1 /b\n3000-4000 r-xp 0 0:0 0 [vdso]\n";
        (
            Bytes(bytes),
            parse_maps(text.as_bytes()).expect("well-formed"),
        )
    }

    #[test]
    fn the_threads_own_instruction_comes_first() {
        let (memory, maps) = target();
        let asleep = Registers {
            rip: 0x2012,
            orig_rax: 0,
            ..no_registers()
        };
        assert_eq!(find(&memory, &maps, &asleep), Some(RunAddr(0x2010)));
    }

    #[test]
    fn the_vdso_comes_before_files() {
        let (memory, maps) = target();
        let running = Registers {
            rip: 0x2012,
            orig_rax: u64::MAX,
            ..no_registers()
        };
        assert_eq!(find(&memory, &maps, &running), Some(RunAddr(0x3020)));
        assert_eq!(find(&memory, &maps[..2], &running), Some(RunAddr(0x2010)));
        assert_eq!(find(&memory, &maps[..1], &running), None);
    }
}
