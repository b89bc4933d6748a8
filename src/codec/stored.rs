//! A whole segment as one string of bytes, for what is to outlive the process. Only tests and fuzzing call it yet: it is
//! the seam for a journal.
//!
//! Layout, little-endian: `RSEG`; version, 1 if the tier is a coarse one, scale of its histograms, and which classes are
//! kept, a byte each; length of all this, and number of the first tick, eight bytes each; how many rows, in four, and each
//! as start and end in nanoseconds, in eight, and its ticks, in four. Then, class by class, and counters, gauges and
//! histograms of each: how many blocks, in four, and each as how many groups and how many bytes, in four; its index, as first id
//! and place of the directory of each group, in four; and its bytes, as `codec::segment` has them. At last, in four, the
//! CRC-32 of all before.
//!
//! A reader takes any bytes, allocates nothing, and says what is wrong with them. What it takes is sound but for the
//! chunks, whose own readers take any bytes.

use super::{
    rows::MOST_ROWS,
    segment::{Block, GROUP, Place, Row, number},
};
use crate::model::{
    frame::{CLASSES, SeriesId, class_of},
    schema::FINEST,
};
use std::fmt;

const MAGIC: [u8; 4] = *b"RSEG";
const VERSION: u8 = 1;

/// Kinds of metrics, in the order of `model::MetricKind`.
pub(crate) const KINDS: usize = 3;
const KIND_NAMES: [&str; KINDS] = ["counters", "gauges", "histograms"];

/// Points of a segment: a chunk of a gauge has one more.
pub(crate) const MOST_POINTS: usize = MOST_ROWS - 1;

const PREFIX: usize = 28;
const ROW: usize = 20;
const PLACE: usize = 8;
const SUM: usize = 4;

/// What there is to a segment beside its points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Number of the first tick.
    pub(crate) tick: u64,
    pub(crate) is_coarse: bool,
    /// Of the histograms.
    pub(crate) scale: u8,
    /// Bit `c`: class `c` is kept.
    pub(crate) kept: u8,
}

/// A segment that is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) header: Header,
    pub(crate) rows: &'a [Row],
    /// By class and kind; none of a class that is not kept.
    pub(crate) blocks: [[&'a [Block]; KINDS]; CLASSES],
}

/// A segment that was read; still in its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored<'a> {
    pub(crate) header: Header,
    rows: &'a [u8],
    blocks: [[&'a [u8]; KINDS]; CLASSES],
}

/// A block that was read; still in its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredBlock<'a> {
    index: &'a [u8],
    bytes: &'a [u8],
}

/// What is wrong with bytes that should be a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Length {
        is: usize,
        said: u64,
    },
    Foreign([u8; 4]),
    Version(u8),
    Checksum {
        is: u32,
        said: u32,
    },
    Coarse(u8),
    Scale(u8),
    Kept(u8),
    Rows(u32),
    Row(usize),
    /// More is said to be inside than there is.
    Short,
    /// So many bytes are left.
    Long(usize),
    NotKept(usize),
    Block {
        class: usize,
        kind: usize,
        block: usize,
        what: &'static str,
    },
}

impl Parts<'_> {
    /// Exactly how many bytes [`Parts::write`] appends.
    pub(crate) fn encoded_len(&self) -> usize {
        let blocks = || self.blocks.iter().flatten().copied().flatten();
        let each = blocks().map(|block| 8 + block.index.len() * PLACE + block.bytes.len());
        PREFIX + self.rows.len() * ROW + CLASSES * KINDS * 4 + each.sum::<usize>() + SUM
    }

    /// Appends the segment.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let header = &self.header;
        out.extend(MAGIC);
        out.extend([VERSION, header.is_coarse.into(), header.scale, header.kept]);
        out.extend((self.encoded_len() as u64).to_le_bytes());
        out.extend(header.tick.to_le_bytes());
        put_len(self.rows.len(), out);
        for row in self.rows {
            out.extend(row.start_ns.to_le_bytes());
            out.extend(row.end_ns.to_le_bytes());
            out.extend(row.ticks.to_le_bytes());
        }
        for blocks in self.blocks.iter().flatten() {
            put_len(blocks.len(), out);
            for block in *blocks {
                put_len(block.index.len(), out);
                put_len(block.bytes.len(), out);
                for (first, place) in &block.index {
                    out.extend(first.to_le_bytes());
                    out.extend(place.to_le_bytes());
                }
                out.extend_from_slice(&block.bytes);
            }
        }
        let sum = checksum(out.get(start..).unwrap_or_default());
        out.extend(sum.to_le_bytes());
    }
}

/// Reads what [`Parts::write`] wrote.
pub(crate) fn read(bytes: &[u8]) -> Result<Stored<'_>, Broken> {
    let is = bytes.len();
    let least = (PREFIX + SUM) as u64;
    let (body, sum) = bytes
        .split_last_chunk()
        .filter(|_| is as u64 >= least)
        .ok_or(Broken::Length { is, said: least })?;
    let mut prefix = Input(body);
    let magic = prefix.array()?;
    if magic != MAGIC {
        return Err(Broken::Foreign(magic));
    }
    let [version, ..] = prefix.array::<4>()?;
    if version != VERSION {
        return Err(Broken::Version(version));
    }
    let said = prefix.u64()?;
    if said != is as u64 {
        return Err(Broken::Length { is, said });
    }
    let (is, said) = (checksum(body), u32::from_le_bytes(*sum));
    if is != said {
        return Err(Broken::Checksum { is, said });
    }
    read_body(body)
}

/// Reads what is in front of the checksum, whose beginning was looked at.
pub(crate) fn read_body(body: &[u8]) -> Result<Stored<'_>, Broken> {
    let mut input = Input(body);
    let [.., coarse, scale, kept] = input.array::<8>()?;
    input.u64()?;
    let header = Header {
        tick: input.u64()?,
        is_coarse: coarse == 1,
        scale,
        kept,
    };
    if coarse > 1 {
        return Err(Broken::Coarse(coarse));
    }
    if scale > FINEST {
        return Err(Broken::Scale(scale));
    }
    if kept >> CLASSES != 0 {
        return Err(Broken::Kept(kept));
    }
    let n = input.u32()?;
    if n == 0 || n as usize > MOST_POINTS {
        return Err(Broken::Rows(n));
    }
    let mut stored = Stored {
        header,
        rows: input.take(n as usize * ROW)?,
        blocks: [[&[]; KINDS]; CLASSES],
    };
    if let Some(row) = stored.disorder() {
        return Err(Broken::Row(row));
    }
    for (class, kinds) in stored.blocks.iter_mut().enumerate() {
        for (kind, blocks) in kinds.iter_mut().enumerate() {
            *blocks = take_blocks(&mut input, class, kind)?;
            if kept >> class & 1 == 0 && !blocks.is_empty() {
                return Err(Broken::NotKept(class));
            }
        }
    }
    match input.0.len() {
        0 => Ok(stored),
        left => Err(Broken::Long(left)),
    }
}

/// The bytes of all blocks of one class and kind, looked through.
fn take_blocks<'a>(input: &mut Input<'a>, class: usize, kind: usize) -> Result<&'a [u8], Broken> {
    let n = input.u32()?;
    let all = input.0;
    let mut before = None;
    for at in 0..n {
        let block = StoredBlock::take(input)?;
        before = block.check(class, before).map_err(|what| Broken::Block {
            class,
            kind,
            block: at as usize,
            what,
        })?;
    }
    let taken = all.len() - input.0.len();
    Ok(all.get(..taken).unwrap_or_default())
}

impl<'a> Stored<'a> {
    /// Oldest first.
    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = Row> + Clone {
        self.rows.chunks_exact(ROW).map(|bytes| {
            let mut input = Input(bytes);
            // All there: chunks are as long as a row.
            Row {
                start_ns: input.u64().unwrap_or(0),
                end_ns: input.u64().unwrap_or(0),
                ticks: input.u32().unwrap_or(0),
            }
        })
    }

    /// The blocks of one class and kind, ids ascending.
    pub(crate) fn blocks(
        &self,
        class: usize,
        kind: usize,
    ) -> impl Iterator<Item = StoredBlock<'a>> + use<'a> {
        let kinds = self.blocks.get(class);
        let mut input = Input(kinds.and_then(|kinds| kinds.get(kind)).unwrap_or(&&[][..]));
        std::iter::from_fn(move || StoredBlock::take(&mut input).ok())
    }

    /// The first row that ends before it starts, or starts before the one before ends.
    fn disorder(&self) -> Option<usize> {
        let mut end_ns = 0;
        self.rows().position(|row| {
            let is_wrong = row.start_ns < end_ns || row.end_ns < row.start_ns;
            end_ns = row.end_ns;
            is_wrong
        })
    }
}

impl<'a> StoredBlock<'a> {
    fn take(input: &mut Input<'a>) -> Result<Self, Broken> {
        let (groups, len) = (input.u32()?, input.u32()?);
        let index = (groups as usize).checked_mul(PLACE).ok_or(Broken::Short)?;
        Ok(Self {
            index: input.take(index)?,
            bytes: input.take(len as usize)?,
        })
    }

    fn index(self) -> impl ExactSizeIterator<Item = Place> {
        self.index.chunks_exact(PLACE).map(|place| {
            let mut input = Input(place);
            (input.u32().unwrap_or(0), input.u32().unwrap_or(0))
        })
    }

    /// Bytes that [`StoredBlock::block`] asks the allocator for.
    pub(crate) fn bytes(self) -> usize {
        self.index().len() * size_of::<Place>() + self.bytes.len()
    }

    pub(crate) fn block(self) -> Block {
        Block::of(self.index().collect(), self.bytes.into())
    }

    /// Looks at everything but the chunks themselves. `before` is the last id of the block before, what comes back that
    /// of this one.
    fn check(
        self,
        class: usize,
        before: Option<SeriesId>,
    ) -> Result<Option<SeriesId>, &'static str> {
        let mut last = before;
        let mut at = 0;
        for (first, place) in self.index() {
            let chunks = (place as usize).checked_sub(at);
            let chunks = chunks.ok_or("a directory lies in the group before")?;
            let mut rest = self.bytes.get(place as usize..).unwrap_or_default();
            let series = rest.split_off_first().ok_or("a directory is not inside")?;
            if !(1..=GROUP).contains(&usize::from(*series)) {
                return Err("a group has no series, or too many");
            }
            let mut id = first;
            for place in 0..*series {
                if place > 0 {
                    let step = number(&mut rest).ok_or("a directory is cut off")?;
                    id = id.checked_add(step).ok_or("an id is too large")?;
                }
                if last.is_some_and(|last| last >= id) {
                    return Err("ids do not ascend");
                }
                if class_of(id) != class {
                    return Err("an id is of another class");
                }
                last = Some(id);
            }
            let mut len = 0;
            for _ in 0..*series {
                len += u64::from(number(&mut rest).ok_or("a directory is cut off")?);
            }
            if len != chunks as u64 {
                return Err("chunks do not end where their directory begins");
            }
            at = self.bytes.len() - rest.len();
        }
        if at == 0 || at < self.bytes.len() {
            return Err("the last group does not end where the block does");
        }
        Ok(last)
    }
}

/// Bytes that have not been read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Broken::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Broken::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u32(&mut self) -> Result<u32, Broken> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Broken> {
        self.array().map(u64::from_le_bytes)
    }
}

/// Appends how many there are of something: far fewer than four billion.
fn put_len(len: usize, out: &mut Vec<u8>) {
    out.extend(u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

/// CRC-32, as in Ethernet and gzip: finds any burst of up to 32 bits.
fn checksum(bytes: &[u8]) -> u32 {
    let sum = bytes.iter().fold(u32::MAX, |sum, byte| {
        let [low, ..] = sum.to_le_bytes();
        let step = STEPS.get(usize::from(low ^ byte)).copied();
        sum >> 8 ^ step.unwrap_or(0)
    });
    !sum
}

static STEPS: [u32; 256] = steps();

const fn steps() -> [u32; 256] {
    let mut steps = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte;
        let mut bit = 0;
        while bit < 8 {
            sum = (sum >> 1) ^ (0xedb8_8320 * (sum & 1));
            bit += 1;
        }
        steps[byte as usize] = sum;
        byte += 1;
    }
    steps
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Length { is, said } => write!(f, "{is} bytes, where {said} were expected"),
            Self::Foreign(magic) => {
                write!(f, "no segment: begins with {magic:02x?}, not {MAGIC:02x?}")
            }
            Self::Version(version) => {
                write!(f, "segment of version {version}, where {VERSION} is known")
            }
            Self::Checksum { is, said } => write!(f, "checksum {is:#010x}, not {said:#010x}"),
            Self::Coarse(coarse) => write!(f, "{coarse}, where 0 or 1 says whether it is coarse"),
            Self::Scale(scale) => write!(f, "scale {scale}, above {FINEST}"),
            Self::Kept(kept) => write!(f, "classes {kept:#b} of {CLASSES}"),
            Self::Rows(n) => write!(f, "{n} points, where there may be 1 to {MOST_POINTS}"),
            Self::Row(row) => write!(f, "point {row} is earlier than what is before it"),
            Self::Short => write!(f, "more is said to be in it than there is"),
            Self::Long(left) => write!(f, "{left} bytes behind its end"),
            Self::NotKept(class) => write!(f, "something of class {class}, which is not kept"),
            Self::Block {
                class,
                kind,
                block,
                what,
            } => {
                let kind = KIND_NAMES.get(kind).unwrap_or(&"metrics");
                write!(f, "block {block} of the {kind} of class {class}: {what}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
