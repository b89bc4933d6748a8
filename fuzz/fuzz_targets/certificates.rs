//! Whatever a server says is its certificate, reading when it expires ends; of one that is none the worse for its other fields, the
//! date is that of a calendar which counts day by day; and of one that is cut there is none.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use metrics_recall::fuzzing::certificate_expiry;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    year: u16,
    month: u8,
    day: u8,
    second: u32,
    is_short: bool,
    has_version: bool,
    serial: &'a [u8],
    issuer: &'a [u8],
    rest: &'a [u8],
    cut: u16,
}

/// An element in as many bytes of length as it takes.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut der = vec![tag];
    match length {
        0..0x80 => der.push(length as u8),
        0x80..0x100 => der.extend([0x81, length as u8]),
        _ => der.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    der.extend_from_slice(content);
    der
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of(month: u64, year: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn seconds(year: u64, month: u64, day: u64, second: u64) -> u64 {
    let years = (1970..year).map(|year| 365 + u64::from(is_leap(year)));
    let months = (1..month).map(|month| days_of(month, year));
    (years.sum::<u64>() + months.sum::<u64>() + day - 1) * 86_400 + second
}

fuzz_target!(|input: Input| {
    let _ = certificate_expiry(input.rest);
    let most = if input.is_short { 2050 } else { 10_000 };
    let year = 1970 + u64::from(input.year) % (most - 1970);
    let month = 1 + u64::from(input.month) % 12;
    let day = 1 + u64::from(input.day) % days_of(month, year);
    let second = u64::from(input.second) % 86_400;
    let (hours, minutes) = (second / 3_600, second / 60 % 60);
    let clock = format!(
        "{month:02}{day:02}{hours:02}{minutes:02}{:02}Z",
        second % 60
    );
    let time = if input.is_short {
        element(0x17, format!("{:02}{clock}", year % 100).as_bytes())
    } else {
        element(0x18, format!("{year:04}{clock}").as_bytes())
    };
    let before = element(0x17, b"000101000000Z");
    let version = if input.has_version {
        element(0xa0, &[2, 1, 2])
    } else {
        Vec::new()
    };
    let to_sign = [
        version,
        element(0x02, input.serial),
        element(0x30, &[]),
        element(0x30, input.issuer),
        element(0x30, &[before, time].concat()),
        input.rest.to_vec(),
    ];
    let certificate = element(0x30, &element(0x30, &to_sign.concat()));
    let expected = seconds(year, month, day, second);
    assert_eq!(
        certificate_expiry(&certificate),
        Some(expected),
        "{input:?}"
    );
    let cut = usize::from(input.cut) % certificate.len();
    assert_eq!(certificate_expiry(&certificate[..cut]), None);
    let mut broken = certificate;
    broken[cut] ^= 1 << (input.cut % 8);
    let _ = certificate_expiry(&broken);
});
