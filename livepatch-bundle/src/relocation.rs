//! The x86-64 relocation kinds that a patch may contain (psABI, section 4.4 "Relocation").
//!
//! One table; the linker in `livepatch-user`, the comparison in `livepatch-match` and `patchgen` all read it.

/// What a relocated field holds. `S` symbol, `A` addend, `P` the field's own address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// `S + A`, the address itself.
    Absolute,
    /// `S + A - P`, or through a stub when the symbol is a function (`R_X86_64_PLT32`).
    PcRelative,
    /// `G + A - P` where `G` is the address of a slot that holds `S`.
    GotSlot,
    /// `S + A` as an offset from the thread pointer (local exec).
    TpOff,
    /// `G + A - P` where `G` is a slot that holds the offset from the thread pointer (initial exec).
    GotTpOff,
    /// `G + A - P` where `G` is a pair (module, offset) for `__tls_get_addr` (general dynamic).
    TlsGd,
    /// `G + A - P` where `G` is a pair (module, 0) for `__tls_get_addr` (local dynamic).
    TlsLd,
    /// `S + A` as an offset within the module's TLS block (after local dynamic).
    DtpOff,
    /// `G + A - P` where `G` is a TLS descriptor.
    TlsDesc,
    /// Marks the call through a TLS descriptor; no field.
    TlsDescCall,
    /// `S + A - GOT` and its kin; the base is the module's `_GLOBAL_OFFSET_TABLE_`.
    GotRelative,
    /// The size of the symbol plus the addend.
    Size,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $elf:literal, $width:literal, $class:ident;)*) => {
        /// A relocation kind that is understood. Others are refused by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum RelocKind { $(#[doc = $elf] $name,)* }

        impl RelocKind {
            /// Every kind that is understood.
            pub const ALL: &[RelocKind] = &[$(RelocKind::$name),*];

            /// The kind with this ELF number (`R_X86_64_*`).
            #[must_use]
            pub fn from_elf(number: u32) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }

            /// The ELF number.
            #[must_use]
            pub fn elf(self) -> u32 {
                match self { $(Self::$name => $number),* }
            }

            /// The psABI's name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $elf),* }
            }

            /// The width of the field in bytes; 0 when the relocation only marks an instruction.
            #[must_use]
            pub fn width(self) -> usize {
                match self { $(Self::$name => $width),* }
            }

            /// What the field holds.
            #[must_use]
            pub fn class(self) -> Class {
                match self { $(Self::$name => Class::$class),* }
            }
        }
    };
}

kinds! {
    Abs64 = 1, "R_X86_64_64", 8, Absolute;
    Pc32 = 2, "R_X86_64_PC32", 4, PcRelative;
    Plt32 = 4, "R_X86_64_PLT32", 4, PcRelative;
    GotPcRel = 9, "R_X86_64_GOTPCREL", 4, GotSlot;
    Abs32 = 10, "R_X86_64_32", 4, Absolute;
    Abs32S = 11, "R_X86_64_32S", 4, Absolute;
    Abs16 = 12, "R_X86_64_16", 2, Absolute;
    Abs8 = 14, "R_X86_64_8", 1, Absolute;
    Pc8 = 15, "R_X86_64_PC8", 1, PcRelative;
    DtpOff64 = 17, "R_X86_64_DTPOFF64", 8, DtpOff;
    TpOff64 = 18, "R_X86_64_TPOFF64", 8, TpOff;
    TlsGd = 19, "R_X86_64_TLSGD", 4, TlsGd;
    TlsLd = 20, "R_X86_64_TLSLD", 4, TlsLd;
    DtpOff32 = 21, "R_X86_64_DTPOFF32", 4, DtpOff;
    GotTpOff = 22, "R_X86_64_GOTTPOFF", 4, GotTpOff;
    TpOff32 = 23, "R_X86_64_TPOFF32", 4, TpOff;
    Pc64 = 24, "R_X86_64_PC64", 8, PcRelative;
    GotOff64 = 25, "R_X86_64_GOTOFF64", 8, GotRelative;
    GotPc32 = 26, "R_X86_64_GOTPC32", 4, GotRelative;
    Size32 = 32, "R_X86_64_SIZE32", 4, Size;
    Size64 = 33, "R_X86_64_SIZE64", 8, Size;
    GotPc32TlsDesc = 34, "R_X86_64_GOTPC32_TLSDESC", 4, TlsDesc;
    TlsDescCall = 35, "R_X86_64_TLSDESC_CALL", 0, TlsDescCall;
    GotPcRelX = 41, "R_X86_64_GOTPCRELX", 4, GotSlot;
    RexGotPcRelX = 42, "R_X86_64_REX_GOTPCRELX", 4, GotSlot;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_agree_with_the_elf_header() {
        for &kind in RelocKind::ALL {
            assert_eq!(RelocKind::from_elf(kind.elf()), Some(kind));
        }
        assert_eq!(RelocKind::Pc32.elf(), object::elf::R_X86_64_PC32.0);
        assert_eq!(
            RelocKind::RexGotPcRelX.elf(),
            object::elf::R_X86_64_REX_GOTPCRELX.0
        );
        assert_eq!(
            RelocKind::TlsDescCall.elf(),
            object::elf::R_X86_64_TLSDESC_CALL.0
        );
    }
}
