//! Instructions that are mapped anyway: those by which a borrowed thread makes calls, and finds home alone.

use crate::memory::{Memory, Registers};
use crate::process::{Backing, Mapping, Pid, ProcessMemory};
use crate::stop::restart;
use livepatch_bundle::RunAddr;
use memchr::memmem;
use std::cell::Cell;

/// `0f 05    syscall`
pub(super) const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// `0f 05 c3    syscall; ret`
const CALL: [u8; 3] = [0x0f, 0x05, 0xc3];
/// What handlers of signals return to in every C library (`__restore_rt`):
///
/// ```text
/// 48 c7 c0 0f 00 00 00    mov rax, 15
/// 0f 05                   syscall
/// ```
const RETURN: [u8; 9] = [0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];
/// The same, shorter: `b8 0f 00 00 00    mov eax, 15`.
const SHORT_RETURN: [u8; 7] = [0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05];

/// The most bytes of one mapping that are searched.
const LIMIT: u64 = 16 << 20;

/// The middle of another instruction does too, since only these bytes are executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gates {
    /// Any `syscall`.
    any: Option<RunAddr>,
    /// `syscall; ret`.
    call: Option<RunAddr>,
    /// `rt_sigreturn`, to be returned to.
    back: Option<RunAddr>,
}

thread_local! {
    /// The gates of the process that this thread works on: they need not be searched again in a stop.
    static KNOWN: Cell<Option<(Pid, Gates)>> = const { Cell::new(None) };
}

impl Gates {
    /// The process's gates, searched once and looked at again.
    pub(super) fn of(memory: &ProcessMemory, maps: &[Mapping]) -> Self {
        let known = KNOWN.get().filter(|(pid, _)| *pid == memory.pid());
        let known = known.map(|(_, gates)| gates);
        if let Some(gates) = known.filter(|gates| gates.are_there(memory)) {
            return gates;
        }
        let gates = Self::search(memory, maps);
        KNOWN.set(Some((memory.pid(), gates)));
        gates
    }

    /// Whether all are known and stand where they did.
    fn are_there(&self, memory: &impl Memory) -> bool {
        let holds = |at: Option<RunAddr>, wanted: &[&[u8]]| {
            let reads = |bytes: &&[u8]| {
                at.is_some_and(|at| {
                    memory
                        .read_vec(at, bytes.len())
                        .is_ok_and(|found| found == **bytes)
                })
            };
            wanted.iter().any(reads)
        };
        holds(self.any, &[&SYSCALL])
            && holds(self.call, &[&CALL])
            && holds(self.back, &[&RETURN, &SHORT_RETURN])
    }

    /// Searches the vDSO and files until all are found, the C library first.
    pub(super) fn search(memory: &impl Memory, maps: &[Mapping]) -> Self {
        let usable = |mapping: &&Mapping| mapping.execute && mapping.read;
        let mut candidates: Vec<_> = maps.iter().filter(usable).collect();
        candidates.retain(|mapping| rank(mapping).is_some());
        candidates.sort_by_key(|mapping| rank(mapping));
        let mut gates = Self::default();
        for mapping in candidates {
            gates.add(memory, mapping);
            if gates.call.is_some() && gates.back.is_some() {
                break;
            }
        }
        gates
    }

    fn add(&mut self, memory: &impl Memory, mapping: &Mapping) {
        let len = usize::try_from(mapping.len().min(LIMIT)).unwrap_or(0);
        let Ok(bytes) = memory.read_vec(mapping.start, len) else {
            return;
        };
        let find = |wanted: &[u8]| {
            let at = memmem::find(&bytes, wanted)?;
            Some(RunAddr(mapping.start.0 + at as u64))
        };
        self.any = self.any.or_else(|| find(&SYSCALL));
        self.call = self.call.or_else(|| find(&CALL));
        self.back = self
            .back
            .or_else(|| find(&RETURN).or_else(|| find(&SHORT_RETURN)));
    }

    /// A `syscall` instruction: the one by which the thread entered the kernel, or any.
    pub(super) fn for_thread(&self, memory: &impl Memory, own: &Registers) -> Option<RunAddr> {
        let address = RunAddr(own.rip).offset(-2);
        let entered = restart::is_in_syscall(own) && is_gate(memory, address);
        if entered { Some(address) } else { self.any }
    }

    /// `syscall; ret` and what that returns to.
    pub(super) fn with_return(&self) -> Option<(RunAddr, RunAddr)> {
        Some((self.call?, self.back?))
    }
}

/// In which order to search: `None` for what is not searched.
fn rank(mapping: &Mapping) -> Option<u8> {
    let Backing::File { path, .. } = &mapping.backing else {
        return mapping.is_named("[vdso]").then_some(0);
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_libc = name.starts_with("libc.") || name.starts_with("libc-") || name.contains("musl");
    Some(if is_libc { 1 } else { 2 })
}

fn is_gate(memory: &impl Memory, address: RunAddr) -> bool {
    let mut bytes = [0; 2];
    memory.read(address, &mut bytes).is_ok() && bytes == SYSCALL
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::parse_maps;
    use crate::sys::ptrace::no_registers;
    use crate::testing::Bytes;

    fn target() -> (Bytes, Vec<Mapping>) {
        let mut bytes = vec![0x90; 0x4000];
        let mut put = |at: usize, what: &[u8]| {
            bytes[at - 0x1000..][..what.len()].copy_from_slice(what);
        };
        put(0x1010, &SYSCALL);
        put(0x1100, &SHORT_RETURN);
        put(0x2020, &SYSCALL);
        put(0x2120, &CALL);
        put(0x2200, &RETURN);
        put(0x4004, &CALL);
        let text = "1000-2000 r-xp 0 0:0 1 /a\n2000-3000 r-xp 0 0:0 1 /libc.so.6\n\
                    3000-4000 r-xp 0 0:0 0 [vdso]\n4000-5000 r-xp 0 0:0 0 [heap]\n";
        let maps = parse_maps(text.as_bytes()).expect("well-formed");
        (Bytes(bytes), maps)
    }

    fn at(rip: u64, orig_rax: u64) -> Registers {
        Registers {
            rip,
            orig_rax,
            ..no_registers()
        }
    }

    #[test]
    fn the_threads_own_instruction_comes_first() {
        let (memory, maps) = target();
        let gates = Gates::search(&memory, &maps);
        assert_eq!(
            gates.for_thread(&memory, &at(0x1012, 0)),
            Some(RunAddr(0x1010))
        );
        let any = Some(RunAddr(0x2020));
        assert_eq!(gates.for_thread(&memory, &at(0x1012, u64::MAX)), any);
        assert_eq!(gates.for_thread(&memory, &at(0x1013, 0)), any);
    }

    #[test]
    fn the_way_back_is_searched_in_the_c_library_first() {
        let (memory, maps) = target();
        let found = |maps| Gates::search(&memory, maps).with_return();
        assert_eq!(found(&maps), Some((RunAddr(0x2120), RunAddr(0x2200))));
        assert_eq!(found(&maps[..1]), None);
        assert_eq!(
            found(&maps[3..]),
            None,
            "what is no file is not trusted to stay"
        );
    }
}
