//! Randomness that is the same everywhere: splitmix64.
//!
//! Owns the formula. Invariant: no clock, no system randomness.

/// splitmix64: one step of the generator whose state is `z`.
fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number below `n` from 64 random bits.
fn scale(bits: u64, n: u64) -> u64 {
    u64::try_from((u128::from(bits) * u128::from(n)) >> 64).unwrap_or(0)
}

/// The randomness of one cell.
#[derive(Clone, Copy)]
pub(super) struct Draw {
    seed: u64,
    row: u64,
    column: u64,
}

impl Draw {
    /// The randomness of that cell.
    pub(super) fn new(seed: u64, row: u64, column: u64) -> Self {
        Self { seed, row, column }
    }
    fn bits(self) -> u64 {
        mix(self.seed ^ mix(self.row.wrapping_mul(64).wrapping_add(self.column)))
    }
    /// Uniform below `n`.
    pub(super) fn below(self, n: u64) -> u64 {
        scale(self.bits(), n)
    }
    /// Uniform from 0 to 1.
    fn unit(self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
    /// Below `n`, small ones more often.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "u² n is below n, and not negative")]
    pub(super) fn skewed(self, n: u64) -> u64 {
        let u = self.unit();
        (u * u * n as f64) as u64
    }
    /// Below `n`, small ones more often still.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "u³ n is below n, and not negative")]
    pub(super) fn skewed_more(self, n: u64) -> u64 {
        let u = self.unit();
        (u * u * u * n as f64) as u64
    }
    /// True for `share` percent of the rows; drawn apart from the value.
    pub(super) fn percent(self, share: u64) -> bool {
        Self { column: self.column + 32, ..self }.below(100) < share
    }
}

/// Random numbers for the load: which end user, which value. Reproducible, like all else here.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// A sequence of its own for each `stream`.
    #[must_use]
    pub(super) fn new(stream: u64) -> Self {
        Self(mix(mix(stream)))
    }
    /// The next number below `n`.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        scale(mix(self.0), n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_cover_their_range_and_differ_by_stream() {
        let mut random = Random::new(1);
        let mut seen = [0_u32; 10];
        for _ in 0..10_000 {
            seen[usize::try_from(random.below(10)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|&n| (850..1150).contains(&n)), "{seen:?}");
        assert_ne!(Random::new(1).below(u64::MAX), Random::new(2).below(u64::MAX));
    }
}
