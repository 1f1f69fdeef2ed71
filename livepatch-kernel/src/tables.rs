//! The tables of kallsyms in a kernel's image (`scripts/kallsyms.c`), found without symbols.
//!
//! ```text
//! offsets        i32 per symbol: >= 0 an address itself (per-CPU), < 0 relative_base - 1 - offset
//! relative_base  u64
//! num_syms       u32
//! names          per symbol: its length (one byte, or two when the first has bit 7), then that many tokens
//! markers        u32 per 256 symbols: where their names begin in `names`
//! seqs_of_names  from 6.2 on: 3 bytes per symbol; not used here
//! token_table    256 strings with a zero byte each
//! token_index    u16 per token: where it begins in `token_table`
//! ```
//!
//! Each table begins at a multiple of 8. From 6.4 on `offsets`, `relative_base` and `seqs_of_names` come last. The tokens of the ten digits are
//! the digits themselves, side by side, which gives `token_table` away; the others lie around it.

use crate::image::{Image, ImageError};
use crate::kallsyms::KernelSymbol;
use memchr::memmem;
use thiserror::Error;

/// Why symbols cannot be read out of an image.
#[derive(Debug, Error)]
pub enum TablesError {
    /// Without the section that holds them.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Not there, or not as known.
    #[error("the kernel's symbol table was not found in its image: {0}")]
    NotFound(&'static str),
}

const TOKENS: usize = 256;
/// Symbols per marker.
const GROUP: usize = 256;
/// More than all names of 256 symbols take.
const GROUP_BYTES: usize = 256 * 1024;
const ALIGN: usize = 8;
/// More than the positions by name take: three bytes each.
const SEQUENCES_MAX: usize = 3 << 20;

/// All symbols in the table's order, and where the name of each begins, in bytes from the first.
pub(crate) fn decode(image: &Image) -> Result<(Vec<KernelSymbol>, Vec<usize>), TablesError> {
    let (_, data) = image.section(".rodata")?;
    let tokens = Tokens::find(data)?;
    let names = Names::find(data, tokens.start)?;
    let places = Places::find(data, &names, tokens.end)?;
    let mut at = names.start;
    let mut symbols = Vec::with_capacity(names.count);
    let mut begins = Vec::with_capacity(names.count);
    for index in 0..names.count {
        let (text, next) = tokens
            .name(data, at)
            .ok_or(TablesError::NotFound("a name is malformed"))?;
        let mut chars = text.chars();
        let kind = chars.next();
        symbols.push(KernelSymbol {
            kind: kind.ok_or(TablesError::NotFound("a name is empty"))?,
            name: chars.as_str().to_owned(),
            address: places.address(data, index),
            module: None,
        });
        begins.push(at - names.start);
        at = next;
    }
    Ok((symbols, begins))
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

pub(crate) struct Tokens {
    /// Where the table begins.
    start: usize,
    /// Behind the index.
    end: usize,
    texts: Vec<String>,
}

impl Tokens {
    fn find(data: &[u8]) -> Result<Self, TablesError> {
        let digits: Vec<u8> = (b'0'..=b'9').flat_map(|digit| [digit, 0]).collect();
        let found = memmem::find_iter(data, &digits).find_map(|zero| Self::around(data, zero));
        found.ok_or(TablesError::NotFound("no table of tokens"))
    }

    /// The table whose token `0` is at `zero`, if there is one.
    fn around(data: &[u8], zero: usize) -> Option<Self> {
        // The longest token has some 30 bytes.
        let ends = zero..data.len().min(zero + TOKENS * 64);
        let candidates = ends.filter(|at| at.is_multiple_of(ALIGN / 2));
        candidates
            .into_iter()
            .find_map(|index| Self::with_index(data, zero, index))
    }

    fn with_index(data: &[u8], zero: usize, index: usize) -> Option<Self> {
        let offsets = token_offsets(data, index)?;
        let start = zero.checked_sub(offsets[usize::from(b'0')])?;
        Self::between(data, start, index)
    }

    /// The table from `start` on whose index is at `index`.
    pub(crate) fn between(data: &[u8], start: usize, index: usize) -> Option<Self> {
        let offsets = token_offsets(data, index)?;
        let text = |offset: &usize| {
            let rest = data.get(start.checked_add(*offset)?..index)?;
            let end = rest.iter().position(|byte| *byte == 0)?;
            String::from_utf8(rest[..end].to_vec()).ok()
        };
        let texts: Vec<String> = offsets.iter().map(text).collect::<Option<_>>()?;
        let close = texts
            .iter()
            .zip(offsets.windows(2))
            .all(|(text, pair)| pair[0] + text.len() + 1 == pair[1]);
        let end = start + offsets[TOKENS - 1] + texts[TOKENS - 1].len() + 1;
        (close && end.next_multiple_of(ALIGN) >= index).then_some(Self {
            start,
            end: index + TOKENS * 2,
            texts,
        })
    }

    /// The text of a token.
    pub(crate) fn text(&self, token: u8) -> &str {
        &self.texts[usize::from(token)]
    }

    /// The name at `at` with its kind before it, and where the next one is.
    pub(crate) fn name(&self, data: &[u8], at: usize) -> Option<(String, usize)> {
        let (len, at) = length(data, at)?;
        let next = at.checked_add(len)?;
        let tokens = data.get(at..next)?;
        let text = tokens.iter().map(|token| self.text(*token));
        Some((text.collect(), next))
    }
}

/// Where each token begins, by the index at `index`: ascending from 0.
fn token_offsets(data: &[u8], index: usize) -> Option<Vec<usize>> {
    let bytes = data.get(index..index.checked_add(TOKENS * 2)?)?;
    let offsets: Vec<usize> = bytes
        .chunks_exact(2)
        .map(|two| usize::from(u16::from_le_bytes([two[0], two[1]])))
        .collect();
    let ascending = offsets[0] == 0 && offsets.windows(2).all(|pair| pair[0] < pair[1]);
    ascending.then_some(offsets)
}

/// The number of tokens of the name at `at`, and where they begin.
pub(crate) fn length(data: &[u8], at: usize) -> Option<(usize, usize)> {
    let first = usize::from(*data.get(at)?);
    if first & 0x80 == 0 {
        return Some((first, at + 1));
    }
    let second = usize::from(*data.get(at + 1)?);
    Some((first & 0x7f | second << 7, at + 2))
}

struct Names {
    start: usize,
    count: usize,
    /// Where the number of symbols is.
    number: usize,
}

impl Names {
    /// The names whose markers lie before `tokens`, at once or behind the positions by name.
    fn find(data: &[u8], tokens: usize) -> Result<Self, TablesError> {
        let ends = (tokens.saturating_sub(SEQUENCES_MAX)..=tokens).rev();
        let mut ends = ends.filter(|end| end.is_multiple_of(4));
        let found = ends.find_map(|end| Self::before(data, end));
        found.ok_or(TablesError::NotFound("no markers before the tokens"))
    }

    /// The names whose markers end at `end`.
    fn before(data: &[u8], end: usize) -> Option<Self> {
        let (start, markers) = markers(data, end)?;
        let latest = start.checked_sub(*markers.last()?)?;
        let earliest = latest.saturating_sub(GROUP_BYTES);
        let mut candidates = (earliest..=latest).rev().filter(|at| at.is_multiple_of(4));
        candidates.find_map(|at| {
            let number = at.checked_sub(ALIGN)?;
            let count = usize::try_from(u32_at(data, number)?).ok()?;
            let plausible = count.div_ceil(GROUP) == markers.len();
            (plausible && agree(data, at, count, &markers)).then_some(Self {
                start: at,
                count,
                number,
            })
        })
    }
}

/// The markers before `end`: where they begin, and their values, ascending from 0.
fn markers(data: &[u8], end: usize) -> Option<(usize, Vec<usize>)> {
    let mut markers = Vec::new();
    let mut at = end;
    loop {
        at = at.checked_sub(4)?;
        let value = u32_at(data, at)? as usize;
        match markers.last() {
            // Padding.
            None if value == 0 && end - at < ALIGN => {}
            None => markers.push(value),
            Some(later) if value >= *later => return None,
            Some(_) => markers.push(value),
        }
        if value == 0 && !markers.is_empty() {
            markers.reverse();
            return Some((at, markers));
        }
    }
}

/// Whether the names from `start` on lie as the markers say.
fn agree(data: &[u8], start: usize, count: usize, markers: &[usize]) -> bool {
    let mut at = start;
    for index in 0..count {
        if index.is_multiple_of(GROUP) && markers[index / GROUP] != at - start {
            return false;
        }
        let next = length(data, at).and_then(|(len, at)| at.checked_add(len));
        match next.filter(|next| *next <= data.len()) {
            Some(next) if next > at + 1 => at = next,
            _ => return false,
        }
    }
    true
}

struct Places {
    offsets: usize,
    base: u64,
}

impl Places {
    fn find(data: &[u8], names: &Names, end: usize) -> Result<Self, TablesError> {
        let size = (names.count * 4).next_multiple_of(ALIGN);
        let before = names.number.checked_sub(ALIGN);
        let before = before.and_then(|base| Self::at(data, base.checked_sub(size)?, base, names));
        let after = || {
            let offsets = end.next_multiple_of(ALIGN);
            Self::at(data, offsets, offsets.checked_add(size)?, names)
        };
        let found = before.or_else(after);
        found.ok_or(TablesError::NotFound("no addresses"))
    }

    /// Addresses at these places, if they ascend, apart from those of per-CPU variables, and begin in the kernel's half.
    fn at(data: &[u8], offsets: usize, base: usize, names: &Names) -> Option<Self> {
        let (low, high) = (u32_at(data, base)?, u32_at(data, base.checked_add(4)?)?);
        let base = u64::from(high) << 32 | u64::from(low);
        data.get(offsets..offsets.checked_add(names.count.checked_mul(4)?)?)?;
        let places = Self { offsets, base };
        let own = (0..names.count).map(|index| places.address(data, index));
        let own: Vec<u64> = own.filter(|address| *address >= base).collect();
        let sound = base >> 63 == 1
            && own.len() > names.count / 2
            && own.windows(2).all(|pair| pair[0] <= pair[1]);
        sound.then_some(places)
    }

    /// The address of a symbol; `index` is below the count that was checked.
    fn address(&self, data: &[u8], index: usize) -> u64 {
        let offset = u32_at(data, self.offsets + index * 4).unwrap_or_default();
        address(self.base, offset)
    }
}

/// The address that an entry of `offsets` stands for.
pub(crate) fn address(base: u64, offset: u32) -> u64 {
    match offset.cast_signed() {
        absolute @ 0.. => u64::from(absolute.cast_unsigned()),
        relative => base
            .wrapping_sub(1)
            .wrapping_sub(i64::from(relative).cast_unsigned()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn aligned(data: &mut Vec<u8>) {
        data.resize(data.len().next_multiple_of(ALIGN), 0);
    }

    /// Tables of `count` symbols `Tsym`, but for the second, `T_stext`, with one-letter tokens.
    pub(crate) fn tables(count: usize, offsets_last: bool) -> Vec<u8> {
        let mut offsets = Vec::new();
        for index in 0..count {
            offsets.extend_from_slice(&(-1 - 16 * index as i32).to_le_bytes());
        }
        aligned(&mut offsets);
        offsets.extend_from_slice(&0xffff_ffff_8100_0000_u64.to_le_bytes());
        let mut data = vec![0xaa; 64];
        if !offsets_last {
            data.extend_from_slice(&offsets);
        }
        data.extend_from_slice(&(count as u64).to_le_bytes());
        let start = data.len();
        let mut markers = Vec::new();
        for index in 0..count {
            if index % GROUP == 0 {
                markers.extend_from_slice(&((data.len() - start) as u32).to_le_bytes());
            }
            data.extend_from_slice(if index == 1 {
                b"\x07T_stext"
            } else {
                b"\x04Tsym"
            });
        }
        aligned(&mut data);
        data.extend_from_slice(&markers);
        aligned(&mut data);
        let (mut table, mut index) = (Vec::new(), Vec::new());
        for token in 0..=255_u8 {
            index.extend_from_slice(&(table.len() as u16).to_le_bytes());
            let text = if token.is_ascii_graphic() {
                token
            } else {
                b'?'
            };
            table.extend_from_slice(&[text, 0]);
        }
        data.extend_from_slice(&table);
        data.extend_from_slice(&index);
        if offsets_last {
            data.extend_from_slice(&offsets);
        }
        data.extend_from_slice(&[0xaa; 64]);
        data
    }

    /// Where in the data each table is, by the name that the kernel has for it.
    pub(crate) fn placed(data: &[u8]) -> [(&'static str, usize); 6] {
        let tokens = Tokens::find(data).expect("tokens");
        let names = Names::find(data, tokens.start).expect("names");
        let places = Places::find(data, &names, tokens.end).expect("addresses");
        let base = places.offsets + (names.count * 4).next_multiple_of(ALIGN);
        [
            ("names", names.start),
            ("num_syms", names.number),
            ("token_table", tokens.start),
            ("token_index", tokens.end - TOKENS * 2),
            ("offsets", places.offsets),
            ("relative_base", base),
        ]
    }

    #[test]
    fn both_orders_of_tables_are_read() {
        for offsets_last in [false, true] {
            let data = tables(600, offsets_last);
            let tokens = Tokens::find(&data).expect("tokens");
            let names = Names::find(&data, tokens.start).expect("names");
            assert_eq!(names.count, 600);
            let places = Places::find(&data, &names, tokens.end).expect("addresses");
            assert_eq!(places.address(&data, 2), 0xffff_ffff_8100_0020);
            let name = tokens.name(&data, names.start).expect("a name");
            assert_eq!(name.0, "Tsym");
        }
    }

    #[test]
    fn cut_off_tables_are_not_found() {
        let data = tables(600, true);
        for end in (0..data.len() - 64).step_by(97) {
            let cut = &data[..end];
            let found = Tokens::find(cut).and_then(|tokens| {
                let names = Names::find(cut, tokens.start)?;
                Places::find(cut, &names, tokens.end)
            });
            assert!(found.is_err(), "cut off at {end:#x}");
        }
    }
}
