//! Durations as text, both ways: `1h30m`.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

const UNITS: [(&str, u128); 8] = [
    ("w", 604_800_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// `1h30m`; not zero.
pub(in super::super) fn read_duration(text: &str) -> Option<Duration> {
    if text == "all" {
        return Some(Duration::MAX);
    }
    let mut rest = text;
    let mut ns = 0_u128;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[..end])?;
        ns += u128::from(number) * unit;
        rest = &rest[end..];
    }
    let seconds = u64::try_from(ns / 1_000_000_000).ok()?;
    let left = u32::try_from(ns % 1_000_000_000).ok()?;
    (ns > 0).then(|| Duration::new(seconds, left))
}

/// The other way round.
pub(in super::super) struct Span(pub(in super::super) Duration);

impl Display for Span {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 == Duration::MAX {
            return f.write_str("all");
        }
        let mut ns = self.0.as_nanos();
        if ns == 0 {
            return f.write_str("0s");
        }
        // Weeks are for reading only.
        for (unit, size) in &UNITS[1..] {
            if ns >= *size {
                write!(f, "{}{unit}", ns / size)?;
                ns %= size;
            }
        }
        Ok(())
    }
}
