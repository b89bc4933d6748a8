//! A column of at most 128 integers, in the narrowest of a few shapes, chosen from statistics.
//!
//! Integers are 64 bits wide; sums and differences wrap, and for the sake of size they are taken as signed. What is
//! packed are the integers themselves or, if `DELTA`, the first one and the differences; call either the steps.
//!
//! Layout, in bits: a kind in two. `CONSTANT`: the zigzagged number. `SHORT`: in four, the width of `RICE` below eight, or seven more
//! than that of `FIELDS` up to eight; and the base, which is not negative. What else there is has no flag set. Else flags for `DELTA`, `SHIFTED` and `PATCHED`; the
//! shift in six if `SHIFTED`; a width in seven; the first integer, zigzagged, if `DELTA`; a base, zigzagged. Then for
//!
//! - `FIELDS`, which has the least step for base, a field for each step: the distance from the base, shifted to the right;
//! - `RICE`, which has the average step for base, a field for each step and then a unary number for each, together the
//!   zigzagged distance. All fields come first, so that reading one does not wait for the one before.
//!
//! If `PATCHED`, how many patches in seven, and each as a place in seven and a number that goes there instead of the
//! zero that was packed: outliers do not make all others wide.

use super::bits::{Reader, Writer, bit_length, mask, number_bits, unzigzag, zigzag};
use super::packing::{LONGEST_UNARY_BITS, Packing};
use super::rows::MOST_ROWS;

const KIND_BITS: u32 = 2;
const FLAG_BITS: u32 = 1;
const SHIFT_BITS: u32 = 6;
const WIDTH_BITS: u32 = 7;
pub(super) const PLACE_BITS: u32 = 7;

const CONSTANT: u64 = 0;
pub(super) const FIELDS: u64 = 1;
pub(super) const RICE: u64 = 2;
const SHORT: u64 = 3;

/// Of `SHORT`: widths of `RICE` below this, or this and less than the width of `FIELDS`.
const SHAPE_BITS: u32 = 4;
const RICE_SHAPES: u32 = 8;

/// One number for each row, and as many more as nobody looks at.
pub(crate) type Column = [u64; MOST_ROWS];

/// How a column will be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    kind: u64,
    delta: bool,
    shift: u32,
    /// Of a field.
    width: u32,
    first: u64,
    base: u64,
    patches: usize,
    bits: usize,
}

impl Plan {
    /// Looks at a column. Those behind the 128th are left out.
    pub(crate) fn new(values: &[u64]) -> Self {
        let values = values.get(..MOST_ROWS).unwrap_or(values);
        let first = values.first().copied().unwrap_or(0);
        let (min, max) = extremes(values);
        if min == max || values.is_empty() {
            return Self {
                kind: CONSTANT,
                delta: false,
                shift: 0,
                width: 0,
                first,
                base: first,
                patches: 0,
                bits: KIND_BITS as usize + signed_bits(first),
            };
        }
        let delta = values.len() > 2 && moves_less_than_it_spreads(values, (min, max));
        let mut column = [0; MOST_ROWS];
        let steps = steps(values, delta, &mut column);
        let (least, most) = if delta { extremes(steps) } else { (min, max) };
        let shift = common_shift(steps);
        for step in &mut *steps {
            *step = step.wrapping_sub(least) >> shift;
        }
        let packing = Packing::best(steps, shift, most.wrapping_sub(least) >> shift);
        let mut plan = Self {
            kind: packing.kind,
            delta,
            shift,
            width: packing.width,
            first,
            base: least.wrapping_add(packing.centre << shift),
            patches: packing.patches,
            bits: 0,
        };
        plan.bits = plan.header_bits() + packing.bits;
        plan
    }

    /// Bits in front of the steps.
    fn header_bits(&self) -> usize {
        let Self {
            delta,
            shift,
            first,
            base,
            ..
        } = *self;
        if self.shape().is_some() {
            return (KIND_BITS + SHAPE_BITS) as usize + number_bits(base);
        }
        (KIND_BITS + 3 * FLAG_BITS + WIDTH_BITS) as usize
            + if shift > 0 { SHIFT_BITS as usize } else { 0 }
            + if delta { signed_bits(first) } else { 0 }
            + signed_bits(base)
    }

    /// Kind and width, if the column can be `SHORT`.
    fn shape(&self) -> Option<u64> {
        let is_plain = !self.delta && self.shift == 0 && self.patches == 0;
        let shape = match self.kind {
            RICE if self.width < RICE_SHAPES => self.width,
            FIELDS if (1..=RICE_SHAPES).contains(&self.width) => self.width + RICE_SHAPES - 1,
            _ => return None,
        };
        (is_plain && !self.base.cast_signed().is_negative()).then_some(shape.into())
    }

    /// Exactly how many bits [`Plan::write`] writes.
    pub(crate) const fn bits(&self) -> usize {
        self.bits
    }

    /// Writes the column that the plan was made for.
    pub(crate) fn write(&self, values: &[u64], writer: &mut Writer) {
        if let Some(shape) = self.shape() {
            writer.put(SHORT, KIND_BITS);
            writer.put(shape, SHAPE_BITS);
            writer.number(self.base);
        } else {
            self.write_header(writer);
        }
        if self.kind == CONSTANT {
            return;
        }
        let mut column = [0; MOST_ROWS];
        let values = values.get(..MOST_ROWS).unwrap_or(values);
        let steps = steps(values, self.delta, &mut column);
        for step in &mut *steps {
            let distance = step.wrapping_sub(self.base).cast_signed() >> self.shift;
            *step = match self.kind {
                // As far from the least step as an unsigned number can say.
                FIELDS => step.wrapping_sub(self.base) >> self.shift,
                _ => zigzag(distance),
            };
        }
        self.write_packed(steps, writer);
    }

    fn write_header(&self, writer: &mut Writer) {
        writer.put(self.kind, KIND_BITS);
        if self.kind == CONSTANT {
            writer.number(zigzag(self.first.cast_signed()));
            return;
        }
        writer.put(u64::from(self.delta), FLAG_BITS);
        writer.put(u64::from(self.shift > 0), FLAG_BITS);
        writer.put(u64::from(self.patches > 0), FLAG_BITS);
        if self.shift > 0 {
            writer.put(u64::from(self.shift), SHIFT_BITS);
        }
        writer.put(u64::from(self.width), WIDTH_BITS);
        if self.delta {
            writer.number(zigzag(self.first.cast_signed()));
        }
        writer.number(zigzag(self.base.cast_signed()));
    }

    fn write_packed(&self, packed: &[u64], writer: &mut Writer) {
        if self.patches == 0 {
            return self.write_plain(packed, writer);
        }
        let limit = match self.kind {
            FIELDS => self.width,
            _ => self.width + LONGEST_UNARY_BITS,
        };
        let is_patch = |number: u64| bit_length(number) > limit;
        let mut plain = [0; MOST_ROWS];
        for (plain, &number) in plain.iter_mut().zip(packed) {
            *plain = if is_patch(number) { 0 } else { number };
        }
        self.write_plain(plain.get(..packed.len()).unwrap_or_default(), writer);
        writer.put(self.patches as u64, PLACE_BITS);
        for (place, &number) in (0..).zip(packed) {
            if is_patch(number) {
                writer.put(place, PLACE_BITS);
                writer.number(number);
            }
        }
    }

    fn write_plain(&self, packed: &[u64], writer: &mut Writer) {
        writer.fields(self.width, packed);
        if self.kind == RICE {
            let numbers = packed.iter();
            writer.unaries(numbers.map(|number| number.checked_shr(self.width).unwrap_or(0)));
        }
    }
}

/// What is written in front of the steps, but for a first value.
struct Header {
    is_rice: bool,
    delta: bool,
    patched: bool,
    shift: u32,
    width: u32,
}

impl Header {
    /// Of a column of any kind but `CONSTANT` and `SHORT`.
    fn read(kind: u64, reader: &mut Reader) -> Self {
        let [delta, shifted, patched] = [(); 3].map(|()| reader.take(FLAG_BITS) == 1);
        let shift = if shifted { SHIFT_BITS } else { 0 };
        Self {
            is_rice: kind == RICE,
            delta,
            patched,
            shift: low(reader.take(shift)),
            width: low(reader.take(WIDTH_BITS)).min(64),
        }
    }

    fn read_short(reader: &mut Reader) -> Self {
        let shape = low(reader.take(SHAPE_BITS));
        let fields = shape.checked_sub(RICE_SHAPES);
        Self {
            is_rice: fields.is_none(),
            delta: false,
            patched: false,
            shift: 0,
            width: fields.map_or(shape, |below| below + 1),
        }
    }
}

/// Reads a column into `values`, all of them.
#[inline]
pub(crate) fn read(reader: &mut Reader, values: &mut [u64]) {
    match reader.take(KIND_BITS) {
        CONSTANT => values.fill(signed(reader)),
        SHORT => {
            let header = Header::read_short(reader);
            let base = reader.number();
            read_steps(&header, base, reader, values);
        }
        kind => {
            let header = Header::read(kind, reader);
            if !header.delta {
                let base = signed(reader);
                return read_steps(&header, base, reader, values);
            }
            let Some((first, steps)) = values.split_first_mut() else {
                return;
            };
            *first = signed(reader);
            let base = signed(reader);
            read_steps(&header, base, reader, steps);
            let mut sum = 0_u64;
            for value in values {
                sum = sum.wrapping_add(*value);
                *value = sum;
            }
        }
    }
}

#[inline]
fn read_steps(header: &Header, base: u64, reader: &mut Reader, steps: &mut [u64]) {
    let &Header { shift, width, .. } = header;
    reader.fields(width, steps);
    if header.is_rice {
        reader.add_unary(width, steps);
    }
    if header.patched {
        patch(reader, steps);
    }
    if header.is_rice {
        for step in steps {
            *step = (unzigzag(*step).cast_unsigned() << shift).wrapping_add(base);
        }
    } else {
        for step in steps {
            *step = (*step << shift).wrapping_add(base);
        }
    }
}

#[cold]
fn patch(reader: &mut Reader, steps: &mut [u64]) {
    for _ in 0..reader.take(PLACE_BITS) {
        let place = reader.take(PLACE_BITS);
        let number = reader.number();
        if let Some(step) = usize::try_from(place)
            .ok()
            .and_then(|place| steps.get_mut(place))
        {
            *step = number;
        }
    }
}

/// A number of at most seven bits.
fn low(number: u64) -> u32 {
    u32::try_from(number & mask(7)).unwrap_or(0)
}

fn signed(reader: &mut Reader) -> u64 {
    unzigzag(reader.number()).cast_unsigned()
}

fn signed_bits(value: u64) -> usize {
    number_bits(zigzag(value.cast_signed()))
}

/// The least and the greatest, as signed numbers.
fn extremes(values: &[u64]) -> (u64, u64) {
    let signed = values.iter().map(|value| value.cast_signed());
    let (min, max) = signed.fold((i64::MAX, i64::MIN), |(min, max), value| {
        (min.min(value), max.max(value))
    });
    (min.cast_unsigned(), max.cast_unsigned())
}

/// Whether neighbours are nearer to each other than all are to their average.
fn moves_less_than_it_spreads(values: &[u64], (min, max): (u64, u64)) -> bool {
    // So that a sum of 128 fits; what is lost does not decide anything.
    let scale = if max.wrapping_sub(min) >> 56 == 0 {
        0
    } else {
        8
    };
    let heights = || values.iter().map(|value| value.wrapping_sub(min) >> scale);
    let average = heights().sum::<u64>() / values.len().max(1) as u64;
    let spread: u64 = heights().map(|height| height.abs_diff(average)).sum();
    let moved: u64 = heights()
        .zip(heights().skip(1))
        .map(|(before, height)| before.abs_diff(height))
        .sum();
    moved < spread
}

/// Puts what will be packed into `column`.
fn steps<'a>(values: &[u64], delta: bool, column: &'a mut Column) -> &'a mut [u64] {
    let mut len = values.len();
    if delta {
        len = len.saturating_sub(1);
        let pairs = values.iter().zip(values.iter().skip(1));
        for (step, (before, value)) in column.iter_mut().zip(pairs) {
            *step = value.wrapping_sub(*before);
        }
    } else {
        for (step, value) in column.iter_mut().zip(values) {
            *step = *value;
        }
    }
    column.get_mut(..len).unwrap_or_default()
}

/// Low bits that all have in common; 63 if all are equal.
fn common_shift(steps: &[u64]) -> u32 {
    let first = steps.first().copied().unwrap_or(0);
    let differing = steps
        .iter()
        .fold(0, |differing, step| differing | (step ^ first));
    match differing.trailing_zeros() {
        64 => 0,
        shift => shift,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn round_trip(values: &[u64]) -> (Vec<u64>, usize) {
        let plan = Plan::new(values);
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        plan.write(values, &mut writer);
        writer.number(77);
        writer.finish();
        assert_eq!(
            bytes.len(),
            (plan.bits() + number_bits(77)).div_ceil(8),
            "{plan:?}"
        );
        let mut reader = Reader::new(&bytes);
        let mut back = vec![3; values.len()];
        read(&mut reader, &mut back);
        assert_eq!(reader.number(), 77, "{plan:?}");
        (back, plan.bits())
    }

    /// Numbers of every size, and columns with a shape.
    pub(crate) fn any_integers(n: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u64>> {
        let hostile = prop_oneof![
            any::<u64>(),
            Just(u64::MAX),
            Just(1 << 63),
            Just((1 << 63) - 1),
            Just(0),
            0_u64..100,
            any::<u64>().prop_map(|value| value << 40),
            (0_u32..64).prop_map(|shift| u64::MAX >> shift),
        ];
        let narrow = (any::<u64>(), vec(0_u64..1000, n.clone())).prop_map(|(base, values)| {
            values
                .iter()
                .map(|value| base.wrapping_add(*value))
                .collect()
        });
        let walk = (any::<u64>(), 0_u32..64, vec(-50_i64..50, n.clone())).prop_map(
            |(first, shift, steps)| {
                let mut at = first;
                let mut walk = |step: i64| {
                    at = at.wrapping_add((step << shift).cast_unsigned());
                    at
                };
                steps.into_iter().map(&mut walk).collect()
            },
        );
        let outliers = vec(prop_oneof![20 => 0_u64..20, 1 => any::<u64>()], n.clone());
        prop_oneof![vec(hostile, n), narrow, walk, outliers]
    }

    #[test]
    fn regular_columns_are_short() {
        let linear: Vec<u64> = (0..120).map(|i| 7 + 1000 * i).collect();
        let (back, bits) = round_trip(&linear);
        assert_eq!(back, linear);
        assert!(bits < 60, "{bits}");
        let outlier: Vec<u64> = (0..120)
            .map(|i| if i == 50 { 1 << 50 } else { i % 4 })
            .collect();
        let (back, bits) = round_trip(&outlier);
        assert_eq!(back, outlier);
        assert!(bits < 2 * 120 + 100, "{bits}");
    }

    proptest! {
        #[test]
        fn integers_survive_the_round_trip(values in any_integers(0..129)) {
            prop_assert_eq!(round_trip(&values).0, values);
        }

        #[test]
        fn no_column_is_much_wider_than_its_numbers(values in any_integers(0..129)) {
            let (_, bits) = round_trip(&values);
            prop_assert!(bits <= values.len() * 65 + 200, "{bits} bits for {}", values.len());
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in vec(any::<u8>(), 0..200), n in 0_usize..129) {
            read(&mut Reader::new(&bytes), &mut vec![0; n]);
        }
    }
}
