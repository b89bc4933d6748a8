//! Decoders take any bytes; what is encoded comes back; keys are equal when their labels are; patterns fit what they say.
#![no_main]

#[path = "common/text.rs"]
mod text;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use metrics_recall::{
    fuzzing::{
        Bucket, LONGEST_KEY, MOST_LABELS, MOST_SPANS, Span, canonical, decode_buckets,
        encode_buckets, encode_distribution, fits, labels, same_labels, settle_buckets,
        split_distribution, visit_buckets,
    },
    metrics::{Key, Label},
};
use std::collections::BTreeMap;
use text::{Labels, Text};

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Bytes(&'a [u8]),
    Distribution {
        spans: Vec<Span>,
        fine: BTreeMap<Code, Count>,
        cut: u16,
    },
    Settle(Vec<(Code, Count)>),
    Keys {
        name: Text<'a>,
        one: Labels<'a>,
        other: Labels<'a>,
        order: Vec<u8>,
        bytes: &'a [u8],
    },
    Pattern {
        text: &'a str,
        /// The pattern, in pieces of the text.
        pieces: Vec<Piece<'a>>,
    },
}

#[derive(Arbitrary, Debug)]
enum Piece<'a> {
    Star,
    /// So many characters of the text, from one of them on.
    Part(u8, u8),
    Any(&'a str),
}

/// Codes near each other are the usual case; so are small counts.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Code {
    Near(u8),
    Any(i32),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Count {
    Few(u8),
    Some(u16),
    Any(u64),
}

fn bucket((code, count): (&Code, &Count)) -> Bucket {
    let code = match code {
        Code::Near(code) => i32::from(*code),
        Code::Any(code) => *code,
    };
    let count = match count {
        Count::Few(n) => u64::from(*n),
        Count::Some(n) => u64::from(*n),
        Count::Any(n) => *n,
    };
    (code, count.max(1))
}

fn buckets(fine: &BTreeMap<Code, Count>) -> Vec<Bucket> {
    let sorted: BTreeMap<i32, u64> = fine.iter().map(bucket).collect();
    sorted.into_iter().collect()
}

/// Several lists as one, and the same said naively.
fn settle(list: &[(Code, Count)]) {
    let mut list: Vec<Bucket> = list.iter().map(|(a, b)| bucket((a, b))).collect();
    let mut naive: BTreeMap<i32, u64> = BTreeMap::new();
    for (code, count) in &list {
        let sum = naive.entry(*code).or_default();
        *sum = sum.wrapping_add(*count);
    }
    naive.retain(|_, count| *count > 0);
    settle_buckets(&mut list);
    assert_eq!(list, naive.into_iter().collect::<Vec<_>>());
}

/// Both readers, which must agree.
fn decoded(bytes: &[u8]) -> Vec<Bucket> {
    let mut list = Vec::new();
    visit_buckets(bytes, |code, count| list.push((code, count)));
    let mut reader = decode_buckets(bytes);
    let read: Vec<Bucket> = reader.by_ref().collect();
    assert_eq!(list, read, "the two readers differ");
    assert_eq!(reader.next(), None, "a list that has ended goes on");
    assert!(list.is_sorted_by(|a, b| a.0 < b.0), "codes descend");
    assert!(list.iter().all(|bucket| bucket.1 > 0), "an empty bucket");
    list
}

fn any_bytes(bytes: &[u8]) {
    let list = decoded(bytes);
    let (again, len) = encode_buckets(&list);
    assert_eq!(again.len(), len);
    assert!(len <= bytes.len(), "shorter bytes said as much");
    assert_eq!(decoded(&again), list);

    let (spans, fine) = split_distribution(bytes);
    let spans: Vec<Span> = spans.collect();
    assert!(spans.len() <= MOST_SPANS);
    let list = decoded(fine);
    let (again, len) = encode_distribution(&spans, &list);
    assert_eq!(again.len(), len);
    assert!(len <= bytes.len().max(1));

    let mut read = 0;
    for (name, value) in labels(bytes) {
        read += 4 + name.len() + value.len();
    }
    assert!(read <= bytes.len());
}

fn distribution(mut spans: Vec<Span>, fine: &[Bucket], cut: u16) {
    let (mut bytes, len) = encode_buckets(fine);
    assert_eq!(bytes.len(), len);
    assert_eq!(decoded(&bytes), fine);
    bytes.truncate(usize::from(cut) % (len + 1));
    assert!(
        fine.starts_with(&decoded(&bytes)),
        "a cut list is no prefix"
    );

    spans.truncate(MOST_SPANS);
    let (bytes, len) = encode_distribution(&spans, fine);
    assert_eq!(bytes.len(), len);
    let (back, rest) = split_distribution(&bytes);
    assert_eq!(back.collect::<Vec<_>>(), spans);
    assert_eq!(decoded(rest), fine);
}

/// What a set of labels means, said naively.
fn meaning(list: &[Label]) -> BTreeMap<&str, &str> {
    let mut map = BTreeMap::new();
    for label in list {
        map.insert(label.key(), label.value());
    }
    map.retain(|_, value| !value.is_empty());
    map
}

fn is_too_long(key: &Key) -> bool {
    let each = key.labels().map(|l| 4 + l.key().len() + l.value().len());
    each.sum::<usize>() + key.name().len() > LONGEST_KEY || key.labels().len() > MOST_LABELS
}

/// The same labels in another order, in which of equal names the last one is still the last.
fn shuffled(list: &[Label], order: &[u8]) -> Vec<Label> {
    let mut names: Vec<&str> = list.iter().map(Label::key).collect();
    names.sort_unstable();
    names.dedup();
    let rank = |label: &Label| {
        let at = names.binary_search(&label.key()).unwrap_or(0);
        let rank = order.get(at % order.len().max(1)).copied().unwrap_or(0);
        (rank, std::cmp::Reverse(at))
    };
    let mut list = list.to_vec();
    list.sort_by_key(rank);
    list
}

fn keys(name: Text<'_>, one: &Labels<'_>, other: &Labels<'_>, order: &[u8], any: &[u8]) {
    let one = one.list();
    let key = Key::from_parts(name.shared(), one.clone());
    let _ = same_labels(&key, any);
    let Some(bytes) = canonical(&key) else {
        assert!(is_too_long(&key));
        return;
    };
    assert!(!is_too_long(&key));
    let meant = meaning(&one);
    assert_eq!(labels(&bytes).collect::<BTreeMap<_, _>>(), meant);
    assert_eq!(labels(&bytes).count(), meant.len());
    assert!(labels(&bytes).is_sorted_by(|a, b| a.0 < b.0));
    assert!(same_labels(&key, &bytes));
    let read: Vec<Label> = labels(any)
        .map(|(k, v)| Label::new(k.to_owned(), v.to_owned()))
        .collect();
    let any_is_canonical =
        canonical(&Key::from_parts(name.shared(), read)).is_some_and(|again| *again == *any);
    if any_is_canonical && any != bytes {
        assert!(!same_labels(&key, any), "other bytes are the same labels");
    }

    let same = Key::from_parts(name.shared(), shuffled(&one, order));
    assert_eq!(canonical(&same).as_ref(), Some(&bytes));
    assert!(same_labels(&same, &bytes));

    let other = other.list();
    let key = Key::from_parts(name.shared(), other.clone());
    if let Some(others) = canonical(&key) {
        let equal = meaning(&other) == meant;
        assert_eq!(others == bytes, equal);
        assert_eq!(same_labels(&key, &bytes), equal);
    }
}

/// By the definition: `ends` are the places in the text at which what was read of the pattern may end.
fn fits_naively(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut ends = vec![false; text.len() + 1];
    ends[0] = true;
    for wanted in pattern.chars() {
        let mut any = false;
        let next = |at: usize| match wanted {
            '*' => {
                any |= ends[at];
                any
            }
            _ => at > 0 && ends[at - 1] && text[at - 1] == wanted,
        };
        ends = (0..ends.len()).map(next).collect();
    }
    ends[text.len()]
}

fn pattern(text: &str, pieces: &[Piece<'_>]) {
    let chars: Vec<char> = text.chars().collect();
    let mut pattern = String::new();
    for piece in pieces {
        match piece {
            Piece::Star => pattern.push('*'),
            Piece::Any(text) => pattern.push_str(text),
            Piece::Part(from, len) => {
                let part = chars.iter().skip((*from).into()).take((*len).into());
                pattern.extend(part);
            }
        }
    }
    let expected = fits_naively(&pattern, text);
    assert_eq!(fits(&pattern, text), expected, "{pattern:?} and {text:?}");
}

fuzz_target!(|input: Input<'_>| {
    match input {
        Input::Bytes(bytes) => any_bytes(bytes),
        Input::Distribution { spans, fine, cut } => distribution(spans, &buckets(&fine), cut),
        Input::Settle(list) => settle(&list),
        Input::Keys {
            name,
            one,
            other,
            order,
            bytes,
        } => keys(name, &one, &other, &order, bytes),
        Input::Pattern { text, pieces } => pattern(text, &pieces),
    }
});
