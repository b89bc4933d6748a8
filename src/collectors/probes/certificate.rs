//! When a certificate expires: as much of X.509 as leads there.

/// `notAfter` in seconds since the Unix epoch; `None`: it is no certificate that anybody could read.
pub(super) fn not_after(der: &[u8]) -> Option<u64> {
    let (certificate, _) = element(der, SEQUENCE)?;
    let (to_sign, _) = element(certificate, SEQUENCE)?;
    // The version may be left out; then come serial number, algorithm and issuer.
    let rest = element(to_sign, VERSION).map_or(to_sign, |(_, rest)| rest);
    let (_, rest) = element(rest, INTEGER)?;
    let (_, rest) = element(rest, SEQUENCE)?;
    let (_, rest) = element(rest, SEQUENCE)?;
    let (validity, _) = element(rest, SEQUENCE)?;
    let (_, rest) = time(validity)?;
    time(rest).map(|(time, _)| time)
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// What the first element of this type holds, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (short, rest) = rest.split_first()?;
    let (length, rest) = match *short {
        0..=0x7f => (usize::from(*short), rest),
        // Up to four bytes of length.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            let length = bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    (*first == tag).then(|| rest.split_at_checked(length))?
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn time(der: &[u8]) -> Option<(u64, &[u8])> {
    let (text, rest, is_short) = match element(der, UTC_TIME) {
        Some((text, rest)) => (text, rest, true),
        None => element(der, GENERALIZED_TIME).map(|(text, rest)| (text, rest, false))?,
    };
    let digits = text.strip_suffix(b"Z")?;
    if digits.len() != if is_short { 12 } else { 14 } || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |digits: &[u8]| {
        digits
            .iter()
            .fold(0, |n, digit| n * 10 + u64::from(digit - b'0'))
    };
    let (year, fields) = digits.split_at_checked(digits.len() - 10)?;
    let year = match number(year) {
        year if !is_short => year,
        year @ 0..50 => 2000 + year,
        year => 1900 + year,
    };
    let fields: Vec<u64> = fields.chunks(2).map(number).collect();
    let [month, day, hour, minute, second] = fields.try_into().ok()?;
    let days = days(year, month, day)?;
    Some((days * 86_400 + hour * 3_600 + minute * 60 + second, rest))
}

/// Days from 1970-01-01.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March end with the day that some of them have not.
    let year = if month > 2 {
        year
    } else {
        year.checked_sub(1)?
    };
    let month = (month + 9) % 12;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    days.checked_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(days(1970, 1, 1), Some(0));
        assert_eq!(days(2000, 2, 29), Some(11_016));
        assert_eq!(days(2026, 11, 28), Some(20_785));
        assert_eq!((days(1969, 12, 31), days(2026, 13, 1)), (None, None));
    }

    proptest! {
        #[test]
        fn bytes_of_any_kind_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = not_after(&bytes);
            let nested = [vec![0x30, 0x7f, 0x30, 0x7f, 0x02, 0x00, 0x30, 0x00, 0x30, 0x00, 0x30, 0x20, 0x17, 0x0d], bytes].concat();
            let _ = not_after(&nested);
        }
    }
}
