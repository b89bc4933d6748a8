//! A column of at most 128 floats, as integers: decimals with few places as multiples of a power of ten, others by their
//! order among all floats. Exact, but that all NaNs become one.
//!
//! Layout, in bits: a form in four. `0..=9`: decimals of that many places, as `codec::ints` writes them. `NEARLY`: the
//! places in four; decimals, which are the nearest to the floats; and by how many floats these are off, zigzagged, again
//! as `codec::ints` writes them: sums of decimals are mostly like that. `ORDERED`: the ordered bits as `codec::ints`.

use super::bits::{Reader, Writer, unzigzag, zigzag};
use super::ints::{self, Column};
use super::rows::MOST_ROWS;

const FORM_BITS: u32 = 4;
const MOST_PLACES: u8 = 9;
const NEARLY: u64 = 10;
const ORDERED: u64 = 15;

/// Integers from here on are not all floats any more.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// How far a sum may be from a decimal to be called nearly one.
const NEAR: u64 = 8;

const POWERS: [f64; MOST_PLACES as usize + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// Which integers stand for floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    /// Multiples of `10^-places`; `places <= 9`.
    Decimal(u8),
    /// Place in the order of all floats, zero being that of zero.
    Ordered,
}

/// How a column will be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    form: Form,
    bits: usize,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Exactly(Space, ints::Plan),
    Nearly(u8, ints::Plan, ints::Plan),
}

impl Space {
    /// Decimals with as few places as will do, if any will.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut places = 0;
        let mut largest = 0.0_f64;
        for value in values {
            while !is_decimal(value, places) {
                if places == MOST_PLACES {
                    return Self::Ordered;
                }
                places += 1;
            }
            largest = largest.max(value.abs());
        }
        // The values seen first were only tried with fewer places.
        if largest * power(places) < EXACT {
            Self::Decimal(places)
        } else {
            Self::Ordered
        }
    }

    /// The integer for a value of this space.
    #[inline]
    pub(crate) fn integer(self, value: f64) -> u64 {
        match self {
            Self::Decimal(places) => nearest(value, places),
            Self::Ordered => order(value),
        }
    }

    /// The value of an integer of this space.
    #[inline]
    pub(crate) fn value(self, integer: u64) -> f64 {
        match self {
            Self::Decimal(places) => decimal(integer, places),
            Self::Ordered => in_order(integer),
        }
    }

    /// Bits of [`Space::write`].
    pub(crate) const BITS: usize = FORM_BITS as usize;

    pub(crate) fn write(self, writer: &mut Writer) {
        let form = match self {
            Self::Decimal(places) => u64::from(places),
            Self::Ordered => ORDERED,
        };
        writer.put(form, FORM_BITS);
    }

    pub(crate) fn read(reader: &mut Reader) -> Self {
        Self::from_form(reader.take(FORM_BITS))
    }

    fn from_form(form: u64) -> Self {
        match u8::try_from(form) {
            Ok(places @ ..=MOST_PLACES) => Self::Decimal(places),
            _ => Self::Ordered,
        }
    }

    /// Makes values of integers, where they are.
    #[inline]
    pub(crate) fn values(self, integers: &[u64], values: &mut [f64]) {
        let pairs = values.iter_mut().zip(integers);
        match self {
            Self::Decimal(0) => pairs.for_each(|(value, &integer)| *value = whole(integer)),
            Self::Decimal(places) => {
                pairs.for_each(|(value, &integer)| *value = decimal(integer, places));
            }
            Self::Ordered => pairs.for_each(|(value, &integer)| *value = in_order(integer)),
        }
    }
}

impl Plan {
    /// Looks at a column. Those behind the 128th are left out.
    pub(crate) fn new(values: &[f64]) -> Self {
        let space = Space::of(values.iter().copied());
        let mut column = [0; MOST_ROWS];
        let exactly = ints::Plan::new(integers(values, space, &mut column));
        let plan = Self {
            form: Form::Exactly(space, exactly),
            bits: FORM_BITS as usize + exactly.bits(),
        };
        match space {
            Space::Decimal(_) => plan,
            Space::Ordered => Self::nearly(values)
                .filter(|nearly| nearly.bits < plan.bits)
                .unwrap_or(plan),
        }
    }

    /// Exactly how many bits [`Plan::write`] writes.
    pub(crate) const fn bits(&self) -> usize {
        self.bits
    }

    /// Writes the column that the plan was made for.
    pub(crate) fn write(&self, values: &[f64], writer: &mut Writer) {
        let mut column = [0; MOST_ROWS];
        match &self.form {
            Form::Exactly(space, plan) => {
                space.write(writer);
                plan.write(integers(values, *space, &mut column), writer);
            }
            Form::Nearly(places, decimals, offsets) => {
                writer.put(NEARLY, FORM_BITS);
                writer.put(u64::from(*places), FORM_BITS);
                decimals.write(
                    integers(values, Space::Decimal(*places), &mut column),
                    writer,
                );
                offsets.write(off(values, *places, &mut column), writer);
            }
        }
    }

    /// As decimals and how far off they are, if all are near enough.
    fn nearly(values: &[f64]) -> Option<Self> {
        let mut places = 0;
        for &value in values {
            while offset(value, places)? > NEAR {
                places += 1;
                if places > MOST_PLACES {
                    return None;
                }
            }
        }
        let mut column = [0; MOST_ROWS];
        let decimals = ints::Plan::new(integers(values, Space::Decimal(places), &mut column));
        let offsets = ints::Plan::new(off(values, places, &mut column));
        let bits = 2 * FORM_BITS as usize + decimals.bits() + offsets.bits();
        values
            .iter()
            .all(|&value| offset(value, places).is_some())
            .then_some(Self {
                form: Form::Nearly(places, decimals, offsets),
                bits,
            })
    }
}

/// Reads a column into `values`, at most 128.
#[inline]
pub(crate) fn read(reader: &mut Reader, values: &mut [f64]) {
    let mut column = [0; MOST_ROWS];
    let column = column.get_mut(..values.len()).unwrap_or_default();
    let form = reader.take(FORM_BITS);
    if form == NEARLY {
        let places = Space::read(reader);
        ints::read(reader, column);
        places.values(column, values);
        ints::read(reader, column);
        for (value, &offset) in values.iter_mut().zip(&*column) {
            *value = in_order(order(*value).wrapping_add(unzigzag(offset).cast_unsigned()));
        }
    } else {
        ints::read(reader, column);
        Space::from_form(form).values(column, values);
    }
}

/// The integers for the values, at most 128, of a column.
pub(super) fn integers<'a>(values: &[f64], space: Space, column: &'a mut Column) -> &'a [u64] {
    let pairs = column.iter_mut().zip(values);
    match space {
        Space::Decimal(places) => {
            pairs.for_each(|(integer, &value)| *integer = nearest(value, places));
        }
        Space::Ordered => pairs.for_each(|(integer, &value)| *integer = order(value)),
    }
    column.get(..values.len()).unwrap_or_default()
}

/// By how many floats each value is off the nearest decimal.
fn off<'a>(values: &[f64], places: u8, column: &'a mut Column) -> &'a [u64] {
    for (integer, &value) in column.iter_mut().zip(values) {
        let near = order(decimal(nearest(value, places), places));
        *integer = zigzag(order(value).wrapping_sub(near).cast_signed());
    }
    column.get(..values.len()).unwrap_or_default()
}

fn power(places: u8) -> f64 {
    POWERS.get(usize::from(places)).copied().unwrap_or(1.0)
}

/// Whether a value is exactly the float nearest to a decimal of so many places.
fn is_decimal(value: f64, places: u8) -> bool {
    // Not so for NaN.
    value.abs() * power(places) < EXACT
        && decimal(nearest(value, places), places).to_bits() == value.to_bits()
}

/// How many floats there are between a value and the nearest decimal; `None` if the decimal is too large to be exact.
fn offset(value: f64, places: u8) -> Option<u64> {
    // Not so for NaN.
    (value.abs() * power(places) < EXACT).then(|| {
        let near = order(decimal(nearest(value, places), places));
        order(value).cast_signed().abs_diff(near.cast_signed())
    })
}

/// The multiple of `10^-places` nearest to a value.
#[expect(
    clippy::cast_possible_truncation,
    reason = "saturates, and is looked at again by who needs it exact"
)]
fn nearest(value: f64, places: u8) -> u64 {
    let scaled = value * power(places);
    // Rounds like `round`, which is a call on some machines.
    ((scaled + 0.5_f64.copysign(scaled)) as i64).cast_unsigned()
}

/// Exact powers and integers divided are rounded once: the float that a reader of the decimal would get.
#[inline]
fn decimal(integer: u64, places: u8) -> f64 {
    whole(integer) / power(places)
}

#[inline]
#[expect(
    clippy::cast_precision_loss,
    reason = "below 2^53 if it was written by us"
)]
fn whole(integer: u64) -> f64 {
    integer.cast_signed() as f64
}

/// Whether two floats are the same in a column: all NaNs are, the two zeros are not.
#[inline]
pub(super) fn is_same(left: f64, right: f64) -> bool {
    left.to_bits() == right.to_bits() || (left.is_nan() && right.is_nan())
}

/// Where a float is in the order of all floats, as a signed number.
#[inline]
fn order(value: f64) -> u64 {
    let value = if value.is_nan() { f64::NAN } else { value };
    fold(value.to_bits())
}

#[inline]
fn in_order(integer: u64) -> f64 {
    let value = f64::from_bits(fold(integer));
    if value.is_nan() { f64::NAN } else { value }
}

/// Turns the order of negative floats round, or back.
#[inline]
const fn fold(bits: u64) -> u64 {
    bits ^ ((bits.cast_signed() >> 63).cast_unsigned() >> 1)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::codec::bits::number_bits;

    fn round_trip(values: &[f64]) -> (Vec<f64>, usize) {
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
        let mut back = vec![3.0; values.len()];
        read(&mut reader, &mut back);
        assert_eq!(reader.number(), 77, "{plan:?}");
        (back, plan.bits())
    }

    /// Bits to compare by: all NaNs are one.
    pub(crate) fn same(value: f64) -> u64 {
        if value.is_nan() {
            f64::NAN.to_bits()
        } else {
            value.to_bits()
        }
    }

    pub(crate) fn any_float() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            any::<f64>(),
            Just(-0.0),
            Just(0.0),
            Just(f64::INFINITY),
            Just(f64::NEG_INFINITY),
            Just(f64::MIN_POSITIVE / 2.0),
            Just(f64::MAX),
            Just(9_007_199_254_740_993.0),
            (-1000_i32..1000).prop_map(f64::from),
            (-1000_i32..1000).prop_map(|value| f64::from(value) / 10.0),
            (any::<i32>(), 0_u8..12)
                .prop_map(|(value, places)| f64::from(value) / 10_f64.powi(places.into())),
            0.0..1.0,
        ]
    }

    /// Floats that have something in common, or nothing.
    pub(crate) fn any_floats(n: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f64>> {
        let decimals = (any::<i32>(), 0_u8..10, vec(0_i32..1000, n.clone())).prop_map(
            |(base, places, values)| {
                let decimal =
                    |value: i32| (f64::from(base) + f64::from(value)) / 10_f64.powi(places.into());
                values.into_iter().map(decimal).collect()
            },
        );
        let sums = vec((0_i32..1000, 0_i32..1000), n.clone()).prop_map(|pairs| {
            let sum = |(a, b)| f64::from(a) / 1000.0 + f64::from(b) / 1000.0;
            pairs.into_iter().map(sum).collect()
        });
        prop_oneof![
            vec(any_float(), n.clone()),
            decimals,
            sums,
            vec(0.5..1.0, n)
        ]
    }

    #[test]
    fn decimals_take_what_their_digits_take() {
        let prices: Vec<f64> = (0..100)
            .map(|i| f64::from(1000 + i * 37 % 256) / 100.0)
            .collect();
        let (back, bits) = round_trip(&prices);
        assert_eq!(back, prices);
        assert!(bits <= 8 * 100 + 60, "{bits}");
        let sums: Vec<f64> = (0..100)
            .map(|i| 0.1 + f64::from(i * 37 % 256) / 10.0)
            .collect();
        let (back, bits) = round_trip(&sums);
        assert_eq!(back, sums);
        assert!(bits <= 10 * 100 + 100, "{bits}");
    }

    proptest! {
        #[test]
        fn floats_survive_the_round_trip(values in any_floats(0..129)) {
            let back = round_trip(&values).0;
            prop_assert!(back.iter().map(|&v| same(v)).eq(values.iter().map(|&v| same(v))), "{back:?} {values:?}");
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in vec(any::<u8>(), 0..200), n in 0_usize..129) {
            read(&mut Reader::new(&bytes), &mut vec![0.0; n]);
        }
    }
}
