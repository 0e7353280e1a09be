//! A small generator (xorshift), so that a printed seed repeats a run's choices.

/// Seeded by its number, which must not be 0.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// 0 to one less than `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}
