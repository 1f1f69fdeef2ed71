//! Numbers that only look random: the same seed gives the same ones on every machine.

/// A generator (xorshift64*, Vigna 2016).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Seeds near each other shall not give numbers near each other, and zero would stay zero.
        Self((seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1)
    }

    /// The next number.
    fn step(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        ((self.step() >> 32) as usize) % bound
    }

    /// One of `items`, which are not empty.
    pub fn pick<'i, T>(&mut self, items: &'i [T]) -> &'i T {
        &items[self.below(items.len())]
    }

    /// Whether something happens that happens once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// `count` of the items, or all, in their order.
    pub fn sample<T>(&mut self, items: Vec<T>, count: usize) -> Vec<T> {
        let (mut left, mut wanted) = (items.len(), count);
        let mut taken = Vec::new();
        for item in items {
            if wanted > 0 && self.below(left) < wanted {
                wanted -= 1;
                taken.push(item);
            }
            left -= 1;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_as_many_as_it_should() {
        let mut random = Random::new(7);
        for count in 0..12 {
            let taken = random.sample((0..10).collect(), count);
            assert_eq!(taken.len(), count.min(10));
            assert!(taken.is_sorted());
        }
    }
}
