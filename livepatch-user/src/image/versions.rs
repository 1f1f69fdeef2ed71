//! Symbol versions (LSB Core, "Symbol Versioning").

use super::table::without_version;
use scroll::{LE, Pread};
use std::collections::HashMap;

const HIDDEN: u16 = 0x8000;
/// More versions than any index can name.
const MAX_RECORDS: usize = 1 << 15;

/// The version of one symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version<'a> {
    /// Its name; `None` for the base version and for objects without versions.
    pub(super) name: Option<&'a str>,
    /// `sym@@VERSION`: what a link without a version chooses.
    pub(super) default: bool,
}

impl<'a> Version<'a> {
    /// The version in a name as GNU ld writes it to `.symtab`: `name@V1`, or `name@@V2` for the default.
    pub(super) fn of_name(name: &'a [u8]) -> Self {
        let start = name.len().min(without_version(name).len() + 1);
        let suffix = std::str::from_utf8(&name[start..]).unwrap_or_default();
        let bare = suffix.strip_prefix('@');
        Self {
            name: Some(bare.unwrap_or(suffix)).filter(|version| !version.is_empty()),
            default: suffix.is_empty() || bare.is_some(),
        }
    }
}

/// The versions of the symbols of one image.
#[derive(Clone, Debug, Default)]
pub(super) struct Versions {
    by_symbol: Vec<u16>,
    names: HashMap<u16, String>,
}

impl Versions {
    /// Decodes `DT_VERSYM`, `DT_VERDEF` and `DT_VERNEED`; `string` reads from `DT_STRTAB`.
    pub(super) fn parse(
        versym: &[u8],
        definitions: &[u8],
        needs: &[u8],
        string: &dyn Fn(u64) -> String,
    ) -> Self {
        let words = versym.chunks_exact(2);
        let by_symbol = words.filter_map(|word| word.pread_with(0, LE).ok());
        let mut versions = Self {
            by_symbol: by_symbol.collect(),
            names: HashMap::new(),
        };
        versions.add_definitions(definitions, string);
        versions.add_needs(needs, string);
        versions
    }

    /// `Elfxx_Verdef`: flags at 2, index at 4, first name at 12, next at 16; its `Verdaux`: name at 0.
    fn add_definitions(&mut self, bytes: &[u8], string: &dyn Fn(u64) -> String) {
        let mut at = 0;
        for _ in 0..MAX_RECORDS {
            let (Some(flags), Some(index)) = (half(bytes, at + 2), half(bytes, at + 4)) else {
                return;
            };
            let name = word(bytes, at + 12).and_then(|aux| word(bytes, at + aux as usize));
            const BASE: u16 = 1;
            if let (Some(name), 0) = (name, flags & BASE) {
                self.names.insert(index & !HIDDEN, string(u64::from(name)));
            }
            match word(bytes, at + 16) {
                Some(next) if next > 0 => at += next as usize,
                _ => return,
            }
        }
    }

    /// `Elfxx_Verneed`: count at 2, first at 8, next at 12; its `Vernaux`: index at 6, name at 8, next at 12.
    fn add_needs(&mut self, bytes: &[u8], string: &dyn Fn(u64) -> String) {
        let mut at = 0;
        let mut left = MAX_RECORDS;
        while let (Some(first), Some(next)) = (word(bytes, at + 8), word(bytes, at + 12)) {
            let mut aux = at + first as usize;
            while let (Some(index), Some(name)) = (half(bytes, aux + 6), word(bytes, aux + 8)) {
                left -= 1;
                self.names.insert(index & !HIDDEN, string(u64::from(name)));
                match word(bytes, aux + 12) {
                    Some(next) if next > 0 && left > 0 => aux += next as usize,
                    _ => break,
                }
            }
            left = left.saturating_sub(1);
            if next == 0 || left == 0 {
                return;
            }
            at += next as usize;
        }
    }

    /// The version of a symbol. Indices 0 (local) and 1 (global) have no name; one without a record has a name
    /// that no reference asks for.
    pub(super) fn of(&self, symbol: u32) -> Version<'_> {
        let Some(&index) = self.by_symbol.get(symbol as usize) else {
            return Version {
                name: None,
                default: true,
            };
        };
        let name = self.names.get(&(index & !HIDDEN)).map(String::as_str);
        let named = index & !HIDDEN > 1;
        Version {
            name: name.or(named.then_some("")),
            default: index & HIDDEN == 0,
        }
    }
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.pread_with(at, LE).ok()
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.pread_with(at, LE).ok()
}
