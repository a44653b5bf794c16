//! A frame: the columns of one family for the targets of a group, or the times of the targets.
//!
//! A frame has up to ten sections: how the columns are to be read, the numbers of less than a byte,
//! and the bytes of equal weight of all wider numbers, each compressed alone. First comes a bit for
//! each section that is there (u16), then the sections: a method (byte); for the first section its
//! length (varint); its stored length (varint) when it is compressed; its bytes.

use crate::bytes::{Reader, put_varint};
use crate::column::{self, Analysed, Cell, Column, Numbers, Whole};

const LEVEL: i32 = 3;
const SECTIONS: usize = 10;
const HEADS: usize = 0;
const BITS: usize = 1;
const BYTES: usize = 2;

const METHOD_PLAIN: u8 = 0;
const METHOD_FILLED: u8 = 1;
const METHOD_ZSTD: u8 = 2;

/// A block of zstd takes 4 bytes at least and gives 128 KiB at most.
const GROWTH_MAX: usize = 1 << 15;
/// Columns and their heads are short; this only bounds what forged bytes can ask for.
const HEADS_LEN_MAX: usize = 1 << 24;

/// Makes frames; holds the memory for that.
pub(crate) struct FrameEncoder {
    compressor: Option<zstd::bulk::Compressor<'static>>,
    sections: [Vec<u8>; SECTIONS],
    scratch: Vec<i64>,
}

impl FrameEncoder {
    pub(crate) fn new() -> Self {
        // Without memory for a compressor, sections are stored as they are.
        let compressor = zstd::bulk::Compressor::new(LEVEL).ok();
        Self { compressor, sections: Default::default(), scratch: Vec::new() }
    }

    /// The frame of one family; `None` for a target that has no such series.
    pub(crate) fn values<'a>(
        &mut self,
        columns: impl Iterator<Item = Option<&'a [f64]>>,
    ) -> Vec<u8> {
        let analysed = columns.map(|values| values.map(column::analyse)).collect();
        self.frame(analysed)
    }

    /// The frame of the targets' times.
    pub(crate) fn times<'a>(&mut self, columns: impl Iterator<Item = &'a [i64]>) -> Vec<u8> {
        let analysed = columns.map(|t| Some(Analysed::Numbers(Numbers::plain(t.to_vec()))));
        let analysed = analysed.collect();
        self.frame(analysed)
    }

    fn frame(&mut self, analysed: Vec<Option<Analysed>>) -> Vec<u8> {
        self.sections.iter_mut().for_each(Vec::clear);
        let order = cheapest_order(&analysed);
        for column in analysed {
            match column {
                None => Column::Absent.put(&mut self.sections[HEADS]),
                Some(Analysed::Constant(bits)) => {
                    Column::Constant(bits).put(&mut self.sections[HEADS]);
                }
                Some(Analysed::Numbers(numbers)) => {
                    let (whole, stored) = column::transform(numbers, order, &mut self.scratch);
                    put_numbers(&stored, whole.width, &mut self.sections);
                    Column::Whole(whole).put(&mut self.sections[HEADS]);
                }
            }
        }
        self.compress()
    }

    fn compress(&mut self) -> Vec<u8> {
        let used = |section: &Vec<u8>| !section.is_empty();
        let mask: u16 =
            (0..SECTIONS).filter(|at| used(&self.sections[*at])).map(|at| 1 << at).sum();
        let mut out = mask.to_le_bytes().to_vec();
        for at in 0..SECTIONS {
            let section = &self.sections[at];
            let Some(first) = section.first() else { continue };
            let compressed = self.compressor.as_mut().and_then(|c| c.compress(section).ok());
            let compressed = compressed.filter(|bytes| bytes.len() + 3 < section.len());
            let filled = section.iter().all(|byte| byte == first);
            out.push(match (&compressed, filled) {
                (_, true) => METHOD_FILLED,
                (Some(_), _) => METHOD_ZSTD,
                (None, _) => METHOD_PLAIN,
            });
            if at == HEADS {
                put_varint(&mut out, section.len() as u64);
            }
            match (compressed, filled) {
                (_, true) => out.push(*first),
                (Some(compressed), _) => {
                    put_varint(&mut out, compressed.len() as u64);
                    out.extend_from_slice(&compressed);
                }
                (None, _) => out.extend_from_slice(section),
            }
        }
        out
    }
}

fn cheapest_order(analysed: &[Option<Analysed>]) -> u8 {
    let mut bits = [0_u64; 3];
    for column in analysed.iter().flatten() {
        if let Analysed::Numbers(numbers) = column {
            for (sum, cost) in bits.iter_mut().zip(column::costs(&numbers.whole)) {
                *sum += cost;
            }
        }
    }
    // Of equal orders the lower one, which is faster to read.
    (0..3_u8).min_by_key(|order| bits[usize::from(*order)]).unwrap_or(0)
}

fn put_numbers(numbers: &[i64], width: u8, sections: &mut [Vec<u8>; SECTIONS]) {
    match width {
        0 => {}
        1 | 2 | 4 => {
            let in_byte = usize::from(8 / width);
            sections[BITS].extend(numbers.chunks(in_byte).map(|chunk| {
                chunk.iter().rev().fold(0, |byte, number| byte << width | *number as u8)
            }));
        }
        _ => {
            for at in 0..usize::from(width / 8) {
                let shift = 8 * at as u32;
                sections[BYTES + at].extend(numbers.iter().map(|n| (*n as u64 >> shift) as u8));
            }
        }
    }
}

/// A frame whose sections are no longer compressed.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    columns: Vec<Placed>,
    sections: [Vec<u8>; SECTIONS],
}

/// A column, and where its numbers begin in each section.
#[derive(Debug)]
struct Placed {
    column: Column,
    rows: usize,
    starts: [u32; SECTIONS],
}

/// Reads frames; holds the memory for that.
pub(crate) struct FrameDecoder {
    decompressor: Option<zstd::bulk::Decompressor<'static>>,
}

impl FrameDecoder {
    pub(crate) fn new() -> Self {
        Self { decompressor: zstd::bulk::Decompressor::new().ok() }
    }

    /// Takes a frame apart, with a column for each of `rows`; `None` when it is malformed.
    pub(crate) fn frame(
        &mut self,
        bytes: &[u8],
        rows: impl ExactSizeIterator<Item = usize>,
    ) -> Option<Frame> {
        let mut reader = Reader::new(bytes);
        let mask = u16::from_le_bytes([reader.byte()?, reader.byte()?]);
        let mut frame = Frame::default();
        let heads = if mask & 1 == 1 { self.section(&mut reader, None)? } else { Vec::new() };
        let lengths = frame.place(&heads, rows)?;
        for (at, length) in lengths.iter().enumerate().skip(BITS) {
            if (mask >> at & 1 == 1) != (*length > 0) {
                return None;
            }
            if *length > 0 {
                frame.sections[at] = self.section(&mut reader, Some(*length as usize))?;
            }
        }
        (reader.remaining() == 0 && usize::from(mask) >> SECTIONS == 0).then_some(frame)
    }

    /// One section, of a known length except for the first.
    fn section(&mut self, reader: &mut Reader<'_>, length: Option<usize>) -> Option<Vec<u8>> {
        let method = reader.byte()?;
        let length = match length {
            Some(length) => length,
            None => usize::try_from(reader.varint()?).ok().filter(|l| *l <= HEADS_LEN_MAX)?,
        };
        match method {
            METHOD_PLAIN => Some(reader.take(length)?.to_vec()),
            METHOD_FILLED => Some(vec![reader.byte()?; length]),
            METHOD_ZSTD => {
                let stored = reader.count()?;
                let stored = reader.take(stored)?;
                if length / GROWTH_MAX > stored.len() {
                    return None;
                }
                let section = self.decompressor.as_mut()?.decompress(stored, length).ok()?;
                (section.len() == length).then_some(section)
            }
            _ => None,
        }
    }
}

impl Frame {
    /// Reads the columns' heads and gives the length of each section.
    fn place(
        &mut self,
        heads: &[u8],
        rows: impl ExactSizeIterator<Item = usize>,
    ) -> Option<[u32; SECTIONS]> {
        let mut reader = Reader::new(heads);
        let mut ends = [0_u32; SECTIONS];
        self.columns.reserve(rows.len());
        for rows in rows {
            let column = Column::take(&mut reader, rows)?;
            let starts = ends;
            let width = if let Column::Whole(whole) = &column { whole.width } else { 0 };
            match width {
                0 => {}
                1 | 2 | 4 => grow(&mut ends[BITS], rows.div_ceil(usize::from(8 / width)))?,
                _ => {
                    for end in &mut ends[BYTES..BYTES + usize::from(width / 8)] {
                        grow(end, rows)?;
                    }
                }
            }
            self.columns.push(Placed { column, rows, starts });
        }
        (reader.remaining() == 0).then_some(ends)
    }

    /// Whether the target has such a series here.
    pub(crate) fn has(&self, at: usize) -> bool {
        self.columns.get(at).is_some_and(|placed| placed.column != Column::Absent)
    }

    /// Appends the values of one column; a column that is absent has none.
    pub(crate) fn append_values(&self, at: usize, numbers: &mut Vec<u64>, out: &mut Vec<f64>) {
        let Some(placed) = self.columns.get(at) else { return };
        match &placed.column {
            Column::Absent => {}
            Column::Constant(bits) => {
                out.extend(std::iter::repeat_n(f64::from_bits(*bits), placed.rows));
            }
            Column::Whole(whole) => self.append_whole(placed, whole, numbers, out),
        }
    }

    /// Whether a column of times is known to increase strictly.
    pub(crate) fn increases(&self, at: usize) -> bool {
        let column = self.columns.get(at).map(|placed| &placed.column);
        matches!(column, Some(Column::Whole(whole)) if whole.increases())
    }

    /// Appends the times of one target.
    pub(crate) fn append_times(&self, at: usize, numbers: &mut Vec<u64>, out: &mut Vec<i64>) {
        if let Some(placed) = self.columns.get(at)
            && let Column::Whole(whole) = &placed.column
        {
            self.append_whole(placed, whole, numbers, out);
        }
    }

    fn append_whole<T: Cell>(
        &self,
        placed: &Placed,
        whole: &Whole,
        numbers: &mut Vec<u64>,
        out: &mut Vec<T>,
    ) {
        let section = |at: usize, length: usize| {
            let start = placed.starts[at] as usize;
            &self.sections[at][start..start + length]
        };
        match whole.width {
            0 => whole.append_wide(std::iter::repeat_n(0, placed.rows), out),
            1 | 2 | 4 => {
                let length = placed.rows.div_ceil(usize::from(8 / whole.width));
                whole.append_narrow(section(BITS, length), placed.rows, out);
            }
            8 => whole.append_narrow(section(BYTES, placed.rows), placed.rows, out),
            16 => {
                let low = section(BYTES, placed.rows).iter();
                let pairs = low.zip(section(BYTES + 1, placed.rows));
                let numbers = pairs.map(|(low, high)| u64::from(*low) | u64::from(*high) << 8);
                whole.append_wide(numbers, out);
            }
            width => {
                numbers.clear();
                numbers.resize(placed.rows, 0);
                for at in 0..usize::from(width / 8) {
                    let shift = 8 * at as u32;
                    for (number, byte) in numbers.iter_mut().zip(section(BYTES + at, placed.rows)) {
                        *number |= u64::from(*byte) << shift;
                    }
                }
                whole.append_wide(numbers.iter().copied(), out);
            }
        }
    }
}

fn grow(end: &mut u32, length: usize) -> Option<()> {
    *end = end.checked_add(u32::try_from(length).ok()?)?;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::{FrameDecoder, FrameEncoder};
    use crate::STALE_NAN;
    use proptest::prelude::*;

    fn encoded(columns: &[Option<Vec<f64>>]) -> Vec<u8> {
        FrameEncoder::new().values(columns.iter().map(Option::as_deref))
    }

    fn decoded(bytes: &[u8], rows: &[usize]) -> Option<Vec<Option<Vec<u64>>>> {
        let frame = FrameDecoder::new().frame(bytes, rows.iter().copied())?;
        let mut numbers = Vec::new();
        let column = |at: usize| {
            let mut out = Vec::new();
            frame.append_values(at, &mut numbers, &mut out);
            frame.has(at).then(|| out.into_iter().map(f64::to_bits).collect())
        };
        Some((0..rows.len()).map(column).collect())
    }

    fn check(columns: &[Option<Vec<f64>>]) {
        let bits = |values: &Vec<f64>| values.iter().map(|v| v.to_bits()).collect::<Vec<u64>>();
        let expected: Vec<_> = columns.iter().map(|column| column.as_ref().map(bits)).collect();
        let rows: Vec<usize> =
            columns.iter().map(|column| column.as_ref().map_or(3, Vec::len)).collect();
        assert_eq!(decoded(&encoded(columns), &rows), Some(expected));
    }

    #[test]
    fn steady_series_take_a_few_bytes() {
        let counter: Vec<f64> = (0..480).map(|n| f64::from(n * 15)).collect();
        assert!(encoded(&[Some(counter)]).len() < 20);
        assert!(encoded(&[Some(vec![1.0; 480])]).len() < 20);
        let cents: Vec<f64> = (0..480).map(|n| f64::from(n * n % 29) * 0.01).collect();
        assert!(encoded(&[Some(cents)]).len() < 480);
        let nanoseconds: Vec<f64> = (0..480).map(|n| f64::from(n * 1_000_003) / 1e9).collect();
        assert!(encoded(&[Some(nanoseconds)]).len() < 20);
        let flag: Vec<f64> = (0..480).map(|n| f64::from((n * n % 7) & 1)).collect();
        assert!(encoded(&[Some(flag)]).len() < 80);
    }

    #[test]
    fn a_reset_or_a_marker_costs_little() {
        let mut counter: Vec<f64> = (0..480).map(|n| f64::from(n * 15 + n % 3)).collect();
        let plain = encoded(&[Some(counter.clone())]).len();
        counter[200..300].fill(STALE_NAN);
        counter[300..].iter_mut().for_each(|v| *v -= 4_000.0);
        check(&[Some(counter.clone())]);
        assert!(encoded(&[Some(counter)]).len() < plain + 60);
    }

    #[test]
    fn times_are_read_back() {
        let times =
            [vec![5_i64], (0..480).map(|n| n * 15_000 + n % 3).collect(), vec![-3, i64::MAX]];
        let bytes = FrameEncoder::new().times(times.iter().map(Vec::as_slice));
        let rows = times.iter().map(Vec::len).collect::<Vec<_>>();
        let frame = FrameDecoder::new().frame(&bytes, rows.into_iter()).unwrap();
        for (at, expected) in times.iter().enumerate() {
            let mut found = Vec::new();
            frame.append_times(at, &mut Vec::new(), &mut found);
            assert_eq!(&found, expected);
        }
    }

    fn any_value() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => (-1_000_i64..1_000).prop_map(|n| n as f64),
            2 => (-9_000_i64..9_000).prop_map(|n| n as f64 / 100.0),
            1 => any::<u64>().prop_map(f64::from_bits),
            1 => prop::sample::select(vec![
                -0.0, f64::NAN, STALE_NAN, f64::INFINITY, f64::MAX, f64::MIN_POSITIVE,
                9_007_199_254_740_992.0, -9_007_199_254_740_992.0, 9_007_199_254_740_994.0,
                1_125_899_906_842_624.0, -1_125_899_906_842_625.0, 0.1 + 0.2,
            ]),
        ]
    }

    fn any_column() -> impl Strategy<Value = Option<Vec<f64>>> {
        let tame = (-5_i64..5, 0_i64..70_000, 1_usize..7, -3_i32..4);
        let tame = prop_oneof![
            prop::collection::vec(any_value(), 1..60),
            prop::collection::vec(0_i64..4, 1..60)
                .prop_map(|v| v.iter().map(|n| *n as f64).collect()),
            (tame, 1_usize..90).prop_map(|((start, step, wrap, scale), count)| {
                let value = |n: usize| (start + step * (n % (wrap * 9)) as i64) as f64;
                (0..count).map(|n| value(n) / 10_f64.powi(scale)).collect()
            }),
            (any_value(), 1_usize..90, any_value()).prop_map(|(most, count, last)| {
                let mut values = vec![most; count];
                values.push(last);
                values
            }),
        ];
        prop::option::weighted(0.9, tame)
    }

    proptest! {
        #[test]
        fn every_column_is_read_back_bit_for_bit(columns in prop::collection::vec(any_column(), 1..6)) {
            check(&columns);
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..80), rows in prop::collection::vec(0_usize..300, 0..4),
        ) {
            let _ = decoded(&bytes, &rows);
        }

        #[test]
        fn an_edited_frame_is_decoded_or_refused(
            columns in prop::collection::vec(any_column(), 1..4),
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            rows in prop::collection::vec(0_usize..100, 1..4),
        ) {
            let mut bytes = encoded(&columns);
            for (at, byte) in &edits {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            if let Some(all) = decoded(&bytes, &rows) {
                prop_assert_eq!(all.len(), rows.len());
            }
        }
    }
}
