//! How the steps of a column are packed in the fewest bits: in fields of one width or in Rice codes, outliers apart.

use super::bits::{bit_length, number_bits_of, zigzag};
use super::ints::{FIELDS, PLACE_BITS, RICE};

/// Rice codes whose unary part would reach this are patches.
pub(super) const LONGEST_UNARY_BITS: u32 = 5;

/// A way to pack steps, and what it costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packing {
    pub(super) kind: u64,
    pub(super) width: u32,
    /// What is subtracted from a step, which is zero at least, before it is packed.
    pub(super) centre: u64,
    pub(super) patches: usize,
    pub(super) bits: usize,
}

impl Packing {
    /// The shorter one of the two, for steps from zero up to `most`. They are not the same afterwards.
    pub(super) fn best(steps: &mut [u64], shift: u32, most: u64) -> Self {
        let fields = Self::fields(steps, most);
        let rice = Self::rice(steps, shift, fields, most);
        if rice.bits < fields.bits {
            rice
        } else {
            fields
        }
    }

    fn fields(steps: &[u64], most: u64) -> Self {
        let mut width = bit_length(most);
        let mut best = Self {
            kind: FIELDS,
            width,
            centre: 0,
            patches: 0,
            bits: width as usize * steps.len(),
        };
        let (mut patches, mut patch_bits) = (0, PLACE_BITS as usize);
        while let Some(narrower) = width.checked_sub(1) {
            let (longer, others) = longer(steps, narrower);
            if longer > steps.len() / 4 {
                break;
            }
            patch_bits += (longer - patches) * patch_cost(width);
            (patches, width) = (longer, bit_length(others));
            let bits = width as usize * steps.len() + patch_bits;
            if bits < best.bits {
                best = Self {
                    width,
                    patches,
                    bits,
                    ..best
                };
            }
        }
        best
    }

    /// Rice codes around the average of the steps that `fields` does not patch.
    fn rice(steps: &mut [u64], shift: u32, fields: Self, most: u64) -> Self {
        // So that a sum of 128 fits.
        let scale = if most >> 56 == 0 { 0 } else { 8 };
        let plain = |step: u64| fields.patches == 0 || bit_length(step) <= fields.width;
        let among = (steps.len() - fields.patches).max(1) as u64;
        let sum: u64 = if fields.patches == 0 {
            steps.iter().map(|&step| step >> scale).sum()
        } else {
            steps
                .iter()
                .filter(|&&step| plain(step))
                .map(|&step| step >> scale)
                .sum()
        };
        let centre = ((sum + among / 2) / among) << scale;
        let (mut far, mut all) = (0_u64, 0);
        for step in &mut *steps {
            let is_plain = plain(*step);
            *step = zigzag((step.wrapping_sub(centre) << shift).cast_signed() >> shift);
            all |= *step;
            far += if is_plain { *step >> scale } else { 0 };
        }
        let of_width = |width| Self::rice_of_width(steps, all, centre, width);
        let mut best = of_width(rice_width((far / among) << scale));
        // A few numbers far out make the average large, but not the median.
        while best.width > 0 && bit_length(all) > best.width + 2 {
            let (longer, others) = longer(steps, best.width - 1);
            if 2 * longer >= steps.len() {
                break;
            }
            let narrower = of_width(bit_length(others).min(best.width - 1));
            if narrower.bits >= best.bits {
                break;
            }
            best = narrower;
        }
        if best.bits > (best.width as usize + 2) * steps.len() {
            let wider = of_width(best.width + 1);
            if wider.bits < best.bits {
                best = wider;
            }
        }
        best
    }

    /// Rice codes of this width for numbers that have, together, the bits of `all`.
    fn rice_of_width(numbers: &[u64], all: u64, centre: u64, width: u32) -> Self {
        let limit = width + LONGEST_UNARY_BITS;
        let (mut unary, mut patches, mut patch_bits) = (0, 0, PLACE_BITS as usize);
        if bit_length(all) <= limit {
            unary = numbers.iter().map(|number| number >> width).sum();
            patch_bits = 0;
        } else {
            for &number in numbers {
                let length = bit_length(number);
                if length > limit {
                    patches += 1;
                    patch_bits += patch_cost(length);
                } else {
                    unary += number >> width;
                }
            }
        }
        Self {
            kind: RICE,
            width,
            centre,
            patches,
            // Below 2^5 for each of at most 128 numbers.
            bits: usize::try_from(unary).unwrap_or(usize::MAX / 4)
                + (width as usize + 1) * numbers.len()
                + patch_bits,
        }
    }
}

/// How many numbers have more than `width` bits, and those of the others that any has.
fn longer(numbers: &[u64], width: u32) -> (usize, u64) {
    let (mut longer, mut others) = (0, 0);
    for &number in numbers {
        let fits = number >> width == 0;
        longer += u64::from(!fits);
        others |= if fits { number } else { 0 };
    }
    // At most 128.
    (usize::try_from(longer).unwrap_or(0), others)
}

/// The best width of the fields of Rice codes for numbers of this average. One bit more costs each number a bit, and saves it
/// half of its unary part, which is about the average shifted to the right.
const fn rice_width(average: u64) -> u32 {
    bit_length(average).saturating_sub(1)
}

/// Bits of a patch of that length.
const fn patch_cost(length: u32) -> usize {
    PLACE_BITS as usize + number_bits_of(length)
}
