//! Round trips, and bytes that nobody wrote.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::codec::segment::{self, Builder};

/// A segment that owns what it is made of.
#[derive(Debug)]
struct Owned {
    header: Header,
    rows: Vec<Row>,
    blocks: [[Vec<Block>; KINDS]; CLASSES],
}

impl Owned {
    fn parts(&self) -> Parts<'_> {
        Parts {
            header: self.header,
            rows: &self.rows,
            blocks: self
                .blocks
                .each_ref()
                .map(|kinds| kinds.each_ref().map(|blocks| &**blocks)),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let parts = self.parts();
        let mut bytes = vec![9];
        parts.write(&mut bytes);
        assert_eq!(bytes.len(), 1 + parts.encoded_len());
        bytes.split_off(1)
    }
}

/// Blocks of a few series each, whose ids are of one class.
fn blocks(class: usize, series: &BTreeMap<u16, Vec<u8>>, each: usize) -> Vec<Block> {
    let mut builder = Builder::default();
    let mut blocks = Vec::new();
    for (at, (number, chunk)) in series.iter().enumerate() {
        if at > 0 && at % each == 0 {
            builder.finish();
            blocks.extend(builder.take());
        }
        builder.bytes.extend_from_slice(chunk);
        let id = u32::from(*number) * 4 + u32::try_from(class).unwrap();
        builder.push(id, chunk.len());
    }
    builder.finish();
    blocks.extend(builder.take());
    blocks
}

fn any_segment() -> impl Strategy<Value = Owned> {
    let header = (any::<u64>(), any::<bool>(), 0..=FINEST, 0_u8..16);
    let row = (0..u64::MAX >> 8, 0..u64::MAX >> 8, any::<u32>());
    let series = btree_map(any::<u16>(), vec(any::<u8>(), 0..40), 0..40);
    let all = vec((series, 1_usize..40), CLASSES * KINDS);
    (header, vec(row, 1..=MOST_POINTS), all).prop_map(|(header, steps, all)| {
        let (tick, is_coarse, scale, kept) = header;
        let mut end_ns = 0;
        let rows = steps.into_iter().map(|(gap, length, ticks)| {
            let start_ns = end_ns + gap;
            end_ns = start_ns + length;
            Row {
                start_ns,
                end_ns,
                ticks,
            }
        });
        let mut all = all.into_iter();
        Owned {
            rows: rows.collect(),
            header: Header {
                tick,
                is_coarse,
                scale,
                kept,
            },
            blocks: std::array::from_fn(|class| {
                std::array::from_fn(|_| {
                    let (series, each) = all.next().unwrap();
                    if kept >> class & 1 == 0 {
                        Vec::new()
                    } else {
                        blocks(class, &series, each)
                    }
                })
            }),
        }
    })
}

/// Two points, and three series in two classes.
fn small() -> Owned {
    let series = |numbers: &[u16]| numbers.iter().map(|n| (*n, vec![1, 2, 3])).collect();
    let mut all = [const { [const { Vec::new() }; KINDS] }; CLASSES];
    all[0][0] = blocks(0, &series(&[1, 7]), 1);
    all[2][1] = blocks(2, &series(&[0, 300]), 9);
    let row = |start_ns, end_ns, ticks| Row {
        start_ns,
        end_ns,
        ticks,
    };
    Owned {
        header: Header {
            tick: 77,
            is_coarse: true,
            scale: 3,
            kept: 0b101,
        },
        rows: vec![row(5, 10, 1), row(12, 20, 2)],
        blocks: all,
    }
}

/// Reads everything there is, and says what it is made of.
fn read_all(stored: &Stored<'_>) -> Owned {
    let all = |class| {
        move |kind| {
            let blocks = stored.blocks(class, kind).map(StoredBlock::block);
            blocks.collect::<Vec<_>>()
        }
    };
    Owned {
        header: stored.header,
        rows: stored.rows().collect(),
        blocks: std::array::from_fn(|class| std::array::from_fn(all(class))),
    }
}

/// As [`read_all`]; finds any series, and writes it all again.
fn probe(stored: &Stored<'_>) -> Vec<u8> {
    let owned = read_all(stored);
    for blocks in owned.blocks.iter().flatten() {
        for id in [0, 4, 28, u32::MAX]
            .into_iter()
            .chain(blocks.iter().filter_map(Block::first))
        {
            let _ = segment::find(blocks, id);
        }
    }
    owned.bytes()
}

/// The bytes with another checksum, that of what is there.
fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() - SUM);
    let sum = checksum(&bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}

#[test]
fn the_checksum_is_the_one_that_all_others_compute() {
    // The check value of CRC-32/ISO-HDLC, and two that zlib gives.
    assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
    assert_eq!(checksum(b""), 0);
    assert_eq!(checksum(&[0; 32]), 0x190a_55ad);
}

#[test]
fn a_small_segment_is_written_as_the_layout_says() {
    let bytes = small().bytes();
    let mut said = b"RSEG\x01\x01\x03\x05".to_vec();
    said.extend(189_u64.to_le_bytes());
    said.extend(77_u64.to_le_bytes());
    said.extend(2_u32.to_le_bytes());
    for (start, end, ticks) in [(5_u64, 10_u64, 1_u32), (12, 20, 2)] {
        said.extend(start.to_le_bytes());
        said.extend(end.to_le_bytes());
        said.extend(ticks.to_le_bytes());
    }
    // Counters of class 0: two blocks with a series each.
    said.extend(2_u32.to_le_bytes());
    for id in [4_u32, 28] {
        said.extend([1_u32, 5, id, 3].map(u32::to_le_bytes).as_flattened());
        said.extend([1, 2, 3, 1, 3]);
    }
    // Nothing, until the gauges of class 2, which are in one block.
    said.extend([0; 6 * 4]);
    said.extend([1_u32, 1, 11, 2, 6].map(u32::to_le_bytes).as_flattened());
    said.extend([1, 2, 3, 1, 2, 3, 2, 0xb0, 0x09, 3, 3]);
    said.extend([0; 4 * 4]);
    let sum = checksum(&said);
    said.extend(sum.to_le_bytes());
    assert_eq!(bytes, said);
}

#[test]
fn a_segment_that_is_cut_off_anywhere_is_refused() {
    let bytes = small().bytes();
    for cut in 0..bytes.len() {
        let broken = read(&bytes[..cut]).unwrap_err();
        assert!(
            matches!(broken, Broken::Length { is, .. } if is == cut),
            "{cut}: {broken}"
        );
        if cut < bytes.len() - SUM {
            assert_eq!(read_body(&bytes[..cut]).unwrap_err(), Broken::Short);
        }
    }
    let longer = [&*bytes, &[0]].concat();
    assert!(matches!(read(&longer), Err(Broken::Length { .. })));
}

#[test]
fn a_segment_with_any_bit_flipped_is_refused() {
    let bytes = small().bytes();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&flipped).is_err(), "bit {bit}");
        // Without its checksum it may mean something else; what that is comes back.
        if let Ok(stored) = read_body(&flipped[..flipped.len() - SUM]) {
            let again = probe(&stored);
            if bit / 8 >= 16 {
                assert_eq!(again, resealed(flipped), "bit {bit}");
            }
        }
    }
}

#[test]
fn what_is_wrong_is_said() {
    let set = |at: usize, value: &[u8]| {
        let mut bytes = small().bytes();
        bytes[at..at + value.len()].copy_from_slice(value);
        let broken = read(&resealed(bytes)).map(|_| ()).unwrap_err();
        assert!(!broken.to_string().is_empty());
        broken
    };
    let block = |class, kind, block, what| Broken::Block {
        class,
        kind,
        block,
        what,
    };
    assert_eq!(set(0, b"GSER"), Broken::Foreign(*b"GSER"));
    assert_eq!(set(4, &[2]), Broken::Version(2));
    assert_eq!(set(5, &[2]), Broken::Coarse(2));
    assert_eq!(set(6, &[9]), Broken::Scale(9));
    assert_eq!(set(7, &[16]), Broken::Kept(16));
    assert_eq!(set(7, &[1]), Broken::NotKept(2));
    assert_eq!(set(8, &[1]), Broken::Length { is: 189, said: 1 });
    assert_eq!(set(24, &[0]), Broken::Rows(0));
    assert_eq!(set(24, &[128]), Broken::Rows(128));
    assert_eq!(set(28, &[11]), Broken::Row(0));
    assert_eq!(set(48, &[9]), Broken::Row(1));
    assert_eq!(set(72, &[255; 4]), Broken::Short);
    assert_eq!(set(76, &[255; 4]), Broken::Short);
    assert_eq!(set(181, &[255; 4]), Broken::Short);
    let wrong = |at, value, what| assert_eq!(set(at, &[value]), block(0, 0, 0, what));
    wrong(72, 0, "the last group does not end where the block does");
    wrong(76, 6, "the last group does not end where the block does");
    wrong(80, 5, "an id is of another class");
    wrong(84, 5, "a directory is not inside");
    wrong(91, 0, "a group has no series, or too many");
    wrong(91, 17, "a group has no series, or too many");
    wrong(91, 2, "an id is of another class");
    wrong(92, 0x83, "a directory is cut off");
    wrong(92, 2, "chunks do not end where their directory begins");
    assert_eq!(set(101, &[4]), block(0, 0, 1, "ids do not ascend"));
    let largest = 0xffff_fffe_u32.to_le_bytes();
    assert_eq!(set(150, &largest), block(2, 1, 0, "an id is too large"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn segments_survive_the_round_trip(segment in any_segment()) {
        let bytes = segment.bytes();
        let stored = read(&bytes).unwrap();
        let back = read_all(&stored);
        prop_assert_eq!(back.header, segment.header);
        prop_assert_eq!(&back.rows, &segment.rows);
        prop_assert_eq!(&back.blocks, &segment.blocks);
        let all = back.blocks.iter().flatten().flatten();
        let wanted = (0..CLASSES * KINDS).flat_map(|at| stored.blocks(at / KINDS, at % KINDS));
        prop_assert!(all.map(Block::bytes).eq(wanted.map(StoredBlock::bytes)));
    }

    #[test]
    fn any_bytes_are_read_without_panic(
        bytes in vec(any::<u8>(), 0..300),
        segment in any_segment(),
        edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        prop_assert!(read(&bytes).is_err());
        let _ = read_body(&bytes);
        let mut bytes = segment.bytes();
        prop_assert!(read(&bytes[..cut.index(bytes.len())]).is_err());
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let body = bytes.len() - SUM;
        if let Ok(stored) = read_body(&bytes[..body]) {
            let again = probe(&stored);
            prop_assert_eq!(&again[16..body], &bytes[16..body]);
        }
    }
}
