//! What Linux tells of a process in `/proc/self`.

use super::{Process, usage};
use crate::intake::CollectError;
use std::{fs, sync::OnceLock};

pub(super) fn read(to: &mut Process) -> Result<(), CollectError> {
    let text = fs::read("/proc/self/stat")?;
    let stat = Stat::parse(&String::from_utf8_lossy(&text))
        .ok_or_else(|| CollectError::decode("/proc/self/stat has other fields than Linux gives"))?;
    to.threads = Some(stat.threads);
    to.virtual_bytes = Some(stat.virtual_bytes);
    let page = usage::constant(libc::_SC_PAGESIZE);
    to.resident_bytes = page.map(|page| page * stat.resident_pages);
    to.start_seconds = start_seconds(stat.start_ticks);
    // The directory itself is open while it is listed.
    to.open_fds = Some((fs::read_dir("/proc/self/fd")?.count() as u64).saturating_sub(1));
    Ok(())
}

/// Some fields of `/proc/self/stat`.
#[derive(Debug, PartialEq)]
struct Stat {
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in parentheses, and may hold both blanks and parentheses.
        let (_, rest) = text.rsplit_once(')')?;
        // What follows is the third field.
        let field = |number: usize| rest.split_whitespace().nth(number - 3)?.parse().ok();
        Some(Self {
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// A process begins once, so this is read once.
#[expect(clippy::cast_precision_loss, reason = "seconds with their fraction")]
fn start_seconds(ticks: u64) -> Option<f64> {
    static BOOT: OnceLock<Option<f64>> = OnceLock::new();
    let boot = *BOOT.get_or_init(|| {
        let text = fs::read_to_string("/proc/stat").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
        line.trim().parse().ok()
    });
    let per_second = usage::constant(libc::_SC_CLK_TCK)?;
    Some(boot? + ticks as f64 / per_second as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_moves_no_field() {
        let rest = "R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 42 0 700 4096 3 999";
        let stat = Stat::parse(&format!("7 (a ) b (c) {rest}"));
        let expected = Stat {
            threads: 42,
            start_ticks: 700,
            virtual_bytes: 4096,
            resident_pages: 3,
        };
        // The third field is the state, so `R` is 3 and `42` is 20.
        assert_eq!(stat, Some(expected));
        assert_eq!(Stat::parse("7 (a) R 1 2"), None);
        assert_eq!(Stat::parse(""), None);
    }
}
