//! The GNU hash table of dynamic symbols (`DT_GNU_HASH`), walked in memory.
//!
//! ```text
//! u32 buckets, first hashed symbol, filter words, filter shift
//! u64 filter[filter words]      a Bloom filter: two bits per name
//! u32 bucket[buckets]           the first symbol of each chain
//! u32 chain[]                   one hash per symbol from the first hashed on; bit 0 ends a chain
//! ```

use super::dynamic::DT_GNU_HASH;
use super::image::Image;
use super::table::Index;
use livepatch_bundle::RunAddr;
use scroll::{LE, Pread};

/// Hashes that are read at a time: chains are short.
const CHUNK: u64 = 16;
/// Longer chains are searched so far only.
const MAX_CHAIN: u64 = 1 << 16;

/// Where the parts of the table lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GnuHash {
    buckets: u32,
    first: u32,
    filter_words: u32,
    shift: u32,
    filter: RunAddr,
    bucket: RunAddr,
    chain: RunAddr,
}

/// djb2.
pub(super) fn gnu_hash(name: &[u8]) -> u32 {
    name.iter().fold(5381, |hash: u32, &byte| {
        hash.wrapping_mul(33).wrapping_add(u32::from(byte))
    })
}

impl GnuHash {
    pub(super) fn read(image: &Image<'_>) -> Option<Self> {
        let table = image.pointer(DT_GNU_HASH)?;
        let header = image.table(table, 16)?;
        let [buckets, first, filter_words, shift] =
            [0, 4, 8, 12].map(|at| header.pread_with::<u32>(at, LE).ok());
        let (buckets, filter_words) = (buckets?, filter_words?);
        let filter = table.0.checked_add(16)?;
        let bucket = filter.checked_add(u64::from(filter_words) * 8)?;
        let chain = bucket.checked_add(u64::from(buckets) * 4)?;
        Some(Self {
            buckets,
            first: first?,
            filter_words,
            shift: shift? % 32,
            filter: RunAddr(filter),
            bucket: RunAddr(bucket),
            chain: RunAddr(chain),
        })
    }

    /// The symbols whose names have the hash of this one; nearly always none, or the one.
    pub(super) fn candidates(&self, image: &Image<'_>, name: &[u8]) -> Vec<Index> {
        let hash = gnu_hash(name);
        if self.may_have(image, hash) == Some(false) {
            return Vec::new();
        }
        self.chain_of(image, hash).unwrap_or_default()
    }

    fn may_have(&self, image: &Image<'_>, hash: u32) -> Option<bool> {
        let index = (hash / 64).checked_rem(self.filter_words)?;
        let word = image.word(RunAddr(self.filter.0 + u64::from(index) * 8))?;
        let bits = [hash, hash >> self.shift].map(|hash| word >> (hash % 64) & 1);
        Some(bits == [1, 1])
    }

    fn chain_of(&self, image: &Image<'_>, hash: u32) -> Option<Vec<Index>> {
        let index = u64::from(hash.checked_rem(self.buckets)?);
        let bucket = image.table(RunAddr(self.bucket.0 + index * 4), 4)?;
        let first: u32 = bucket.pread_with(0, LE).ok()?;
        let mut found = Vec::new();
        let walk = |symbol: u32, this: u32| {
            if this | 1 == hash | 1 {
                found.push(symbol);
            }
        };
        self.walk(image, first, MAX_CHAIN, walk)?;
        Some(found)
    }

    /// How many symbols there are: up to the end of the last chain.
    pub(super) fn symbol_count(&self, image: &Image<'_>) -> Option<u64> {
        let starts = image.table(self.bucket, u64::from(self.buckets) * 4)?;
        let starts = starts
            .chunks_exact(4)
            .filter_map(|start| start.pread_with(0, LE).ok());
        let last: u32 = starts.max()?;
        if last < self.first {
            return Some(u64::from(self.first));
        }
        let mut end = last;
        self.walk(image, last, MAX_CHAIN, |symbol, _| end = symbol)?;
        Some(u64::from(end) + 1)
    }

    /// Calls `visit` with each symbol of the chain that begins with `symbol`, and its hash. `None` when the
    /// chain leads out of the image.
    fn walk(
        &self,
        image: &Image<'_>,
        symbol: u32,
        limit: u64,
        mut visit: impl FnMut(u32, u32),
    ) -> Option<()> {
        let Some(offset) = symbol.checked_sub(self.first) else {
            // An empty bucket holds 0.
            return Some(());
        };
        let mut at = RunAddr(self.chain.0.checked_add(u64::from(offset) * 4)?);
        let mut symbol = symbol;
        for _ in 0..limit.div_ceil(CHUNK) {
            let len = image.mapped_from(at, CHUNK * 4) & !3;
            let hashes = image.table(at, len).filter(|hashes| !hashes.is_empty())?;
            for hash in hashes.chunks_exact(4) {
                let hash: u32 = hash.pread_with(0, LE).ok()?;
                visit(symbol, hash);
                if hash & 1 == 1 {
                    return Some(());
                }
                symbol = symbol.checked_add(1)?;
            }
            at = RunAddr(at.0 + len);
        }
        Some(())
    }
}
