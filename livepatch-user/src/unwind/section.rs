//! One section of call-frame information and the search for the row of an address.

use super::expression::Bytes;
use super::registers::RETURN_ADDRESS;
use super::row::Row;
use gimli::{
    BaseAddresses, CieOrFde, DebugFrame, EhFrame, EhFrameHdr, EhHdrTable, FrameDescriptionEntry,
    LittleEndian, UnwindContext, UnwindOffset, UnwindSection,
};
use livepatch_bundle::RunAddr;

/// `.eh_frame` or `.debug_frame` with an index.
pub(crate) struct Section {
    flavour: Flavour,
    bytes: Vec<u8>,
    bases: BaseAddresses,
    /// Run-time minus section addresses: 0 where the section was read from memory, relocated.
    bias: u64,
    index: Index,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flavour {
    EhFrame,
    DebugFrame,
}

enum Index {
    /// `.eh_frame_hdr`: the linker's binary search table.
    Header(Vec<u8>),
    /// Start of each function and offset of its entry, in ascending order.
    Sorted(Vec<(u64, usize)>),
}

impl Section {
    /// `.eh_frame` as mapped at `start`, with the `.eh_frame_hdr` mapped at its address if there is one.
    pub(crate) fn mapped(
        start: RunAddr,
        bytes: Vec<u8>,
        header: Option<(RunAddr, Vec<u8>)>,
    ) -> Self {
        let mut bases = BaseAddresses::default().set_eh_frame(start.0);
        let mut index = None;
        if let Some((address, header)) = header {
            bases = bases.set_eh_frame_hdr(address.0);
            index = has_table(&header, &bases).then_some(Index::Header(header));
        }
        Self::with_index(Flavour::EhFrame, bytes, bases, 0, index)
    }

    /// `.eh_frame` of a file, linked at `start`, of an image that runs with `bias`.
    pub(crate) fn eh_frame_of_file(start: u64, bytes: Vec<u8>, bias: u64) -> Self {
        let bases = BaseAddresses::default().set_eh_frame(start);
        Self::with_index(Flavour::EhFrame, bytes, bases, bias, None)
    }

    /// `.debug_frame` of a file whose image runs with `bias`.
    pub(crate) fn debug_frame_of_file(bytes: Vec<u8>, bias: u64) -> Self {
        let bases = BaseAddresses::default();
        Self::with_index(Flavour::DebugFrame, bytes, bases, bias, None)
    }

    fn with_index(
        flavour: Flavour,
        bytes: Vec<u8>,
        bases: BaseAddresses,
        bias: u64,
        index: Option<Index>,
    ) -> Self {
        let mut section = Self {
            flavour,
            bytes,
            bases,
            bias,
            index: Index::Sorted(Vec::new()),
        };
        section.index = index.unwrap_or_else(|| Index::Sorted(section.sorted()));
        section
    }

    /// The section's bytes, which expressions point into.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The row that covers `pc`, if one does and it can be understood.
    pub(crate) fn row(&self, pc: RunAddr, context: &mut UnwindContext<usize>) -> Option<Row> {
        let pc = pc.0.wrapping_sub(self.bias);
        let offset = self.entry_offset(pc)?;
        match self.flavour {
            Flavour::EhFrame => row_at(&self.eh_frame(), &self.bases, offset, pc, context),
            Flavour::DebugFrame => row_at(&self.debug_frame(), &self.bases, offset, pc, context),
        }
    }

    /// Offset of the only entry that can cover `pc`.
    fn entry_offset(&self, pc: u64) -> Option<usize> {
        match &self.index {
            Index::Sorted(entries) => {
                let after = entries.partition_point(|(start, _)| *start <= pc);
                Some(entries.get(after.checked_sub(1)?)?.1)
            }
            Index::Header(header) => {
                let header = EhFrameHdr::new(header, LittleEndian);
                let header = header.parse(&self.bases, 8).ok()?;
                let entry = header
                    .table()?
                    .lookup(pc, &self.bases)
                    .ok()?
                    .direct()
                    .ok()?;
                let start = self.bases.eh_frame.section?;
                usize::try_from(entry.checked_sub(start)?).ok()
            }
        }
    }

    fn sorted(&self) -> Vec<(u64, usize)> {
        let mut entries = match self.flavour {
            Flavour::EhFrame => all_entries(&self.eh_frame(), &self.bases),
            Flavour::DebugFrame => all_entries(&self.debug_frame(), &self.bases),
        };
        entries.sort_unstable();
        entries
    }

    fn eh_frame(&self) -> EhFrame<Bytes<'_>> {
        EhFrame::new(&self.bytes, LittleEndian)
    }

    fn debug_frame(&self) -> DebugFrame<Bytes<'_>> {
        let mut section = DebugFrame::new(&self.bytes, LittleEndian);
        section.set_address_size(8);
        section
    }
}

/// Whether `header` has a search table whose claimed length it can hold.
fn has_table(header: &[u8], bases: &BaseAddresses) -> bool {
    let entries = |table: EhHdrTable<'_, Bytes<'_>>| table.iter(bases).size_hint().1;
    let parsed = EhFrameHdr::new(header, LittleEndian).parse(bases, 8);
    let count = parsed
        .ok()
        .as_ref()
        .and_then(|header| header.table())
        .and_then(entries);
    count.is_some_and(|count| count <= header.len())
}

fn all_entries<'a, S: UnwindSection<Bytes<'a>>>(
    section: &S,
    bases: &BaseAddresses,
) -> Vec<(u64, usize)> {
    let mut found = Vec::new();
    let mut entries = section.entries(bases);
    while let Ok(Some(entry)) = entries.next() {
        if let CieOrFde::Fde(partial) = entry
            && let Ok(fde) = partial.parse(S::cie_from_offset)
            && !fde.is_empty_range()
        {
            found.push((fde.initial_address(), fde.offset()));
        }
    }
    found
}

trait EmptyRange {
    fn is_empty_range(&self) -> bool;
}

impl EmptyRange for FrameDescriptionEntry<Bytes<'_>> {
    /// Entries of functions that the linker discarded cover nothing.
    fn is_empty_range(&self) -> bool {
        self.len() == 0
    }
}

fn row_at<'a, S: UnwindSection<Bytes<'a>>>(
    section: &S,
    bases: &BaseAddresses,
    offset: usize,
    pc: u64,
    context: &mut UnwindContext<usize>,
) -> Option<Row>
where
    S::Offset: UnwindOffset<usize>,
{
    let fde = section
        .fde_from_offset(bases, offset.into(), S::cie_from_offset)
        .ok()?;
    let return_register = fde.cie().return_address_register().0;
    if !fde.contains(pc) || return_register != RETURN_ADDRESS {
        return None;
    }
    let row = fde
        .unwind_info_for_address(section, bases, context, pc)
        .ok()?;
    Some(Row::decode(row, fde.is_signal_trampoline()))
}
