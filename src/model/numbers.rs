//! Whole numbers in four bytes each, or in eight once one of them needs it.

/// A column of whole numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Numbers {
    Narrow(Vec<u32>),
    Wide(Vec<u64>),
}

impl Default for Numbers {
    /// Wide: whatever comes needs no other room than was made for it.
    fn default() -> Self {
        Self::Wide(Vec::new())
    }
}

/// What is in a column.
#[derive(Clone, Copy, Debug)]
pub(crate) enum View<'a> {
    Narrow(&'a [u32]),
    Wide(&'a [u64]),
}

impl View<'_> {
    pub(crate) fn is_empty(self) -> bool {
        match self {
            Self::Narrow(all) => all.is_empty(),
            Self::Wide(all) => all.is_empty(),
        }
    }

    #[inline(always)]
    pub(crate) fn get(self, at: usize) -> Option<u64> {
        match self {
            Self::Narrow(all) => all.get(at).map(|n| u64::from(*n)),
            Self::Wide(all) => all.get(at).copied(),
        }
    }
}

impl Numbers {
    /// Narrow, for as long as no number is wide.
    pub(crate) const fn narrow() -> Self {
        Self::Narrow(Vec::new())
    }

    /// Wide, with room for so many.
    pub(crate) fn with_capacity(n: usize) -> Self {
        Self::Wide(Vec::with_capacity(n))
    }

    pub(crate) fn view(&self) -> View<'_> {
        match self {
            Self::Narrow(all) => View::Narrow(all),
            Self::Wide(all) => View::Wide(all),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Narrow(all) => all.len(),
            Self::Wide(all) => all.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<u64> {
        self.view().get(at)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        let (narrow, wide) = match self.view() {
            View::Narrow(all) => (all, &[][..]),
            View::Wide(all) => (&[][..], all),
        };
        let narrow = narrow.iter().map(|n| u64::from(*n));
        narrow.chain(wide.iter().copied())
    }

    /// Appends a number; where all were narrow and it is not, all become wide.
    #[inline]
    pub(crate) fn push(&mut self, n: u64) {
        match (&mut *self, u32::try_from(n)) {
            (Self::Narrow(all), Ok(n)) => all.push(n),
            (Self::Wide(all), _) => all.push(n),
            (Self::Narrow(_), Err(_)) => {
                self.widen();
                self.push(n);
            }
        }
    }

    /// All numbers take eight bytes from now on, in a buffer as long as before.
    #[cold]
    pub(crate) fn widen(&mut self) {
        if let Self::Narrow(narrow) = self {
            let mut wide = Vec::with_capacity(narrow.capacity());
            wide.extend(narrow.iter().map(|n| u64::from(*n)));
            *self = Self::Wide(wide);
        }
    }

    pub(crate) fn clear(&mut self) {
        match self {
            Self::Narrow(all) => all.clear(),
            Self::Wide(all) => all.clear(),
        }
    }

    /// Bytes of the numbers themselves.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Narrow(all) => size_of_val(&**all),
            Self::Wide(all) => size_of_val(&**all),
        }
    }

    /// Bytes that it holds.
    pub(crate) fn bytes_held(&self) -> usize {
        match self {
            Self::Narrow(all) => all.capacity() * size_of::<u32>(),
            Self::Wide(all) => all.capacity() * size_of::<u64>(),
        }
    }

    /// Bytes of [`Numbers::exact`]. Cost: a look at each number, if they are wide.
    pub(crate) fn exact_bytes(&self) -> usize {
        if self.fits_narrow() {
            self.len() * size_of::<u32>()
        } else {
            self.bytes()
        }
    }

    /// A copy without slack, narrow if that is possible.
    pub(crate) fn exact(&self) -> Self {
        match self {
            Self::Narrow(all) => Self::Narrow(exact(all)),
            Self::Wide(all) if self.fits_narrow() => {
                let mut copy = Vec::with_capacity(all.len());
                #[expect(clippy::cast_possible_truncation, reason = "they were looked at")]
                copy.extend(all.iter().map(|n| *n as u32));
                Self::Narrow(copy)
            }
            Self::Wide(all) => Self::Wide(exact(all)),
        }
    }

    fn fits_narrow(&self) -> bool {
        match self {
            Self::Narrow(_) => true,
            Self::Wide(all) => u32::try_from(all.iter().fold(0, |bits, n| bits | n)).is_ok(),
        }
    }
}

/// A copy without slack.
pub(crate) fn exact<T: Copy>(items: &[T]) -> Vec<T> {
    let mut copy = Vec::with_capacity(items.len());
    copy.extend_from_slice(items);
    copy
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_column_says_what_was_pushed_however_wide_it_is(
            numbers in proptest::collection::vec(prop_oneof![0..9_u64, any::<u64>(), Just(u64::from(u32::MAX))], 0..20),
            is_wide: bool,
        ) {
            let mut column = if is_wide { Numbers::default() } else { Numbers::narrow() };
            for n in &numbers {
                column.push(*n);
            }
            let copy = column.exact();
            for column in [&column, &copy] {
                prop_assert_eq!(column.iter().collect::<Vec<_>>(), numbers.clone());
                prop_assert_eq!((0..21).map_while(|at| column.get(at)).collect::<Vec<_>>(), numbers.clone());
            }
            prop_assert_eq!(copy.bytes(), column.exact_bytes());
            prop_assert_eq!(copy.bytes_held(), copy.bytes());
            let least = numbers.iter().all(|n| u32::try_from(*n).is_ok());
            prop_assert_eq!(copy.bytes(), numbers.len() * if least { 4 } else { 8 });
        }
    }
}
