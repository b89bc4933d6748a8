//! Canonical keys: from the labels that a macro gives to the bytes that name a series.
//!
//! Labels are sorted by name, of a name given twice the last one wins, empty values are dropped. The form of the bytes
//! is in `model::labels`. A key above [`LONGEST`] bytes or [`MOST_LABELS`] labels is refused unread.

use metrics::{Key, Label};

/// Bytes of name and labels together that a key may have.
pub(crate) const LONGEST: usize = 4096;

/// Labels that a key may have.
pub(crate) const MOST_LABELS: usize = 128;

/// Labels of every overflow series, in canonical form.
pub(crate) const OVERFLOW: &[u8] = b"\x08\x00overflow\x04\x00true";

/// Most keys fit into this many bytes; clearing more on every miss would cost more than the lookup.
const SHORT: usize = 512;

/// The key is above [`LONGEST`] or [`MOST_LABELS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Bytes that the canonical form of `labels` has at most.
fn measure(labels: &[Label]) -> usize {
    let each = |l: &Label| {
        4usize
            .saturating_add(l.key().len())
            .saturating_add(l.value().len())
    };
    labels.iter().map(each).fold(0, usize::saturating_add)
}

/// Calls `then` with the canonical bytes of the labels, which live on the stack.
pub(crate) fn with_canonical<T>(key: &Key, then: impl FnOnce(&[u8]) -> T) -> Result<T, TooLong> {
    let labels = key.labels().as_slice();
    let bytes = measure(labels);
    if labels.len() > MOST_LABELS || bytes.saturating_add(key.name().len()) > LONGEST {
        return Err(TooLong);
    }
    if bytes == 0 {
        return Ok(then(&[]));
    }
    if bytes <= SHORT {
        let mut buffer = [0; SHORT];
        let len = write(labels, &mut buffer);
        return Ok(then(buffer.get(..len).unwrap_or_default()));
    }
    Ok(long(labels, then))
}

#[cold]
#[inline(never)]
fn long<T>(labels: &[Label], then: impl FnOnce(&[u8]) -> T) -> T {
    let mut buffer = [0; LONGEST];
    let len = write(labels, &mut buffer);
    then(buffer.get(..len).unwrap_or_default())
}

/// Writes the canonical form; `buffer` has room for what [`measure`] says.
fn write(labels: &[Label], buffer: &mut [u8]) -> usize {
    let mut order = [0u8; MOST_LABELS];
    let order = sorted(labels, &mut order);
    let mut at = 0;
    for (i, this) in order.iter().enumerate() {
        let Some(label) = labels.get(usize::from(*this)) else {
            continue;
        };
        let next = order.get(i + 1).and_then(|n| labels.get(usize::from(*n)));
        let replaced = next.is_some_and(|next| next.key() == label.key());
        if !replaced && !label.value().is_empty() {
            at = put(buffer, at, label.key());
            at = put(buffer, at, label.value());
        }
    }
    at
}

/// Positions of `labels` in order of their names; equal names keep their order. Few labels: insertion is fastest.
fn sorted<'a>(labels: &[Label], order: &'a mut [u8; MOST_LABELS]) -> &'a [u8] {
    let key = |at: u8| labels.get(usize::from(at)).map_or("", Label::key);
    let mut len = 0;
    for new in (0..labels.len()).filter_map(|i| u8::try_from(i).ok()) {
        let mut hole = len;
        while hole > 0 && order.get(hole - 1).is_some_and(|at| key(*at) > key(new)) {
            order.copy_within(hole - 1..hole, hole);
            hole -= 1;
        }
        if let Some(place) = order.get_mut(hole) {
            *place = new;
            len += 1;
        }
    }
    order.get(..len).unwrap_or_default()
}

fn put(buffer: &mut [u8], at: usize, text: &str) -> usize {
    let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
    let end = at + 2 + text.len();
    if let Some(place) = buffer.get_mut(at..end) {
        let (head, tail) = place.split_at_mut(2);
        head.copy_from_slice(&len.to_le_bytes());
        tail.copy_from_slice(text.as_bytes());
    }
    end
}

/// Whether `key` has exactly the labels that `canonical` has. Fast when they come in canonical order.
pub(crate) fn same_labels(key: &Key, canonical: &[u8]) -> bool {
    let given = key.labels().as_slice();
    if given.is_empty() {
        return canonical.is_empty();
    }
    in_order(given, canonical)
        || match given {
            // One label has no other order, but it may say nothing.
            [only] => only.value().is_empty() && canonical.is_empty(),
            _ => with_canonical(key, |bytes| bytes == canonical).unwrap_or(false),
        }
}

fn in_order(given: &[Label], canonical: &[u8]) -> bool {
    let mut rest = canonical;
    let all = given.iter().all(|label| {
        strip(rest, label.key())
            .and_then(|value| strip(value, label.value()))
            .inspect(|tail| rest = tail)
            .is_some()
    });
    all && rest.is_empty()
}

/// What follows `text` in canonical bytes that begin with it.
#[inline]
fn strip<'a>(canonical: &'a [u8], text: &str) -> Option<&'a [u8]> {
    let (len, rest) = canonical.split_first_chunk::<2>()?;
    if usize::from(u16::from_le_bytes(*len)) != text.len() {
        return None;
    }
    rest.strip_prefix(text.as_bytes())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn canonical(pairs: &[(&str, &str)]) -> Vec<u8> {
        let labels: Vec<Label> = pairs
            .iter()
            .map(|(k, v)| Label::new((*k).to_owned(), (*v).to_owned()))
            .collect();
        let key = Key::from_parts("n", labels);
        let bytes = with_canonical(&key, <[u8]>::to_vec).expect("a short key");
        assert!(same_labels(&key, &bytes));
        bytes
    }

    #[test]
    fn order_duplicates_and_empty_values_do_not_matter() {
        let plain = canonical(&[("a", "1"), ("b", "2")]);
        assert_eq!(canonical(&[("b", "2"), ("a", "1")]), plain);
        assert_eq!(canonical(&[("a", "0"), ("b", "2"), ("a", "1")]), plain);
        assert_eq!(canonical(&[("c", ""), ("b", "2"), ("a", "1")]), plain);
        assert_ne!(canonical(&[("a", "1")]), plain);
        assert!(canonical(&[("a", "1"), ("a", "")]).is_empty());
        assert!(canonical(&[("a", "")]).is_empty());
    }

    #[test]
    fn the_constant_of_overflow_is_canonical() {
        assert_eq!(canonical(&[("overflow", "true")]), OVERFLOW);
    }

    #[test]
    fn forty_labels_in_any_order_are_one_key() {
        let names: Vec<String> = (0..40).map(|i| format!("label{i:02}")).collect();
        let mut pairs: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "v")).collect();
        let sorted = canonical(&pairs);
        pairs.reverse();
        assert_eq!(canonical(&pairs), sorted);
        assert_eq!(crate::model::labels::iter(&sorted).count(), 40);
    }

    #[test]
    fn what_is_too_long_is_refused_unread() {
        let long = "x".repeat(LONGEST);
        let key = Key::from_parts("n", vec![Label::new("k", long)]);
        assert_eq!(with_canonical(&key, |_| ()), Err(TooLong));
        let many: Vec<Label> = (0..=MOST_LABELS)
            .map(|i| Label::new(i.to_string(), "v"))
            .collect();
        assert_eq!(
            with_canonical(&Key::from_parts("n", many), |_| ()),
            Err(TooLong)
        );
    }
}
