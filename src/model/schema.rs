//! Finds the base-2 exponential bucket of a value, exactly at every bound, by a table lookup.
//!
//! A schema `s` in `0..=8` divides each power of two into `2^s` buckets. Bucket `k` holds `(base^k,
//! base^(k+1)]` with `base = 2^(2^-s)`: the index of an OpenTelemetry exponential histogram; a
//! Prometheus native histogram calls it `k + 1`. Bounds are compared as integers. Logarithms are
//! slower, and wrong for many of the values next to a bound.

/// A signed bucket: 0 holds zeros and subnormals, `1..=(2046 << s) + 1` the positive buckets
/// upwards from the smallest normal value, and the negated codes mirror them for negative values.
/// Ascending codes are ascending values.
pub(crate) type Code = i32;

/// Bits of a float's stored mantissa.
const MANTISSA_BITS: u32 = 52;
/// Significand of 1.0: the implicit bit above the mantissa.
const ONE: u64 = 1 << MANTISSA_BITS;
/// Selects the stored mantissa from a float's bits.
const MANTISSA: u64 = ONE - 1;
/// Bits of the positive infinity. Those of the normal positive values are from `ONE` on, which are
/// the smallest's, up to it.
const INFINITY: u64 = 0x7ff << MANTISSA_BITS;
/// The finest schema, which `BOUNDS` is written for.
/// The finest schema that there is.
pub(crate) const FINEST: u8 = 8;

/// Significands of the lower bounds within one octave at schema 8: `floor(2^52 * 2^(j / 256))`,
/// thus in `2^52..2^53`. Only the first is exact; the others are irrational, so a significand is
/// above the true bound just if it is above its floor. Coarser schemas take every `2^(8 - s)`-th.
#[rustfmt::skip] // Four to a line instead of one.
static BOUNDS: [u64; 256] = [
    0x0010_0000_0000_0000, 0x0010_0b1a_fa5a_bcbe, 0x0010_163d_a9fb_3335, 0x0010_2168_143b_0280,
    0x0010_2c9a_3e77_8060, 0x0010_37d4_2e11_bbcc, 0x0010_4315_e86e_7f84, 0x0010_4e5f_72f6_54b1,
    0x0010_59b0_d315_8574, 0x0010_650a_0e3c_1f88, 0x0010_706b_29dd_f6dd, 0x0010_7bd4_2b72_a836,
    0x0010_8745_1875_9bc8, 0x0010_92bd_f666_07df, 0x0010_9e3e_cac6_f383, 0x0010_a9c7_9b1f_3919,
    0x0010_b558_6cf9_890f, 0x0010_c0f1_45e4_6c85, 0x0010_cc92_2b72_47f7, 0x0010_d83b_2339_5deb,
    0x0010_e3ec_32d3_d1a2, 0x0010_efa5_5fdf_a9c4, 0x0010_fb66_affe_d31a, 0x0011_0730_28d7_233e,
    0x0011_1301_d012_5b50, 0x0011_1edb_ab5e_2ab5, 0x0011_2abd_c06c_31cb, 0x0011_36a8_14f2_04aa,
    0x0011_429a_aea9_2ddf, 0x0011_4e95_934f_312d, 0x0011_5a98_c8a5_8e51, 0x0011_66a4_5471_c3c2,
    0x0011_72b8_3c7d_517a, 0x0011_7ed4_8695_bbc0, 0x0011_8af9_388c_8de9, 0x0011_9726_5837_5d2f,
    0x0011_a35b_eb6f_cb75, 0x0011_af99_f813_8a1c, 0x0011_bbe0_8404_5cd3, 0x0011_c82f_9528_1c6b,
    0x0011_d487_3168_b9aa, 0x0011_e0e7_5eb4_4026, 0x0011_ed50_22fc_d91c, 0x0011_f9c1_8438_ce4c,
    0x0012_063b_8862_8cd6, 0x0012_12be_3578_a819, 0x0012_1f49_917d_dc96, 0x0012_2bdd_a279_12d1,
    0x0012_387a_6e75_6238, 0x0012_451f_fb82_140a, 0x0012_51ce_4fb2_a63f, 0x0012_5e85_711e_ce75,
    0x0012_6b45_65e2_7cdd, 0x0012_780e_341d_df29, 0x0012_84df_e1f5_6380, 0x0012_91ba_7591_bb6f,
    0x0012_9e9d_f51f_dee1, 0x0012_ab8a_66d1_0f12, 0x0012_b87f_d0da_d98f, 0x0012_c57e_3977_1b2e,
    0x0012_d285_a6e4_030b, 0x0012_df96_1f64_1589, 0x0012_ecaf_a93e_2f56, 0x0012_f9d2_4abd_886a,
    0x0013_06fe_0a31_b715, 0x0013_1432_edee_b2fd, 0x0013_2170_fc4c_d831, 0x0013_2eb8_3ba8_ea31,
    0x0013_3c08_b264_16ff, 0x0013_4962_66e3_fa2c, 0x0013_56c5_5f92_9ff0, 0x0013_6431_a2de_883a,
    0x0013_71a7_373a_a9ca, 0x0013_7f26_231e_7549, 0x0013_8cae_6d05_d865, 0x0013_9a40_1b71_40ee,
    0x0013_a7db_34e5_9ff6, 0x0013_b57f_bfec_6cf4, 0x0013_c32d_c313_a8e4, 0x0013_d0e5_44ed_e173,
    0x0013_dea6_4c12_3422, 0x0013_ec70_df1c_5174, 0x0013_fa45_04ac_801b, 0x0014_0822_c367_a024,
    0x0014_160a_21f7_2e29, 0x0014_23fb_2709_4689, 0x0014_31f5_d950_a896, 0x0014_3ffa_3f84_b9d4,
    0x0014_4e08_6061_892d, 0x0014_5c20_42a7_d231, 0x0014_6a41_ed1d_0057, 0x0014_786d_668b_3236,
    0x0014_86a2_b5c1_3cd0, 0x0014_94e1_e192_aed1, 0x0014_a32a_f0d7_d3de, 0x0014_b17d_ea6d_b7d6,
    0x0014_bfda_d536_2a27, 0x0014_ce41_b817_c114, 0x0014_dcb2_99fd_dd0d, 0x0014_eb2d_81d8_abfe,
    0x0014_f9b2_769d_2ca6, 0x0015_0841_7f45_31ee, 0x0015_16da_a2cf_6641, 0x0015_257d_e83f_4eee,
    0x0015_342b_569d_4f81, 0x0015_42e2_f4f6_ad27, 0x0015_51a4_ca5d_920e, 0x0015_6070_dde9_10d1,
    0x0015_6f47_36b5_27da, 0x0015_7e27_dbe2_c4ce, 0x0015_8d12_d497_c7fd, 0x0015_9c08_27ff_07cb,
    0x0015_ab07_dd48_5429, 0x0015_ba11_fba8_7a02, 0x0015_c926_8a59_46b7, 0x0015_d845_9099_8b92,
    0x0015_e76f_15ad_2148, 0x0015_f6a3_20dc_eb70, 0x0016_05e1_b976_dc08, 0x0016_152a_e6cd_f6f4,
    0x0016_247e_b03a_5584, 0x0016_33dd_1d19_29fd, 0x0016_4346_34cc_c31f, 0x0016_52b9_febc_8fb6,
    0x0016_6238_8255_2224, 0x0016_71c1_c708_33f5, 0x0016_8155_d44c_a973, 0x0016_90f4_b19e_9538,
    0x0016_a09e_667f_3bcc, 0x0016_b052_fa75_173e, 0x0016_c012_750b_dabe, 0x0016_cfdc_ddd4_7645,
    0x0016_dfb2_3c65_1a2e, 0x0016_ef92_9859_3ae4, 0x0016_ff7d_f951_9483, 0x0017_0f74_66f4_2e87,
    0x0017_1f75_e8ec_5f73, 0x0017_2f82_86ea_d089, 0x0017_3f9a_48a5_8173, 0x0017_4fbd_35d7_cbfd,
    0x0017_5feb_5642_67c8, 0x0017_7024_b1ab_6e09, 0x0017_8069_4fde_5d3f, 0x0017_90b9_38ac_1cf6,
    0x0017_a114_73eb_0186, 0x0017_b17b_0976_cfda, 0x0017_c1ed_0130_c132, 0x0017_d26a_62ff_86f0,
    0x0017_e2f3_36cf_4e62, 0x0017_f387_8491_c490, 0x0018_0427_543e_1a11, 0x0018_14d2_add1_06d9,
    0x0018_2589_994c_ce12, 0x0018_364c_1eb9_41f7, 0x0018_471a_4623_c7ac, 0x0018_57f4_179f_5b20,
    0x0018_68d9_9b44_92ec, 0x0018_79ca_d931_a436, 0x0018_8ac7_d98a_6699, 0x0018_9bd0_a478_580f,
    0x0018_ace5_422a_a0db, 0x0018_be05_bad6_1778, 0x0018_cf32_16b5_448b, 0x0018_e06a_5e08_66d8,
    0x0018_f1ae_9915_7736, 0x0019_02fe_d028_2c8a, 0x0019_145b_0b91_ffc5, 0x0019_25c3_53aa_2fe1,
    0x0019_3737_b0cd_c5e4, 0x0019_48b8_2b5f_98e4, 0x0019_5a44_cbc8_520e, 0x0019_6bdd_9a76_70b2,
    0x0019_7d82_9fde_4e4f, 0x0019_8f33_e47a_22a2, 0x0019_a0f1_70ca_07b9, 0x0019_b2bb_4d53_fe0c,
    0x0019_c491_82a3_f090, 0x0019_d674_194b_b8d4, 0x0019_e863_19e3_2323, 0x0019_fa5e_8d07_f29d,
    0x001a_0c66_7b5d_e564, 0x001a_1e7a_ed8e_b8bb, 0x001a_309b_ec4a_2d33, 0x001a_42c9_8046_0ad7,
    0x001a_5503_b23e_255c, 0x001a_674a_8af4_6052, 0x001a_799e_1330_b358, 0x001a_8bfe_53c1_2e58,
    0x001a_9e6b_5579_fdbf, 0x001a_b0e5_2135_6eba, 0x001a_c36b_bfd3_f379, 0x001a_d5ff_3a3c_2774,
    0x001a_e89f_995a_d3ad, 0x001a_fb4c_e622_f2fe, 0x001b_0e07_298d_b665, 0x001b_20ce_6c9a_8952,
    0x001b_33a2_b84f_15fa, 0x001b_4684_15b7_49b0, 0x001b_5972_8de5_5939, 0x001b_6c6e_29f1_c52a,
    0x001b_7f76_f2fb_5e46, 0x001b_928c_f227_49e3, 0x001b_a5b0_30a1_0649, 0x001b_b8e0_b79a_6f1e,
    0x001b_cc1e_904b_c1d2, 0x001b_df69_c3f3_a206, 0x001b_f2c2_5bd7_1e08, 0x001c_0628_6141_b33c,
    0x001c_199b_dd85_529c, 0x001c_2d1c_d9fa_652b, 0x001c_40ab_5fff_d07a, 0x001c_5447_78fa_fb22,
    0x001c_67f1_2e57_d14b, 0x001c_7ba8_8988_c932, 0x001c_8f6d_9406_e7b5, 0x001c_a340_5751_c4da,
    0x001c_b720_dcef_9069, 0x001c_cb0f_2e6d_1674, 0x001c_df0b_555d_c3f9, 0x001c_f315_5b5b_ab73,
    0x001d_072d_4a07_897b, 0x001d_1b53_2b08_c968, 0x001d_2f87_080d_89f1, 0x001d_43c8_eaca_a1d6,
    0x001d_5818_dcfb_a487, 0x001d_6c76_e862_e6d3, 0x001d_80e3_16c9_8397, 0x001d_955d_71ff_6075,
    0x001d_a9e6_03db_3285, 0x001d_be7c_d63a_8314, 0x001d_d321_f301_b460, 0x001d_e7d5_641c_0657,
    0x001d_fc97_337b_9b5e, 0x001e_1167_6b19_7d16, 0x001e_2646_14f5_a128, 0x001e_3b33_3b16_ee11,
    0x001e_502e_e78b_3ff6, 0x001e_6539_2467_6d75, 0x001e_7a51_fbc7_4c83, 0x001e_8f79_77cd_b73f,
    0x001e_a4af_a2a4_90d9, 0x001e_b9f4_867c_ca6e, 0x001e_cf48_2d8e_67f0, 0x001e_e4aa_a218_8510,
    0x001e_fa1b_ee61_5a27, 0x001f_0f9c_1cb6_4129, 0x001f_252b_376b_ba97, 0x001f_3ac9_48dd_7273,
    0x001f_5076_5b6e_4540, 0x001f_6632_7988_44f8, 0x001f_7bfd_ad9c_be13, 0x001f_91d8_0224_3c88,
    0x001f_a7c1_819e_90d8, 0x001f_bdba_3692_d513, 0x001f_d3c2_2b8f_71f1, 0x001f_e9d9_6b2a_23d9,
];

/// How many `SLOTS` there are: those of schema `s` stand at `2^(s + 1)..2^(s + 2)`, where
/// `significand >> (51 - s)` points.
const SLOT_COUNT: usize = 1 << (FINEST + 2);

/// For each of the `2^(s + 1)` equal parts of an octave, what to add to a positive float's bits so
/// that those from `52 - s` on are its code. Without addition they would count `2^s` equal steps
/// per octave; the sum moves a step's end to just behind the one bound in this part. There is one
/// at most: a part is narrower than any bucket (`0.5 / 2^s < 0.69 / 2^s`). Sums wrap.
static SLOTS: [u64; SLOT_COUNT] = slots();

/// Every schema, by its scale.
static SCHEMAS: [Schema; FINEST as usize + 1] = [
    Schema::new(0),
    Schema::new(1),
    Schema::new(2),
    Schema::new(3),
    Schema::new(4),
    Schema::new(5),
    Schema::new(6),
    Schema::new(7),
    Schema::new(8),
];

/// The resolution of a histogram, fixed for its life.
#[derive(Debug)]
pub(crate) struct Schema {
    /// `s`, in `0..=8`.
    scale: u8,
    /// Shifts a significand to its slot: `51 - s`.
    slot_shift: u8,
    /// Shifts a sum with its slot to a code: `52 - s`.
    code_shift: u8,
}

impl Schema {
    /// The schema of scale `s`; above 8 the finest.
    #[must_use]
    pub(crate) fn get(s: u8) -> &'static Self {
        &SCHEMAS[usize::from(s.min(FINEST))]
    }

    /// `s`, in `0..=8`.
    #[must_use]
    pub(crate) const fn scale(&self) -> u8 {
        self.scale
    }

    /// The bucket of the smallest normal value, which is its upper bound.
    #[must_use]
    pub(crate) const fn min_index(&self) -> i32 {
        -(1022 << self.scale) - 1
    }

    /// The bucket of `f64::MAX`.
    #[must_use]
    #[cfg(test)]
    pub(crate) const fn max_index(&self) -> i32 {
        (1024 << self.scale) - 1
    }

    /// How much wider a bucket is than its lower bound, as a fraction of it: 0.0443 at schema 4.
    #[must_use]
    pub(crate) fn width(&self) -> f64 {
        self.upper(0) - 1.0
    }

    /// The bucket of `v`, which must be finite, normal and positive; for others the answer has no
    /// meaning.
    #[inline(always)]
    #[must_use]
    #[expect(
        clippy::inline_always,
        reason = "part of every record into a histogram; a call would double it"
    )]
    #[cfg(test)]
    pub(crate) fn index(&self, v: f64) -> i32 {
        debug_assert!(v.is_normal() && v > 0.0, "no bucket index for {v}");
        self.positive_code(v.to_bits()) + (self.min_index() - 1)
    }

    /// The largest value of bucket `k`: `base^(k + 1)` rounded down to a float, within the range of
    /// the normal values. The next float up is in bucket `k + 1`.
    #[must_use]
    pub(crate) fn upper(&self, k: i32) -> f64 {
        self.bound(k.saturating_add(1))
    }

    /// The value that bucket `k` begins above: the upper bound of the bucket before. That of the
    /// lowest bucket would be subnormal, so there both are `f64::MIN_POSITIVE`.
    #[must_use]
    pub(crate) fn lower(&self, k: i32) -> f64 {
        self.bound(k)
    }

    /// The signed bucket of `v`; `None` for NaN and the infinities, which have no bucket.
    #[inline]
    #[must_use]
    pub(crate) fn code(&self, v: f64) -> Option<Code> {
        let bits = v.to_bits();
        if (ONE..INFINITY).contains(&bits) {
            Some(self.positive_code(bits))
        } else {
            self.code_of_other(v)
        }
    }

    /// As [`Schema::code`], for positive normal values only.
    #[inline(always)]
    #[must_use]
    pub(crate) fn positive(&self, v: f64) -> Option<Code> {
        let bits = v.to_bits();
        (ONE..INFINITY)
            .contains(&bits)
            .then(|| self.positive_code(bits))
    }

    /// The least and the largest value that a signed bucket may hold, `(0.0, 0.0)` for the zero
    /// bucket. The bound nearer to zero is not in the bucket itself, save in the lowest. Codes
    /// beyond the last bucket get the range's end.
    #[must_use]
    pub(crate) fn range_of(&self, code: Code) -> (f64, f64) {
        let k = code.saturating_abs().saturating_add(self.min_index() - 1);
        match code {
            0 => (0.0, 0.0),
            1.. => (self.lower(k), self.upper(k)),
            _ => (-self.upper(k), -self.lower(k)),
        }
    }

    const fn new(scale: u8) -> Self {
        Self {
            scale,
            slot_shift: 51 - scale,
            code_shift: 52 - scale,
        }
    }

    /// The rest of `code`: for what is not a positive normal value.
    fn code_of_other(&self, v: f64) -> Option<Code> {
        let bits = v.abs().to_bits();
        match bits {
            0..ONE => Some(0),
            ONE..INFINITY => Some(-self.positive_code(bits)),
            _ => None,
        }
    }

    /// The code of the positive normal value with these bits.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "see `index`")]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a slot is below 1024, a code below 2^20"
    )]
    fn positive_code(&self, bits: u64) -> Code {
        let slot = (bits & MANTISSA | ONE) >> self.slot_shift;
        // The mask changes no slot; it spares the bounds check.
        let addend = SLOTS[slot as usize & (SLOT_COUNT - 1)];
        (bits.wrapping_add(addend) >> self.code_shift) as Code
    }

    /// `base^power` rounded down to a float, within the range of the normal values.
    fn bound(&self, power: i32) -> f64 {
        let exponent = (power >> self.scale).saturating_add(1023);
        let step = (power & ((1 << self.scale) - 1)).unsigned_abs() as usize;
        match u64::try_from(exponent) {
            Ok(biased @ 1..=2046) => {
                let mantissa = BOUNDS[step << (FINEST - self.scale)] & MANTISSA;
                f64::from_bits(biased << MANTISSA_BITS | mantissa)
            }
            Ok(2047..) => f64::MAX,
            Ok(0) | Err(_) => f64::MIN_POSITIVE,
        }
    }
}

/// The bucket `by` schemas coarser that holds all of bucket `k`.
#[must_use]
pub(crate) const fn fold(k: i32, by: u32) -> i32 {
    k >> if by < 31 { by } else { 31 }
}

/// The signed bucket of schema `to` that holds all of signed bucket `code` of schema `from`; `to`
/// must not be the finer one.
#[must_use]
pub(crate) fn fold_code(code: Code, from: u8, to: u8) -> Code {
    debug_assert!(to <= from, "schema {from} does not fold into schema {to}");
    let by = u32::from(from.saturating_sub(to));
    // Code 2 is the first bucket of an octave, so codes fold as indices do when counted from there.
    let folded = fold(code.saturating_abs() - 2, by) + 2;
    match code {
        0 => 0,
        1.. => folded,
        _ => -folded,
    }
}

const fn slots() -> [u64; SLOT_COUNT] {
    let mut slots = [0; SLOT_COUNT];
    let mut scale = 0;
    while scale <= FINEST {
        let parts = 1 << (scale + 1);
        let mut below = 0;
        let mut part = 0;
        while part < parts {
            let start = ((parts + part) as u64) << (51 - scale);
            while bound_after(below, scale) < start {
                below += 1;
            }
            // The smallest float behind the bound, or else behind the part, if in the lowest
            // octave; and what code it gets.
            let end = start + (1 << (51 - scale));
            let bound = bound_after(below, scale);
            let first_above = if bound < end { bound + 1 } else { end };
            let code = below as u64 + 2;
            slots[parts + part] = (code << (52 - scale)).wrapping_sub(first_above);
            part += 1;
        }
        scale += 1;
    }
    slots
}

/// The bound that has `below` others below it in its octave, in `0..=2^s`.
const fn bound_after(below: usize, scale: u8) -> u64 {
    if below < 1 << scale {
        BOUNDS[below << (FINEST - scale)]
    } else {
        2 * ONE
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;
    use proptest::prelude::*;

    use super::*;

    /// Whether `significand > 2^52 * 2^(step / 2^scale)`, by exact integers: both sides to the
    /// power of `2^scale`.
    fn is_above(significand: u64, step: u32, scale: u8) -> bool {
        let power = 1_u32 << scale;
        BigUint::from(significand).pow(power) > BigUint::from(1_u8) << (52 * power + step)
    }

    /// The index by definition: bisects the octave for the number of bounds below.
    fn oracle(v: f64, scale: u8) -> i32 {
        let bits = v.to_bits();
        let exponent = i32::try_from(bits >> 52).expect("positive") - 1023;
        let significand = bits & MANTISSA | ONE;
        let (mut below, mut not_below) = (0, 1_u32 << scale);
        while below < not_below {
            let middle = u32::midpoint(below, not_below);
            if is_above(significand, middle, scale) {
                below = middle + 1;
            } else {
                not_below = middle;
            }
        }
        (exponent << scale) + i32::try_from(below).expect("at most 256") - 1
    }

    fn normal() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => (1_u64..=2046, 0..ONE).prop_map(|(e, m)| f64::from_bits(e << 52 | m)),
            1 => Just(f64::MAX),
            1 => Just(f64::MIN_POSITIVE),
        ]
    }

    #[test]
    fn every_bound_is_the_exact_floor() {
        for (j, &bound) in (0..).zip(&BOUNDS) {
            assert!((ONE..2 * ONE).contains(&bound), "{j}");
            assert!(!is_above(bound, j, 8) && is_above(bound + 1, j, 8), "{j}");
        }
    }

    #[test]
    fn index_is_exact_within_three_ulp_of_every_bound() {
        for scale in 0..=8 {
            let schema = Schema::get(scale);
            assert_eq!(schema.scale(), scale);
            for k in 0..1 << scale {
                let bits = schema.lower(k).to_bits();
                for near in bits - 3..=bits + 3 {
                    let v = f64::from_bits(near);
                    assert_eq!(schema.index(v), oracle(v, scale), "{v:e} at schema {scale}");
                }
            }
        }
    }

    /// With the values next to the bounds this covers all mantissas: in between sums only rise.
    #[test]
    fn index_is_exact_at_both_ends_of_every_part_of_an_octave() {
        for scale in 0..=8 {
            let schema = Schema::get(scale);
            for part in 0..2_u64 << scale {
                let start = 1.0_f64.to_bits() + (part << (51 - scale));
                for v in [start - 1, start, start + 1].map(f64::from_bits) {
                    assert_eq!(schema.index(v), oracle(v, scale), "{v:e} at schema {scale}");
                }
            }
        }
    }

    #[test]
    fn upper_is_the_last_value_of_its_bucket_in_every_octave() {
        for scale in 0..=8 {
            let schema = Schema::get(scale);
            for k in schema.min_index()..schema.max_index() {
                let upper = schema.upper(k);
                assert_eq!(schema.index(upper), k);
                assert_eq!(schema.index(upper.next_up()), k + 1);
                assert_eq!(schema.lower(k + 1).to_bits(), upper.to_bits());
            }
        }
    }

    #[test]
    fn range_ends_at_the_normal_values() {
        for scale in 0..=8 {
            let schema = Schema::get(scale);
            assert_eq!(schema.index(f64::MIN_POSITIVE), schema.min_index());
            assert_eq!(schema.index(f64::MAX), schema.max_index());
            for k in [schema.max_index(), schema.max_index() + 1, i32::MAX] {
                assert_eq!(schema.upper(k).to_bits(), f64::MAX.to_bits());
            }
            for k in [schema.min_index(), schema.min_index() - 1, i32::MIN] {
                assert_eq!(schema.upper(k).to_bits(), f64::MIN_POSITIVE.to_bits());
                assert_eq!(schema.lower(k).to_bits(), f64::MIN_POSITIVE.to_bits());
            }
        }
    }

    #[test]
    fn width_is_that_of_the_base() {
        for (scale, width) in [
            (0, 1.0),
            (3, 0.090_507_7),
            (4, 0.044_273_8),
            (8, 0.002_711_3),
        ] {
            assert!(
                (Schema::get(scale).width() - width).abs() < 1e-7,
                "schema {scale}"
            );
        }
    }

    #[test]
    fn scale_above_the_finest_is_the_finest() {
        assert_eq!(Schema::get(200).scale(), 8);
    }

    #[test]
    fn codes_run_from_one_without_a_gap() {
        for scale in 0..=8 {
            let schema = Schema::get(scale);
            assert_eq!(schema.code(f64::MIN_POSITIVE), Some(1));
            assert_eq!(schema.code(f64::MAX), Some((2046 << scale) + 1));
            assert_eq!(schema.code(f64::MIN), Some(-(2046 << scale) - 1));
        }
    }

    #[test]
    fn zeros_and_subnormals_share_the_zero_bucket() {
        let subnormal = f64::MIN_POSITIVE.next_down();
        for v in [0.0, -0.0, subnormal, -subnormal, f64::from_bits(1)] {
            assert_eq!(Schema::get(4).code(v), Some(0));
        }
        assert_eq!(Schema::get(4).range_of(0), (0.0, 0.0));
        assert_eq!(fold_code(0, 8, 0), 0);
    }

    #[test]
    fn values_without_a_size_have_no_code() {
        for v in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Schema::get(4).code(v), None);
        }
    }

    #[test]
    fn impossible_codes_get_the_ends_of_the_range() {
        let schema = Schema::get(8);
        assert_eq!(schema.range_of(i32::MAX), (f64::MAX, f64::MAX));
        assert_eq!(schema.range_of(i32::MIN), (f64::MIN, f64::MIN));
        assert_eq!(fold_code(i32::MIN, 8, 8), -i32::MAX);
    }

    proptest! {
        #[test]
        fn index_agrees_with_exact_integers(v in normal(), scale in 0_u8..=8) {
            prop_assert_eq!(Schema::get(scale).index(v), oracle(v, scale));
        }

        #[test]
        fn fold_is_the_index_at_the_coarser_schema(v in normal(), from in 0_u8..=8, by in 0_u8..=8) {
            let to = from.saturating_sub(by);
            let (fine, coarse) = (Schema::get(from), Schema::get(to));
            prop_assert_eq!(fold(fine.index(v), u32::from(from - to)), coarse.index(v));
            for v in [v, -v] {
                let code = fine.code(v).expect("finite");
                prop_assert_eq!(Some(fold_code(code, from, to)), coarse.code(v));
            }
        }

        #[test]
        fn code_is_a_mirrored_index_whose_range_holds_the_value(v in normal(), scale in 0_u8..=8) {
            let schema = Schema::get(scale);
            let code = schema.index(v) - schema.min_index() + 1;
            prop_assert_eq!(schema.code(v), Some(code));
            prop_assert_eq!(schema.code(-v), Some(-code));
            let (lower, upper) = schema.range_of(code);
            prop_assert!(v <= upper && (lower < v || code == 1));
            prop_assert_eq!(schema.range_of(-code), (-upper, -lower));
        }
    }
}
