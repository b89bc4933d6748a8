//! Labels in their two forms: the canonical bytes that a series keeps, and the owned set that an answer carries.
//!
//! Canonical bytes: for each label in order of its name, `len u16, name, len u16, value`, lengths little-endian. Names
//! are unique, values are not empty. Two label sets are equal exactly when their bytes are.

use std::{fmt, sync::Arc};

/// The labels of an answer, sorted by name. Cheap to clone.
///
/// ```
/// use metrics_recall::Labels;
///
/// let labels = Labels::from([("route", "/pay"), ("code", "200")]);
/// assert_eq!(labels.get("route"), Some("/pay"));
/// assert_eq!(labels.to_string(), r#"{code="200",route="/pay"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

impl Labels {
    /// The value of the label called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (&**n, &**v))
    }

    /// All labels of canonical `bytes`.
    pub(crate) fn all(bytes: &[u8]) -> Self {
        Self(iter(bytes).map(|(n, v)| (n.into(), v.into())).collect())
    }

    /// Canonical bytes. A name or value beyond 64 KiB is left out; no series has such.
    pub(crate) fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, value) in self.iter() {
            if let (Ok(n), Ok(v)) = (u16::try_from(name.len()), u16::try_from(value.len())) {
                bytes.extend_from_slice(&n.to_le_bytes());
                bytes.extend_from_slice(name.as_bytes());
                bytes.extend_from_slice(&v.to_le_bytes());
                bytes.extend_from_slice(value.as_bytes());
            }
        }
        bytes
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        let text = |text: &str| (2 * size_of::<usize>() + text.len()).next_multiple_of(8);
        let texts = self.iter().map(|(name, value)| text(name) + text(value));
        2 * size_of::<usize>() + size_of_val(&*self.0) + texts.sum::<usize>()
    }

    /// A copy that shares nothing, with others beside them; of a name that both have, the other.
    pub(crate) fn with<'a>(&'a self, more: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut all: Vec<(Arc<str>, Arc<str>)> = Vec::with_capacity(self.len());
        for (name, value) in self.iter().chain(more) {
            all.retain(|(known, _)| **known != *name);
            if !value.is_empty() {
                all.push((name.into(), value.into()));
            }
        }
        all.sort();
        Self(all.into())
    }

    /// A copy of those that have one of these names, which shares nothing.
    pub(crate) fn only(&self, names: &[Box<str>]) -> Self {
        let kept = self
            .iter()
            .filter(|(n, _)| names.iter().any(|name| **name == **n));
        Self(kept.map(|(n, v)| (n.into(), v.into())).collect())
    }

    /// For each of `names`, the value that canonical `bytes` have for it; a label that is absent is left out.
    pub(crate) fn select(bytes: &[u8], names: &[Box<str>]) -> Self {
        let kept = selected(bytes, names);
        Self(kept.map(|(n, v)| (n.into(), v.into())).collect())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Labels {
    /// Sorts by name; of a name that is given twice the last one stays.
    fn from(pairs: [(&str, &str); N]) -> Self {
        let mut sorted: Vec<(Arc<str>, Arc<str>)> = Vec::with_capacity(N);
        for (name, value) in pairs {
            sorted.retain(|(n, _)| **n != *name);
            sorted.push((name.into(), value.into()));
        }
        sorted.sort();
        Self(sorted.into())
    }
}

impl fmt::Display for Labels {
    /// As Prometheus writes them, `{name="value"}`; quotes, backslashes and line feeds in values are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::from("{");
        for (i, (name, value)) in self.iter().enumerate() {
            if i > 0 {
                text.push(',');
            }
            text.push_str(name);
            text.push_str("=\"");
            for c in value.chars() {
                match c {
                    '"' => text.push_str("\\\""),
                    '\\' => text.push_str("\\\\"),
                    '\n' => text.push_str("\\n"),
                    c => text.push(c),
                }
            }
            text.push('"');
        }
        text.push('}');
        f.pad(&text)
    }
}

/// A map from names to values.
#[cfg(feature = "serde")]
impl serde::Serialize for Labels {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// The labels of canonical bytes that have one of these names.
pub(crate) fn selected<'a>(
    bytes: &'a [u8],
    names: &'a [Box<str>],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    iter(bytes).filter(|(n, _)| names.iter().any(|name| **name == **n))
}

/// Reads canonical bytes; ends at the first byte that does not fit the form.
pub(crate) fn iter(bytes: &[u8]) -> impl Iterator<Item = (&str, &str)> + Clone {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let name = take(&mut rest)?;
        let value = take(&mut rest)?;
        Some((name, value))
    })
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(take_bytes(rest)?).ok()
}

/// Takes the next name or value off canonical bytes, which are text.
pub(crate) fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, tail) = rest.split_first_chunk::<2>()?;
    let (text, tail) = tail.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
    *rest = tail;
    Some(text)
}

/// The value of one label in canonical bytes.
pub(crate) fn value_of<'a>(bytes: &'a [u8], name: &str) -> Option<&'a str> {
    iter(bytes).find(|(n, _)| *n == name).map(|(_, v)| v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_escapes_what_prometheus_escapes() {
        let labels = Labels::from([("path", "a\"b\\c\nd")]);
        assert_eq!(labels.to_string(), "{path=\"a\\\"b\\\\c\\nd\"}");
    }

    #[test]
    fn equal_sets_are_equal_in_any_order() {
        let a = Labels::from([("b", "2"), ("a", "1")]);
        let b = Labels::from([("a", "0"), ("a", "1"), ("b", "2")]);
        assert_eq!(a, b);
        assert_eq!(a.len(), 2);
    }

    #[test]
    fn broken_bytes_end_the_reading() {
        assert_eq!(iter(&[255, 255, 1]).count(), 0);
        assert_eq!(value_of(&[1, 0, b'a', 1, 0, b'b'], "a"), Some("b"));
    }
}
