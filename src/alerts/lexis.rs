//! What templates and conditions have in common as texts: positions, names of labels, strings.

/// The character that byte `at` belongs to, from 1.
pub(crate) fn position(text: &str, at: usize) -> usize {
    let before = text.char_indices().take_while(|(i, _)| *i < at);
    before.count() + 1
}

/// Whether Prometheus would take it for the name of a label.
pub(crate) fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The string at the beginning of `text`, and how many bytes it takes there.
pub(crate) fn string(text: &str) -> Option<(String, usize)> {
    if let Some(raw) = text.strip_prefix('`') {
        let len = raw.find('`')?;
        return Some((raw[..len].to_owned(), len + 2));
    }
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, at + 1)),
            '\\' => out.push(match chars.next()?.1 {
                'n' => '\n',
                't' => '\t',
                c @ ('"' | '\\') => c,
                _ => return None,
            }),
            c => out.push(c),
        }
    }
    None
}
