//! Chunks of many series in one piece, found by the series' id.
//!
//! Layout: series stand in groups of [`GROUP`], ids ascending. A group is the chunks of its series, one behind the other,
//! and behind them a directory: how many there are, one byte; each id but the first, less the one before, and then each
//! chunk's length, as numbers of seven bits a byte, the lowest first, with the eighth bit set on all but the last. An index has
//! of each group the first id, and where its directory is: a lookup is a binary search and a walk over one directory.
//!
//! Any bytes can be searched without a panic; nonsense finds some bytes, or none.

/// When one point of a segment was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    /// Ticks that it is made of.
    pub(crate) ticks: u32,
}

impl Row {
    pub(crate) fn duration_ns(&self) -> u64 {
        self.end_ns - self.start_ns
    }
}

/// Series of a group.
pub(crate) const GROUP: usize = 16;

/// A group in the index: its first id, and where its directory is.
pub(super) type Place = (u32, u32);

/// Chunks of one kind of metric.
#[derive(Debug, PartialEq)]
pub(crate) struct Block {
    pub(super) index: Box<[Place]>,
    pub(super) bytes: Box<[u8]>,
}

impl Block {
    /// Any bytes.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn of(index: Box<[Place]>, bytes: Box<[u8]>) -> Self {
        Self { index, bytes }
    }

    /// Bytes that the block asks the allocator for.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.index) + self.bytes.len()
    }

    /// The id of its first series.
    pub(crate) fn first(&self) -> Option<u32> {
        self.index.first().map(|place| place.0)
    }

    /// The chunk of one series.
    pub(crate) fn find(&self, id: u32) -> Option<&[u8]> {
        let group = self.index.partition_point(|place| place.0 <= id);
        let (first, directory) = *self.index.get(group.checked_sub(1)?)?;
        let (chunks, directory) = self.bytes.split_at_checked(directory as usize)?;
        let (&series, mut rest) = directory.split_first()?;
        let mut at = (first == id).then_some(0);
        let mut last = first;
        for place in 1..usize::from(series) {
            last = last.wrapping_add(number(&mut rest)?);
            if last == id {
                at = Some(place);
            }
        }
        let at = at?;
        let (mut behind, mut length) = (0_usize, 0);
        for place in 0..usize::from(series) {
            let next = number(&mut rest)? as usize;
            if place == at {
                length = next;
            } else if place > at {
                behind = behind.checked_add(next)?;
            }
        }
        let end = chunks.len().checked_sub(behind)?;
        chunks.get(end.checked_sub(length)?..end)
    }
}

/// The chunk of one series in any of several blocks, whose ids ascend.
pub(crate) fn find(blocks: &[Block], id: u32) -> Option<&[u8]> {
    let at = blocks.partition_point(|block| block.first().is_some_and(|first| first <= id));
    blocks.get(at.checked_sub(1)?)?.find(id)
}

/// A block in the making; can be used again, and keeps its room.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    index: Vec<Place>,
    /// Chunks of the last group go here at once.
    pub(crate) bytes: Vec<u8>,
    /// Ids, and the lengths of the chunks, of the last group, and how many they are.
    group: ([(u32, u32); GROUP], usize),
}

/// Most bytes of a directory.
const DIRECTORY: usize = 1 + 2 * 5 * GROUP;

impl Builder {
    /// Elements of the index and bytes that a further series may need, whose chunk has `len` bytes.
    pub(crate) const fn wanted(len: usize) -> (usize, usize) {
        (1, len + DIRECTORY)
    }

    /// The buffers, for the caller to make room in.
    pub(crate) fn buffers(&mut self) -> (&mut Vec<Place>, &mut Vec<u8>) {
        (&mut self.index, &mut self.bytes)
    }

    /// Bytes of the block so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes that it holds.
    pub(crate) fn bytes_held(&self) -> usize {
        self.index.capacity() * size_of::<Place>() + self.bytes.capacity()
    }

    /// The last `len` bytes are the chunk of the series `id`.
    pub(crate) fn push(&mut self, id: u32, len: usize) {
        let (group, series) = &mut self.group;
        if let Some(place) = group.get_mut(*series) {
            *place = (id, u32::try_from(len).unwrap_or(u32::MAX));
        }
        *series += 1;
        if *series == GROUP {
            self.end_group();
        }
    }

    fn end_group(&mut self) {
        let (group, series) = self.group;
        let group = group.get(..series).unwrap_or_default();
        let Some(&(first, _)) = group.first() else {
            return;
        };
        let directory = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.index.push((first, directory));
        self.bytes.push(u8::try_from(series).unwrap_or(u8::MAX));
        for pair in group.windows(2) {
            if let [before, next] = pair {
                put(next.0.wrapping_sub(before.0), &mut self.bytes);
            }
        }
        for &(_, len) in group {
            put(len, &mut self.bytes);
        }
        self.group.1 = 0;
    }

    /// Ends the last group; bytes that [`Builder::take`] will ask the allocator for.
    pub(crate) fn finish(&mut self) -> usize {
        self.end_group();
        self.index.len() * size_of::<Place>() + self.bytes.len()
    }

    /// The block, without slack; `None` if it is empty. Call [`Builder::finish`] first.
    pub(crate) fn take(&mut self) -> Option<Block> {
        let block = (!self.index.is_empty()).then(|| Block {
            index: self.index.as_slice().into(),
            bytes: self.bytes.as_slice().into(),
        });
        self.clear();
        block
    }

    /// Forgets all series.
    pub(crate) fn clear(&mut self) {
        self.index.clear();
        self.bytes.clear();
        self.group.1 = 0;
    }
}

/// Appends a number of seven bits a byte.
fn put(mut number: u32, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(low(number) | 0x80);
        number >>= 7;
    }
    out.push(low(number));
}

fn low(number: u32) -> u8 {
    let [low, ..] = (number & 0x7f).to_le_bytes();
    low
}

/// Takes a number off; `None` if it is cut off.
pub(super) fn number(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0;
    for shift in [0, 7, 14, 21, 28] {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn built(series: &BTreeMap<u32, Vec<u8>>) -> Option<Block> {
        let mut builder = Builder::default();
        for (id, chunk) in series {
            builder.bytes.extend_from_slice(chunk);
            builder.push(*id, chunk.len());
        }
        let bytes = builder.finish();
        let block = builder.take();
        assert_eq!(bytes, block.as_ref().map_or(0, Block::bytes));
        block
    }

    #[test]
    fn many_series_cost_little_beside_their_chunks() {
        let series = (0..10_000).map(|id| (id * 5, vec![7; 20])).collect();
        let bytes = built(&series).unwrap().bytes();
        assert!(bytes < 10_000 * 23, "{bytes}");
    }

    proptest! {
        #[test]
        fn every_series_is_found_and_no_other(
            series in prop::collection::btree_map(any::<u32>(), prop::collection::vec(any::<u8>(), 0..300), 0..100),
            other in any::<u32>(),
        ) {
            let block = built(&series);
            for (id, chunk) in &series {
                prop_assert_eq!(block.as_ref().and_then(|b| b.find(*id)), Some(&**chunk));
            }
            let chunk = series.get(&other).map(|chunk| &**chunk);
            prop_assert_eq!(block.as_ref().and_then(|b| b.find(other)), chunk);
            prop_assert_eq!(block.as_ref().and_then(Block::first), series.keys().next().copied());
        }

        #[test]
        fn any_bytes_are_searched_without_panic(
            index in prop::collection::vec(any::<(u32, u32)>(), 0..5),
            small in prop::collection::vec((any::<u32>(), 0u32..60), 0..5),
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            id in any::<u32>(),
        ) {
            for index in [index, small] {
                let block = Block::of(index.into(), bytes.clone().into());
                let _ = block.find(id);
            }
        }
    }
}
