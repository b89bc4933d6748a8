//! Numbers as Prometheus writes and reads them.

use std::io::Write;

/// Appends an integer.
pub(super) fn integer(mut n: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        if let (Some(place), Ok(digit)) = (digits.get_mut(at), u8::try_from(n % 10)) {
            *place = b'0' + digit;
        }
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// Integers from here on are not all floats.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Appends the value of a sample: the shortest text that reads as the same float.
pub(super) fn float(x: f64, out: &mut Vec<u8>) {
    if x.fract() == 0.0 && (0.0..EXACT).contains(&x) && x.is_sign_positive() {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an integer in the range"
        )]
        return integer(x as u64, out);
    }
    general(x, out);
}

/// Appends milliseconds as seconds with three digits behind the point.
pub(super) fn seconds(ms: i64, out: &mut Vec<u8>) {
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    // A vector is a writer that never fails.
    let _ = write!(out, "{sign}{}.{:03}", ms / 1000, ms % 1000);
}

/// Appends a bound or a quantile in the canonical form of `OpenMetrics`, which has a point or an exponent in each number.
pub(super) fn canonical(x: f64, out: &mut Vec<u8>) {
    let from = out.len();
    general(x, out);
    let text = out.get(from..).unwrap_or_default();
    if x.is_finite() && !text.iter().any(|c| matches!(c, b'.' | b'e')) {
        out.extend_from_slice(b".0");
    }
}

/// As Go's `%g` with the fewest digits.
fn general(x: f64, out: &mut Vec<u8>) {
    if x.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if x.is_infinite() {
        return out.extend_from_slice(if x > 0.0 { b"+Inf" } else { b"-Inf" });
    }
    let from = out.len();
    // A vector is a writer that never fails.
    let _ = write!(out, "{x:e}");
    // Seventeen digits, a sign, a point and an exponent.
    let mut copy = [0; 32];
    let text = out.get(from..).unwrap_or_default();
    let Some(copy) = copy.get_mut(..text.len()) else {
        return;
    };
    copy.copy_from_slice(text);
    let mark = copy.iter().position(|c| *c == b'e').unwrap_or(copy.len());
    let (digits, exponent) = copy.split_at(mark);
    let exponent = std::str::from_utf8(exponent.get(1..).unwrap_or_default());
    let exponent: i32 = exponent.ok().and_then(|e| e.parse().ok()).unwrap_or(0);
    out.truncate(from);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        out.extend_from_slice(digits);
        let _ = write!(out, "e{sign}{:02}", exponent.unsigned_abs());
        return;
    }
    if x.is_sign_negative() {
        out.push(b'-');
    }
    let mut digits = digits.iter().filter(|c| c.is_ascii_digit());
    // Before the point: as many digits as the exponent says, and one; or none, and zeros behind it.
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        (exponent..-1).for_each(|_| out.push(b'0'));
    } else {
        (0..=exponent).for_each(|_| out.push(*digits.next().unwrap_or(&b'0')));
        if let Some(first) = digits.next() {
            out.extend_from_slice(&[b'.', *first]);
        }
    }
    out.extend(digits);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl Fn(f64, &mut Vec<u8>), x: f64) -> String {
        let mut out = Vec::new();
        write(x, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    /// What Prometheus' `FormatOpenMetricsFloat` gives.
    #[test]
    fn bounds_are_canonical() {
        for (x, expected) in [
            (1.0, "1.0"),
            (0.0, "0.0"),
            (-1.0, "-1.0"),
            (0.005, "0.005"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (100_000.0, "100000.0"),
            (1e6, "1e+06"),
            (1_048_576.0, "1.048576e+06"),
            (1e300, "1e+300"),
            (f64::INFINITY, "+Inf"),
            (0.5, "0.5"),
            (1.5e-9, "1.5e-09"),
        ] {
            assert_eq!(text(canonical, x), expected);
        }
    }

    #[test]
    fn whole_values_have_no_point() {
        for (x, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (7.0, "7"),
            (1e15, "1000000000000000"),
        ] {
            assert_eq!(text(float, x), expected);
        }
        assert_eq!(
            text(|_, out| integer(u64::MAX, out), 0.0),
            u64::MAX.to_string()
        );
    }

    proptest! {
        #[test]
        fn every_float_reads_as_itself(bits: u64) {
            let x = f64::from_bits(bits);
            prop_assume!(!x.is_nan());
            for write in [float, canonical] {
                let text = text(write, x);
                let back: f64 = text.replace("Inf", "inf").parse().expect("a number");
                prop_assert_eq!(back.to_bits(), x.to_bits(), "{}", text);
            }
        }
    }
}
