//! Code that the compiler split off a function and put elsewhere.

use livepatch_bundle::{LinkAddr, VMLINUX};
use livepatch_kernel::{Kallsyms, KernelSymbol};

/// What the compiler adds to the name of a function for the part of it that it splits off.
pub(super) const SPLIT_OFF: &str = ".cold";
/// No function is larger for the companion, in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// A piece of a function of the running kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The function's name.
    pub name: String,
    /// Where it is.
    pub address: u64,
    /// At least its size in bytes.
    pub size: u64,
}

/// Code that the compiler split off a function, each piece as long as it is to the next of its kind.
pub(super) fn pieces(symbols: &Kallsyms, object: &str, name: &str) -> Vec<Piece> {
    let module = (object != VMLINUX).then_some(object);
    let found = symbols.named(&format!("{name}{SPLIT_OFF}"), module);
    let piece = |symbol: &KernelSymbol| {
        let address = symbol.address;
        let next = symbols.next_address(LinkAddr(address));
        let size = next.map_or(MAX_SIZE, |next| (next.0 - address).min(MAX_SIZE));
        let name = name.to_owned();
        Piece {
            name,
            address,
            size,
        }
    };
    found.map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_off_piece_reaches_to_the_next() {
        let text = "ffffffff81000000 T f\nffffffff82000000 t f.cold\nffffffff82000030 t g.cold\n\
                    ffffffffc0000000 t f.cold\t[nfsd]\n";
        let symbols = Kallsyms::parse(text).expect("well-formed");
        let sizes = |object| -> Vec<u64> {
            let pieces = pieces(&symbols, object, "f");
            pieces.iter().map(|one| one.size).collect()
        };
        assert_eq!(sizes(VMLINUX), [0x30]);
        assert_eq!(sizes("nfsd"), [MAX_SIZE], "nothing lies behind it");
        assert!(sizes("other").is_empty());
    }
}
