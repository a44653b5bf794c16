//! One column of a frame: how the values of one series become whole numbers of few bits, and back.
//!
//! A column is absent, constant, or a sequence of whole numbers: decimals times a power of ten, or
//! the bits of any other floats. The numbers are taken as they are, as differences, or as
//! differences of differences (the *order*); what is left is counted from a base, without a sign or
//! with one (zigzag), and stored in 0, 1, 2 or 4 bits or in whole bytes, the bytes of equal weight
//! together. Values that no decimal can stand for, such as staleness markers among numbers, are
//! kept apart as runs. All arithmetic wraps, so that forged numbers give wrong values, never panics.

use crate::bytes::{Reader, put_varint, unzigzag, zigzag};

/// Powers of ten by which decimals are multiplied: up to nanoseconds in seconds.
const SCALES: [f64; 10] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/// Says that the numbers are the bits of floats.
const SCALE_BITS: u8 = 15;
/// 1.5 × 2⁵²: a float of lesser magnitude that is added to it becomes a whole number in its bits.
const MAGIC: f64 = 6_755_399_441_055_744.0;
/// Up to this magnitude whole numbers survive the addition of [`MAGIC`].
const WHOLE_MAX: i64 = 1 << 50;

const TAG_ABSENT: u8 = 0;
const TAG_CONSTANT: u8 = 1;
const TAG_WHOLE: u8 = 2;
const TAG_WHOLE_WITH_RUNS: u8 = 3;

/// Values of a column that stand apart from its numbers: equal bits one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    start: u32,
    length: u32,
    bits: u64,
}

/// A column without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Column {
    Absent,
    /// The same bits in each row.
    Constant(u64),
    Whole(Whole),
}

/// How whole numbers are to be read from a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whole {
    scale: u8,
    order: u8,
    /// Bits of one number in the payload: 0, 1, 2, 4, or a multiple of 8.
    pub(crate) width: u8,
    signed: bool,
    base: i64,
    /// What comes before the first number, and the difference before the first difference.
    before: i64,
    difference: i64,
    runs: Vec<Run>,
}

/// Numbers of one column on their way into a frame.
#[derive(Debug)]
pub(crate) struct Numbers {
    scale: u8,
    runs: Vec<Run>,
    pub(crate) whole: Vec<i64>,
}

/// What the values of a column are.
#[derive(Debug)]
pub(crate) enum Analysed {
    Constant(u64),
    Numbers(Numbers),
}

impl Numbers {
    /// Whole numbers as they are, such as times.
    pub(crate) fn plain(whole: Vec<i64>) -> Self {
        Self { scale: 0, runs: Vec::new(), whole }
    }
}

/// Finds the numbers behind `values`, which must not be empty.
pub(crate) fn analyse(values: &[f64]) -> Analysed {
    let first = values.first().map_or(0, |v| v.to_bits());
    if values.iter().all(|v| v.to_bits() == first) {
        return Analysed::Constant(first);
    }
    let mut whole = Vec::with_capacity(values.len());
    let ordinary = values.iter().fold(true, |all, v| all & is_ordinary(*v));
    if ordinary {
        if let Some(scale) = to_whole(values, &mut whole) {
            return Analysed::Numbers(Numbers { scale, runs: Vec::new(), whole });
        }
    } else {
        let (filled, runs) = split_runs(values);
        if runs.len() <= values.len() / 8 + 1
            && let Some(scale) = to_whole(&filled, &mut whole)
        {
            return Analysed::Numbers(Numbers { scale, runs, whole });
        }
    }
    whole.clear();
    whole.extend(values.iter().map(|v| v.to_bits() as i64));
    Analysed::Numbers(Numbers { scale: SCALE_BITS, runs: Vec::new(), whole })
}

/// Numbers that a decimal may stand for; -0.0 is none.
fn is_ordinary(value: f64) -> bool {
    value.abs() <= f64::MAX && value.to_bits() != (-0.0_f64).to_bits()
}

/// Replaces what is not ordinary by its neighbour, and lists it.
fn split_runs(values: &[f64]) -> (Vec<f64>, Vec<Run>) {
    let mut runs: Vec<Run> = Vec::new();
    let mut filled = Vec::with_capacity(values.len());
    let mut neighbour = values.iter().copied().find(|v| is_ordinary(*v)).unwrap_or(0.0);
    for (at, value) in values.iter().enumerate() {
        if is_ordinary(*value) {
            neighbour = *value;
        } else {
            let bits = value.to_bits();
            match runs.last_mut() {
                Some(run) if run.bits == bits && (run.start + run.length) as usize == at => {
                    run.length += 1;
                }
                _ => runs.push(Run { start: at as u32, length: 1, bits }),
            }
        }
        filled.push(neighbour);
    }
    (filled, runs)
}

/// The smallest scale that gives every value back bit for bit, with the numbers in `whole`.
fn to_whole(values: &[f64], whole: &mut Vec<i64>) -> Option<u8> {
    let fits = |value: f64, scale: f64| {
        let shifted = value * scale + MAGIC;
        let number = (shifted.to_bits() as i64).wrapping_sub(MAGIC.to_bits() as i64);
        let same = ((shifted - MAGIC) / scale).to_bits() == value.to_bits();
        (number, same & (number.wrapping_add(WHOLE_MAX) as u64 <= 2 * WHOLE_MAX as u64))
    };
    // A look at some values first: most scales are refused by the first value.
    let stride = (values.len() / 8).max(1);
    (0..SCALES.len()).find_map(|code| {
        let scale = SCALES[code];
        if !values.iter().step_by(stride).all(|v| fits(*v, scale).1) {
            return None;
        }
        whole.clear();
        let mut all = true;
        whole.extend(values.iter().map(|value| {
            let (number, fit) = fits(*value, scale);
            all &= fit;
            number
        }));
        all.then_some(code as u8)
    })
}

/// About how many bits `whole` takes in each order.
pub(crate) fn costs(whole: &[i64]) -> [u64; 3] {
    let Some((&first, rest)) = whole.split_first() else { return [0; 3] };
    let level = whole[whole.len() / 2];
    let steps = (whole.len() as i64 - 1).max(1);
    let slope = whole[whole.len() - 1].wrapping_sub(first) / steps;
    let mut bits = [0_u64; 3];
    let (mut previous, mut difference) = (first, slope);
    for number in rest {
        let next = number.wrapping_sub(previous);
        bits[0] += length(number.wrapping_sub(level));
        bits[1] += length(next.wrapping_sub(slope));
        bits[2] += length(next.wrapping_sub(difference));
        (previous, difference) = (*number, next);
    }
    bits
}

fn length(number: i64) -> u64 {
    u64::from(64 - zigzag(number).leading_zeros())
}

/// Turns numbers into what is stored: `whole` becomes the payload's numbers.
pub(crate) fn transform(numbers: Numbers, order: u8, scratch: &mut Vec<i64>) -> (Whole, Vec<i64>) {
    let Numbers { scale, runs, mut whole } = numbers;
    let first = whole.first().copied().unwrap_or(0);
    let second = whole.get(1).copied().unwrap_or(first);
    for _ in 0..order {
        for at in (1..whole.len()).rev() {
            whole[at] = whole[at].wrapping_sub(whole[at - 1]);
        }
    }
    // The first numbers of an order are no differences; they are kept in `before`.
    let skipped = usize::from(order).min(whole.len());
    let rest = &whole[skipped..];
    let (width, signed, base) = best_width(rest, scratch);
    whole[..skipped].fill(base);
    for number in &mut whole {
        let counted = number.wrapping_sub(base);
        *number = if signed { zigzag(counted) as i64 } else { counted };
    }
    let (before, difference) = match order {
        0 => (0, 0),
        1 => (first.wrapping_sub(base), 0),
        _ => {
            let step = second.wrapping_sub(first);
            let difference = step.wrapping_sub(base.wrapping_mul(2));
            (first.wrapping_sub(difference).wrapping_sub(base), difference)
        }
    };
    (Whole { scale, order, width, signed, base, before, difference, runs }, whole)
}

/// Width, sign and base that take the fewest bits; with equal bits counted from the median, which
/// makes the columns of a frame alike.
fn best_width(rest: &[i64], scratch: &mut Vec<i64>) -> (u8, bool, i64) {
    let (Some(&min), Some(&max)) = (rest.iter().min(), rest.iter().max()) else {
        return (0, false, 0);
    };
    let unsigned = rounded_width(64 - (max.wrapping_sub(min) as u64).leading_zeros());
    scratch.clear();
    scratch.extend_from_slice(rest);
    let middle = scratch.len() / 2;
    let median = *scratch.select_nth_unstable(middle).1;
    let signed_max = zigzag(max.wrapping_sub(median)).max(zigzag(min.wrapping_sub(median)));
    let overflows = max.checked_sub(median).is_none() || min.checked_sub(median).is_none();
    let signed = if overflows { 64 } else { rounded_width(64 - signed_max.leading_zeros()) };
    if unsigned < signed || unsigned < 8 { (unsigned, false, min) } else { (signed, true, median) }
}

fn rounded_width(bits: u32) -> u8 {
    match bits {
        0..=2 => bits as u8,
        3 | 4 => 4,
        _ => (bits.div_ceil(8) * 8) as u8,
    }
}

impl Column {
    /// Appends how the column is to be read.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Absent => out.push(TAG_ABSENT),
            Self::Constant(bits) => {
                out.push(TAG_CONSTANT);
                out.extend_from_slice(&bits.to_le_bytes());
            }
            Self::Whole(whole) => whole.put(out),
        }
    }

    /// Reads what [`Column::put`] wrote, for a column of `rows`.
    pub(crate) fn take(reader: &mut Reader<'_>, rows: usize) -> Option<Self> {
        Some(match reader.byte()? {
            TAG_ABSENT => Self::Absent,
            TAG_CONSTANT => Self::Constant(reader.u64()?),
            TAG_WHOLE => Self::Whole(Whole::take(reader)?),
            TAG_WHOLE_WITH_RUNS => {
                let mut whole = Whole::take(reader)?;
                whole.runs = take_runs(reader, rows)?;
                Self::Whole(whole)
            }
            _ => return None,
        })
    }
}

fn take_runs(reader: &mut Reader<'_>, rows: usize) -> Option<Vec<Run>> {
    let count = reader.count()?;
    let mut runs = Vec::new();
    let mut end = 0_usize;
    for _ in 0..count {
        let start = end.checked_add(usize::try_from(reader.varint()?).ok()?)?;
        let length = usize::try_from(reader.varint()?).ok()?;
        end = start.checked_add(length).filter(|end| *end <= rows)?;
        runs.push(Run { start: start as u32, length: length as u32, bits: reader.u64()? });
    }
    Some(runs)
}

impl Whole {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(if self.runs.is_empty() { TAG_WHOLE } else { TAG_WHOLE_WITH_RUNS });
        out.push(self.scale << 3 | self.order << 1 | u8::from(self.signed));
        out.push(self.width);
        put_varint(out, zigzag(self.base));
        if self.order > 0 {
            put_varint(out, zigzag(self.before));
        }
        if self.order > 1 {
            put_varint(out, zigzag(self.difference));
        }
        if !self.runs.is_empty() {
            put_varint(out, self.runs.len() as u64);
            let mut end = 0;
            for run in &self.runs {
                put_varint(out, u64::from(run.start - end));
                put_varint(out, u64::from(run.length));
                out.extend_from_slice(&run.bits.to_le_bytes());
                end = run.start + run.length;
            }
        }
    }

    fn take(reader: &mut Reader<'_>) -> Option<Self> {
        let code = reader.byte()?;
        let (scale, order, signed) = (code >> 3, code >> 1 & 3, code & 1 == 1);
        let width = reader.byte()?;
        let known_width = matches!(width, 0 | 1 | 2 | 4) || (width % 8 == 0 && width <= 64);
        let known_scale = usize::from(scale) < SCALES.len() || scale == SCALE_BITS;
        if !known_scale || order > 2 || !known_width {
            return None;
        }
        let base = unzigzag(reader.varint()?);
        let before = if order > 0 { unzigzag(reader.varint()?) } else { 0 };
        let difference = if order > 1 { unzigzag(reader.varint()?) } else { 0 };
        Some(Self { scale, order, width, signed, base, before, difference, runs: Vec::new() })
    }

    /// Whether the numbers are known to increase strictly, without a look at them: each step is
    /// positive, and all steps of a column together do not wrap.
    pub(crate) fn increases(&self) -> bool {
        let small = self.width <= 32 && (1..1 << 32).contains(&self.base);
        self.order == 1 && !self.signed && small
    }

    /// Reads `rows` numbers of less than two bytes each, packed in `bytes`, and appends what they
    /// stand for.
    pub(crate) fn append_narrow<T: Cell>(&self, bytes: &[u8], rows: usize, out: &mut Vec<T>) {
        let start = out.len();
        out.resize(start + rows, T::default());
        let cells = &mut out[start..];
        match self.width {
            1 => self.fill::<T, 8>(bytes, cells),
            2 => self.fill::<T, 4>(bytes, cells),
            4 => self.fill::<T, 2>(bytes, cells),
            _ => self.fill::<T, 1>(bytes, cells),
        }
        self.finish(&mut out[start..]);
    }

    fn fill<T: Cell, const IN_BYTE: usize>(&self, bytes: &[u8], cells: &mut [T]) {
        let (base, plain) = (self.base, self.scale != SCALE_BITS);
        let counted = if self.signed { &SIGNED } else { &UNSIGNED };
        if self.order == 0 {
            // Few numbers are possible: each is worked out once.
            let mut known = [T::default(); 256];
            for (cell, counted) in known.iter_mut().zip(counted).take(1 << (8 / IN_BYTE)) {
                *cell = T::from_whole(base.wrapping_add(*counted), plain);
            }
            return spread::<T, IN_BYTE>(bytes, cells, |number| known[usize::from(number)]);
        }
        let mut value = self.before;
        let mut step = self.difference;
        if self.order == 1 {
            spread::<T, IN_BYTE>(bytes, cells, |number| {
                value = value.wrapping_add(base).wrapping_add(counted[usize::from(number)]);
                T::from_whole(value, plain)
            });
        } else {
            spread::<T, IN_BYTE>(bytes, cells, |number| {
                step = step.wrapping_add(base).wrapping_add(counted[usize::from(number)]);
                value = value.wrapping_add(step);
                T::from_whole(value, plain)
            });
        }
    }

    /// Appends what wider numbers, or numbers of no bits, stand for.
    pub(crate) fn append_wide<T: Cell>(
        &self,
        numbers: impl Iterator<Item = u64>,
        out: &mut Vec<T>,
    ) {
        let start = out.len();
        let (base, plain) = (self.base, self.scale != SCALE_BITS);
        let mut value = self.before;
        let mut step = self.difference;
        let counted = |n: u64| base.wrapping_add(if self.signed { unzigzag(n) } else { n as i64 });
        match self.order {
            0 => out.extend(numbers.map(|n| T::from_whole(counted(n), plain))),
            1 => out.extend(numbers.map(|n| {
                value = value.wrapping_add(counted(n));
                T::from_whole(value, plain)
            })),
            _ => out.extend(numbers.map(|n| {
                step = step.wrapping_add(counted(n));
                value = value.wrapping_add(step);
                T::from_whole(value, plain)
            })),
        }
        self.finish(&mut out[start..]);
    }

    /// Moves the point of decimals, and puts in what stands apart.
    fn finish<T: Cell>(&self, cells: &mut [T]) {
        if let Some(scale) = SCALES.get(usize::from(self.scale)).filter(|_| self.scale > 0) {
            cells.iter_mut().for_each(|cell| cell.divide(*scale));
        }
        for run in &self.runs {
            let from = run.start as usize;
            cells[from..from + run.length as usize].fill(T::from_whole(run.bits as i64, false));
        }
    }
}

/// What a column is made of: values or times.
pub(crate) trait Cell: Copy + Default {
    /// From a whole number; if it is not plain, from the bits of a value.
    fn from_whole(whole: i64, plain: bool) -> Self;
    fn divide(&mut self, scale: f64);
}

impl Cell for f64 {
    #[inline]
    fn from_whole(whole: i64, plain: bool) -> Self {
        if plain {
            // What the processor does to many numbers at a time, other than a conversion.
            f64::from_bits(whole.wrapping_add(MAGIC.to_bits() as i64) as u64) - MAGIC
        } else {
            f64::from_bits(whole as u64)
        }
    }

    #[inline]
    fn divide(&mut self, scale: f64) {
        *self /= scale;
    }
}

impl Cell for i64 {
    #[inline]
    fn from_whole(whole: i64, _: bool) -> Self {
        whole
    }

    /// Times have no scale.
    #[inline]
    fn divide(&mut self, _: f64) {}
}

/// What the numbers of a byte count, without and with a sign.
const UNSIGNED: [i64; 256] = counts(false);
const SIGNED: [i64; 256] = counts(true);

const fn counts(signed: bool) -> [i64; 256] {
    let mut counts = [0; 256];
    let mut at = 0;
    while at < 256 {
        let number = at as i64;
        counts[at] = if signed { (number >> 1) ^ -(number & 1) } else { number };
        at += 1;
    }
    counts
}

/// Hands over the numbers of which `IN_BYTE` share a byte, the first one in the low bits.
#[inline]
fn spread<T: Copy, const IN_BYTE: usize>(
    bytes: &[u8],
    cells: &mut [T],
    mut next: impl FnMut(u8) -> T,
) {
    let width = 8 / IN_BYTE as u32;
    let mask = (0xff_u32 >> (8 - width)) as u8;
    let (full, rest) = cells.as_chunks_mut::<IN_BYTE>();
    for (cells, byte) in full.iter_mut().zip(bytes) {
        for (at, cell) in (0..).zip(cells) {
            *cell = next(byte >> (at * width) & mask);
        }
    }
    let last = bytes.last().copied().unwrap_or(0);
    for (at, cell) in (0..).zip(rest) {
        *cell = next(last >> (at * width) & mask);
    }
}
