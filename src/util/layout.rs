//! How many bytes an allocation asks the allocator for, so that the ledger can charge it before it is made.

/// Bytes of an `Arc<T>`: two counts in front of the value.
pub(crate) const fn arc<T>() -> usize {
    let counts = 2 * size_of::<usize>();
    let at = counts.next_multiple_of(align_of::<T>());
    let align = if align_of::<T>() > align_of::<usize>() {
        align_of::<T>()
    } else {
        align_of::<usize>()
    };
    (at + size_of::<T>()).next_multiple_of(align)
}

/// Bytes of a vector's buffer for `capacity` elements.
pub(crate) const fn vec<T>(capacity: usize) -> usize {
    capacity * size_of::<T>()
}

/// The capacity that a vector grows to when it is full: a quarter more, so that slack stays below a fifth.
pub(crate) const fn grown(capacity: usize) -> usize {
    if capacity < 8 {
        8
    } else {
        capacity + capacity / 4
    }
}

/// Moves a vector into a buffer of exactly `capacity`, which the caller has reserved.
pub(crate) fn regrow<T>(items: &mut Vec<T>, capacity: usize) {
    let mut larger = Vec::with_capacity(capacity);
    larger.append(items);
    *items = larger;
}
