//! The dice: a generator for each thread.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
};

thread_local! {
    /// Zero: not seeded yet. Without a destructor, so that others may use it.
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// `n`, once in `n` calls, by chance.
#[inline]
#[must_use]
pub fn chosen(n: u32) -> Option<u32> {
    is_chosen(random(), n).then_some(n)
}

/// Of all `random`, one in `n`; off by less than `n` in 2^64.
#[inline]
fn is_chosen(random: u64, n: u32) -> bool {
    (u128::from(random) * u128::from(n)) >> 64 == 0
}

/// The next number of this thread's wyrand sequence.
#[inline]
fn random() -> u64 {
    let mut state = STATE.get();
    if state == 0 {
        state = seed();
    }
    state = state.wrapping_add(0xa076_1d64_78bd_642f);
    STATE.set(state);
    let product = u128::from(state) * u128::from(state ^ 0xe703_7ed1_a0b4_28db);
    fold(product)
}

/// Both halves of a product.
#[expect(
    clippy::cast_possible_truncation,
    reason = "each half is taken by itself"
)]
fn fold(product: u128) -> u64 {
    (product >> 64) as u64 ^ product as u64
}

/// From the operating system, by way of the standard library's maps.
#[cold]
fn seed() -> u64 {
    RandomState::new().hash_one(0).max(1)
}

/// Makes what follows on this thread repeatable.
#[cfg(test)]
pub(super) fn seed_with(seed: u64) {
    STATE.set(seed.max(1));
}
