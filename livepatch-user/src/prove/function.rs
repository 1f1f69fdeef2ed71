//! One function at one address.

use super::constants::Constants;
use super::{Evidence, Program};
use crate::memory::Unreadable;
use livepatch_bundle::{Bundle, Function, Names, RunAddr, SymbolId};
use livepatch_match::{Alignment, Code, Field, Mismatch, RefPair, Target, Via, align};
use std::collections::BTreeSet;
use thiserror::Error;

/// One piece of an old function, ready to be compared.
#[derive(Clone, Debug)]
pub(super) struct Piece<'a> {
    /// The old code's symbol, defined in the bundle.
    pub old: SymbolId,
    /// The running piece's symbol, undefined in the bundle.
    pub running: SymbolId,
    bytes: &'a [u8],
    fields: Vec<Field>,
}

impl<'a> Piece<'a> {
    /// Every piece of `function`; the bundle has been verified.
    pub(super) fn all(bundle: &'a Bundle, names: &Names<'_>, function: &Function) -> Vec<Self> {
        function
            .pieces
            .iter()
            .filter_map(|piece| Self::new(bundle, names, piece))
            .collect()
    }

    fn new(bundle: &'a Bundle, names: &Names<'_>, piece: &livepatch_bundle::Piece) -> Option<Self> {
        let old = names.get(&piece.old)?;
        let running = names.get(&piece.running)?;
        let definition = bundle.symbols[old.0].definition?;
        let section = &bundle.sections[definition.section.0];
        let range = definition.offset..definition.offset + definition.size;
        let fields = section
            .relocations
            .iter()
            .filter(|reloc| range.contains(&reloc.offset))
            .map(|reloc| Field {
                offset: reloc.offset - range.start,
                kind: reloc.kind,
                symbol: reloc.symbol.0 as u32,
                addend: reloc.addend,
                inside: reloc.symbol == old || reloc.symbol == running,
            })
            .collect();
        let bytes = bundle.contents(definition)?;
        Some(Self {
            old,
            running,
            bytes,
            fields,
        })
    }

    /// Length of the old code in bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// Where a piece was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PieceMatch {
    pub old: SymbolId,
    pub running: SymbolId,
    /// Where its code runs: an earlier patch's code where there is one.
    pub address: RunAddr,
    pub len: u64,
    instructions: Vec<(u64, u64)>,
}

impl PieceMatch {
    /// The running address of an instruction of the old code.
    pub(super) fn running_address(&self, old_offset: u64) -> Option<RunAddr> {
        let index = self
            .instructions
            .binary_search_by_key(&old_offset, |pair| pair.0)
            .ok()?;
        Some(RunAddr(self.address.0 + self.instructions[index].1))
    }

    /// Whether `symbol` names this piece, as old or as running code.
    pub(super) fn is(&self, symbol: SymbolId) -> bool {
        self.old == symbol || self.running == symbol
    }
}

/// A function that is what the bundle says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FunctionMatch {
    /// The entry in the module, where a jump would go.
    pub entry: RunAddr,
    pub pieces: Vec<PieceMatch>,
    pub evidence: Vec<Evidence>,
}

impl FunctionMatch {
    /// Where the function and its pieces are, as evidence like any other.
    pub(super) fn places(&self) -> impl Iterator<Item = Evidence> {
        self.pieces
            .iter()
            .enumerate()
            .map(|(index, piece)| Evidence {
                symbol: piece.running,
                via: Via::Direct,
                value: if index == 0 {
                    self.entry.0
                } else {
                    piece.address.0
                },
            })
    }
}

/// Why the code at an address is not the function.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Difference {
    /// The instructions differ.
    #[error(transparent)]
    Code(#[from] Mismatch),
    /// The bytes could not be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Not in executable memory of the module.
    #[error("{0} is not in the module's executable memory")]
    NotCode(RunAddr),
    /// Read-only data that the function uses differs.
    #[error("read-only data `{symbol}` at {address} differs at +{offset:#x}")]
    Constant {
        /// The bundle's symbol.
        symbol: String,
        /// Where the running code has it.
        address: RunAddr,
        /// The first byte that differs.
        offset: u64,
    },
    /// A reference that cannot be compared with the running one.
    #[error("the reference at +{at:#x} cannot be compared with the running code")]
    Unjudged {
        /// Offset of the instruction in its piece.
        at: u64,
    },
    /// A piece that was split off was not found.
    #[error("no reference leads to its piece `{0}`")]
    LostPiece(String),
    /// Two references disagree about where something is.
    #[error("references to `{symbol}` lead to {one} and to {other}")]
    Contradiction {
        /// The bundle's symbol.
        symbol: String,
        /// One address.
        one: RunAddr,
        /// Another one.
        other: RunAddr,
    },
}

/// Compares every piece of a function with the running code, the first one at `entry`. Where the constants among
/// `wanted` run is part of the evidence.
pub(super) fn match_function(
    bundle: &Bundle,
    program: &dyn Program,
    pieces: &[Piece<'_>],
    wanted: &BTreeSet<SymbolId>,
    entry: RunAddr,
) -> Result<FunctionMatch, Difference> {
    let mut matcher = Matcher {
        bundle,
        program,
        wanted,
        found: Vec::new(),
        references: Vec::new(),
    };
    let running = program.redirected(entry).unwrap_or(entry);
    for (index, piece) in pieces.iter().enumerate() {
        let address = if index == 0 {
            running
        } else {
            matcher.locate(piece)?
        };
        matcher.compare(piece, address)?;
    }
    let evidence = matcher.judge()?;
    Ok(FunctionMatch {
        entry,
        pieces: matcher.found,
        evidence,
    })
}

struct Matcher<'a> {
    bundle: &'a Bundle,
    program: &'a dyn Program,
    wanted: &'a BTreeSet<SymbolId>,
    found: Vec<PieceMatch>,
    /// References with the number of the piece that holds them.
    references: Vec<(usize, RefPair)>,
}

impl Matcher<'_> {
    fn compare(&mut self, piece: &Piece<'_>, address: RunAddr) -> Result<(), Difference> {
        let window = self.window(piece, address)?;
        let old = Code {
            bytes: piece.bytes,
            base: 0,
            fields: Some(&piece.fields),
        };
        let running = Code {
            bytes: &window,
            base: address.0,
            fields: None,
        };
        let Alignment {
            instructions,
            references,
            lengths,
        } = align(&old, &running)?;
        let number = self.found.len();
        self.references
            .extend(references.into_iter().map(|pair| (number, pair)));
        self.found.push(PieceMatch {
            old: piece.old,
            running: piece.running,
            address,
            len: lengths.1,
            instructions,
        });
        Ok(())
    }

    /// The running bytes, and as many more as different jump lengths and padding may need.
    fn window(&self, piece: &Piece<'_>, address: RunAddr) -> Result<Vec<u8>, Difference> {
        let end = self
            .program
            .executable_end(address)
            .ok_or(Difference::NotCode(address))?;
        let room = end.0 - address.0;
        let len = (piece.len() as u64 * 2 + 64).min(room);
        Ok(self.program.memory().read_vec(address, len as usize)?)
    }

    /// Where a split-off piece is: where a reference to its start leads, else where the symbol table has it.
    fn locate(&self, piece: &Piece<'_>) -> Result<RunAddr, Difference> {
        let start = self
            .references
            .iter()
            .find_map(|(_, pair)| match (pair.target, pair.other) {
                (Target::Symbol { symbol, offset: 0 }, Target::Address(address))
                    if SymbolId(symbol as usize) == piece.running
                        || SymbolId(symbol as usize) == piece.old =>
                {
                    Some(RunAddr(address))
                }
                _ => None,
            });
        let name = &self.bundle.symbols[piece.running.0].name;
        let named = || {
            let reference = self
                .bundle
                .manifest
                .references
                .iter()
                .find(|reference| reference.symbol == *name)?;
            match self.program.named(reference)[..] {
                [only] => Some(only),
                _ => None,
            }
        };
        start
            .or_else(named)
            .ok_or_else(|| Difference::LostPiece(name.clone()))
    }

    /// Sorts the references into checks of what the bundle holds and evidence about what it does not.
    fn judge(&self) -> Result<Vec<Evidence>, Difference> {
        let mut evidence = Vec::new();
        let mut constants = Constants::new(self.bundle, self.program, &self.found, self.wanted);
        for (number, pair) in &self.references {
            let Target::Address(value) = pair.other else {
                return Err(Difference::Unjudged { at: pair.at });
            };
            let (symbol, offset) = match pair.target {
                Target::Symbol { symbol, offset } => (SymbolId(symbol as usize), offset),
                // A recursive call through the PLT.
                Target::Inside(0) if pair.via == Via::Branch => {
                    let symbol = self.found[*number].running;
                    evidence.push(Evidence {
                        symbol,
                        via: pair.via,
                        value,
                    });
                    continue;
                }
                _ => return Err(Difference::Unjudged { at: pair.at }),
            };
            if let Some(piece) = self.found.iter().find(|piece| piece.is(symbol)) {
                self.check_inside(piece, offset, RunAddr(value))?;
            } else if self.bundle.is_old_constant(symbol) {
                let slot = pair.via == Via::GotSlot;
                let at = if slot {
                    self.program.memory().read_u64(RunAddr(value))?
                } else {
                    value
                };
                constants.check(symbol, RunAddr(at).offset(offset.wrapping_neg()))?;
            } else {
                let value = value.wrapping_sub(offset.cast_unsigned());
                evidence.push(Evidence {
                    symbol,
                    via: pair.via,
                    value,
                });
            }
        }
        evidence.extend(constants.into_evidence());
        Ok(evidence)
    }

    fn check_inside(
        &self,
        piece: &PieceMatch,
        offset: i64,
        value: RunAddr,
    ) -> Result<(), Difference> {
        let expected = u64::try_from(offset)
            .ok()
            .and_then(|offset| piece.running_address(offset));
        if expected == Some(value) {
            return Ok(());
        }
        let symbol = self.bundle.symbols[piece.running.0].name.clone();
        Err(Difference::Contradiction {
            symbol,
            one: expected.unwrap_or(piece.address),
            other: value,
        })
    }
}
