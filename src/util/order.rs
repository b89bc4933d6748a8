//! Floats as integers of the same order, so that extremes can be kept by integer atomics.

/// An integer that is ordered as the value is; -0 comes before 0.
#[inline(always)]
pub(crate) fn key_of(value: f64) -> i64 {
    flip(value.to_bits().cast_signed())
}

/// The value of a key.
#[inline(always)]
pub(crate) fn value_of(key: i64) -> f64 {
    f64::from_bits(flip(key).cast_unsigned())
}

/// Negative floats count downwards in their magnitude bits; its own inverse.
#[inline(always)]
fn flip(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_the_order_of_values() {
        let values = [
            f64::NEG_INFINITY,
            f64::MIN,
            -1.0,
            -f64::MIN_POSITIVE,
            -5e-324,
            -0.0,
            0.0,
            5e-324,
            1.0,
            f64::MAX,
            f64::INFINITY,
        ];
        for pair in values.windows(2) {
            assert!(key_of(pair[0]) < key_of(pair[1]), "{pair:?}");
        }
        for value in values {
            assert_eq!(value_of(key_of(value)).to_bits(), value.to_bits());
        }
    }
}
