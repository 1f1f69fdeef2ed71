//! Read-only data of old functions: strings, constants, jump tables.

use super::function::{Difference, PieceMatch};
use super::{Evidence, Program};
use livepatch_bundle::{Bundle, Class, Definition, Reloc, RunAddr, SymbolId};
use livepatch_match::Via;
use std::collections::BTreeSet;

/// More comparisons than any function needs: the running program leads in circles.
const COMPARISONS_MAX: usize = 1 << 16;

/// Compares constants with the running program, each once, following pointers between them.
pub(super) struct Constants<'a> {
    bundle: &'a Bundle,
    program: &'a dyn Program,
    pieces: &'a [PieceMatch],
    /// Those to which the patch refers where they run.
    wanted: &'a BTreeSet<SymbolId>,
    seen: BTreeSet<(SymbolId, RunAddr)>,
    evidence: Vec<Evidence>,
}

impl<'a> Constants<'a> {
    pub(super) fn new(
        bundle: &'a Bundle,
        program: &'a dyn Program,
        pieces: &'a [PieceMatch],
        wanted: &'a BTreeSet<SymbolId>,
    ) -> Self {
        Self {
            bundle,
            program,
            pieces,
            wanted,
            seen: BTreeSet::new(),
            evidence: Vec::new(),
        }
    }

    pub(super) fn into_evidence(self) -> Vec<Evidence> {
        self.evidence
    }

    /// Compares the constant `symbol` with what runs at `address`, and all that it points to.
    pub(super) fn check(&mut self, symbol: SymbolId, address: RunAddr) -> Result<(), Difference> {
        let mut queue = vec![(symbol, address)];
        while let Some((symbol, address)) = queue.pop() {
            // Equal constants may have been merged or not: each place is compared for itself.
            if self.seen.insert((symbol, address)) {
                if self.seen.len() > COMPARISONS_MAX {
                    return Err(self.differs(symbol, address, 0));
                }
                self.compare(symbol, address, &mut queue)?;
            }
        }
        Ok(())
    }

    fn compare(
        &mut self,
        symbol: SymbolId,
        address: RunAddr,
        queue: &mut Vec<(SymbolId, RunAddr)>,
    ) -> Result<(), Difference> {
        let Some(definition) = self.bundle.symbols[symbol.0].definition else {
            return Ok(());
        };
        let section = &self.bundle.sections[definition.section.0];
        let range = definition.offset..definition.offset + definition.size;
        let mut expected = section.data[range.start as usize..range.end as usize].to_vec();
        let mut running = self.program.memory().read_vec(address, expected.len())?;
        for reloc in section
            .relocations
            .iter()
            .filter(|reloc| range.contains(&reloc.offset))
        {
            let at = (reloc.offset - range.start) as usize;
            let field = at..at + reloc.kind.width();
            let value = sign_extended(&running[field.clone()]);
            self.reference(symbol, definition, reloc, address, value, queue)?;
            expected[field.clone()].fill(0);
            running[field].fill(0);
        }
        if let Some(offset) = expected.iter().zip(&running).position(|(a, b)| a != b) {
            return Err(self.differs(symbol, address, offset as u64));
        }
        if self.wanted.contains(&symbol) {
            self.evidence.push(Evidence {
                symbol,
                via: Via::Direct,
                value: address.0,
            });
        }
        Ok(())
    }

    fn differs(&self, symbol: SymbolId, address: RunAddr, offset: u64) -> Difference {
        Difference::Constant {
            symbol: self.bundle.symbols[symbol.0].name.clone(),
            address,
            offset,
        }
    }

    /// Judges one field of a constant by where its running value leads.
    fn reference(
        &mut self,
        symbol: SymbolId,
        definition: Definition,
        reloc: &Reloc,
        address: RunAddr,
        value: i64,
        queue: &mut Vec<(SymbolId, RunAddr)>,
    ) -> Result<(), Difference> {
        let within = reloc.offset - definition.offset;
        // A field of a table of distances from the table's start: `.long .L5 - .Ltable` has the field's own
        // distance from that start in its addend (S + A - P).
        let (target, addend) = match reloc.kind.class() {
            Class::Absolute => (RunAddr(value.cast_unsigned()), reloc.addend),
            Class::PcRelative => (
                address.offset(value),
                reloc.addend.wrapping_sub_unsigned(within),
            ),
            _ => return Err(self.differs(symbol, address, within)),
        };
        if let Some(piece) = self.pieces.iter().find(|piece| piece.is(reloc.symbol)) {
            let expected = u64::try_from(addend)
                .ok()
                .and_then(|offset| piece.running_address(offset));
            return if expected == Some(target) {
                Ok(())
            } else {
                Err(self.differs(symbol, address, within))
            };
        }
        let start = target.offset(addend.wrapping_neg());
        match self.bundle.symbols[reloc.symbol.0].definition {
            Some(_) if self.bundle.is_old_constant(reloc.symbol) => {
                queue.push((reloc.symbol, start));
            }
            Some(_) => return Err(self.differs(symbol, address, within)),
            None => self.evidence.push(Evidence {
                symbol: reloc.symbol,
                via: Via::Direct,
                value: start.0,
            }),
        }
        Ok(())
    }
}

fn sign_extended(field: &[u8]) -> i64 {
    let negative = field.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut bytes = if negative { [0xff; 8] } else { [0; 8] };
    bytes[..field.len()].copy_from_slice(field);
    i64::from_le_bytes(bytes)
}
