//! Names that are nearly what somebody wrote.

use super::text::{Brief, clip};

/// Characters of a name that are compared.
const LONGEST: usize = 128;

/// The names that are nearest to `wanted`, nearest first, then in alphabetical order; at most three, and none that has
/// little in common with it. Cost: the product of the lengths, for each name.
pub(crate) struct Nearest<'a> {
    wanted: &'a str,
    found: Vec<(usize, String)>,
}

const MOST: usize = 3;

/// Bytes of the longest name that there may be.
const LONGEST_NAME: usize = 4096;

impl<'a> Nearest<'a> {
    pub(crate) fn to(wanted: &'a str) -> Self {
        Self {
            // No name is longer, and so none is near that differs only after that.
            wanted: clip(wanted, LONGEST_NAME),
            found: Vec::new(),
        }
    }

    pub(crate) fn look_at(&mut self, name: &str) {
        let far = far(self.wanted);
        let distance = distance(self.wanted, name);
        // One that is a part of the other is near, too, as in `orders` and `orders_total`.
        let is_part = self.wanted.len() > 2
            && (name.contains(self.wanted) || name.len() > 2 && self.wanted.contains(name));
        if distance > far && !is_part {
            return;
        }
        let place = (distance, name.to_owned());
        let at = self.found.partition_point(|other| *other < place);
        if self.found.get(at) != Some(&place) {
            self.found.insert(at, place);
            self.found.truncate(MOST);
        }
    }

    /// What was found, for the end of a sentence: `; did you mean ..?`, or nothing.
    pub(crate) fn hint(&self) -> String {
        let names: Vec<String> = self
            .found
            .iter()
            .map(|(_, name)| format!("`{}`", Brief(name)))
            .collect();
        if names.is_empty() {
            return String::new();
        }
        format!("; the nearest are {}", names.join(", "))
    }
}

/// More changes than this make another name.
fn far(wanted: &str) -> usize {
    (wanted.chars().take(LONGEST).count() / 3).max(1)
}

/// How many characters must be put in, taken out, replaced, or swapped with the next one.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(LONGEST).collect();
    let b: Vec<char> = b.chars().take(LONGEST).collect();
    let mut two_before = vec![0; b.len() + 1];
    let mut before: Vec<usize> = (0..=b.len()).collect();
    let mut now = vec![0; b.len() + 1];
    for i in 1..=a.len() {
        now[0] = i;
        for j in 1..=b.len() {
            let differs = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (before[j] + 1)
                .min(now[j - 1] + 1)
                .min(before[j - 1] + differs);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(two_before[j - 2] + 1);
            }
            now[j] = least;
        }
        std::mem::swap(&mut two_before, &mut before);
        std::mem::swap(&mut before, &mut now);
    }
    before[b.len()]
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn nearest(wanted: &str, names: &[&str]) -> String {
        let mut nearest = Nearest::to(wanted);
        for name in names {
            nearest.look_at(name);
        }
        nearest.hint()
    }

    #[test]
    fn distances_are_known() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("kitten", "sitting", 3),
            ("ab", "ba", 1),
            ("größe", "grösse", 2),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn typos_are_found_and_strangers_are_not() {
        let names = [
            "orders_total",
            "checkout_seconds",
            "queue_depth",
            "checkout_errors_total",
        ];
        assert_eq!(
            nearest("chekout_seconds", &names),
            "; the nearest are `checkout_seconds`"
        );
        assert_eq!(
            nearest("orders", &names),
            "; the nearest are `orders_total`"
        );
        assert_eq!(nearest("zzz", &names), "");
    }

    #[test]
    fn no_more_than_three_are_named() {
        let names = ["a1", "a2", "a3", "a4", "a5"];
        assert_eq!(nearest("a0", &names), "; the nearest are `a1`, `a2`, `a3`");
    }
}
