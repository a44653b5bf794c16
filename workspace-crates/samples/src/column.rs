//! The encodings of one column of a chunk: whole numbers, decimals, other floats.

use crate::bytes::{Reader, put_varint, unzigzag, zigzag};

const CONSTANT: u8 = 0;
/// Kinds 1 to 4: whole numbers after multiplication by 1, 10, 100, 1,000.
const INTEGER: u8 = 1;
const XOR: u8 = 5;
const RAW: u8 = 6;

const SCALES: [f64; 4] = [1.0, 10.0, 100.0, 1_000.0];
/// Every whole number up to this magnitude is an exact `f64`, and deltas fit the tokens.
pub(crate) const WHOLE_MAX: i64 = 1 << 53;

/// Appends the shortest encoding of `values` that decodes to the same bits.
pub(crate) fn encode(values: &[f64], scratch: &mut Vec<i64>, out: &mut Vec<u8>) {
    let Some(first) = values.first() else { return };
    if values.iter().all(|v| v.to_bits() == first.to_bits()) {
        out.push(CONSTANT);
        out.extend_from_slice(&first.to_bits().to_le_bytes());
        return;
    }
    for (kind, scale) in (INTEGER..).zip(SCALES) {
        if to_whole(values, scale, scratch) {
            out.push(kind);
            encode_whole(scratch, out);
            return;
        }
    }
    encode_float(values, out);
}

/// Writes `values * scale` to `whole` if dividing again gives every value bit for bit.
fn to_whole(values: &[f64], scale: f64, whole: &mut Vec<i64>) -> bool {
    whole.clear();
    for value in values {
        let scaled = (value * scale).round();
        if scaled.is_nan() || scaled.abs() > WHOLE_MAX as f64 {
            return false;
        }
        let integer = scaled as i64;
        if (integer as f64 / scale).to_bits() != value.to_bits() {
            return false;
        }
        whole.push(integer);
    }
    true
}

/// Deltas as varints; the low bit of a token says that a count of repetitions follows.
pub(crate) fn encode_whole(whole: &[i64], out: &mut Vec<u8>) {
    let mut previous = 0;
    let mut at = 0;
    while let Some(value) = whole.get(at) {
        let delta = value - previous;
        let mut end = at + 1;
        while end < whole.len() && whole[end] - whole[end - 1] == delta {
            end += 1;
        }
        // A run of two one-byte tokens is as short without its count.
        if end - at > 2 {
            put_varint(out, zigzag(delta) << 1 | 1);
            put_varint(out, (end - at) as u64);
        } else {
            end = at + 1;
            put_varint(out, zigzag(delta) << 1);
        }
        previous = whole[end - 1];
        at = end;
    }
}

/// Reads `count` whole numbers; `None` when the bytes are malformed.
pub(crate) fn decode_whole(
    reader: &mut Reader<'_>,
    count: usize,
    mut emit: impl FnMut(i64),
) -> Option<()> {
    let mut value = 0_i64;
    let mut left = count;
    while left > 0 {
        let token = reader.varint()?;
        let delta = unzigzag(token >> 1);
        let run = if token & 1 == 0 { 1 } else { usize::try_from(reader.varint()?).ok()? };
        if run == 0 || run > left {
            return None;
        }
        for _ in 0..run {
            value = value.checked_add(delta)?;
            emit(value);
        }
        left -= run;
    }
    Some(())
}

fn encode_float(values: &[f64], out: &mut Vec<u8>) {
    let start = out.len();
    out.push(XOR);
    let mut previous = 0_u64;
    for value in values {
        let difference = value.to_bits() ^ previous;
        previous = value.to_bits();
        let leading = (difference.leading_zeros() / 8) as usize;
        if leading == 8 {
            out.push(0x80);
            continue;
        }
        let trailing = (difference.trailing_zeros() / 8) as usize;
        out.push((leading << 4 | trailing) as u8);
        out.extend_from_slice(&difference.to_le_bytes()[trailing..8 - leading]);
    }
    if out.len() - start > 1 + values.len() * 8 {
        out.truncate(start);
        out.push(RAW);
        out.extend(values.iter().flat_map(|v| v.to_bits().to_le_bytes()));
    }
}

/// Appends the `count` values of a column to `out`; `None` when the bytes are malformed.
pub(crate) fn decode(bytes: &[u8], count: usize, out: &mut Vec<f64>) -> Option<()> {
    let mut reader = Reader::new(bytes);
    let kind = reader.byte()?;
    match kind {
        CONSTANT => {
            let value = f64::from_bits(reader.u64()?);
            out.extend(std::iter::repeat_n(value, count));
        }
        INTEGER => decode_whole(&mut reader, count, |whole| out.push(whole as f64))?,
        2..=4 => {
            let scale = SCALES[usize::from(kind - INTEGER)];
            decode_whole(&mut reader, count, |whole| out.push(whole as f64 / scale))?;
        }
        XOR => decode_xor(&mut reader, count, out)?,
        RAW => {
            for _ in 0..count {
                out.push(f64::from_bits(reader.u64()?));
            }
        }
        _ => return None,
    }
    (reader.remaining() == 0).then_some(())
}

fn decode_xor(reader: &mut Reader<'_>, count: usize, out: &mut Vec<f64>) -> Option<()> {
    let mut bits = 0_u64;
    for _ in 0..count {
        let control = reader.byte()?;
        let (leading, trailing) = (usize::from(control >> 4), usize::from(control & 0xf));
        let length = 8_usize.checked_sub(leading + trailing)?;
        let mut difference = [0; 8];
        difference[trailing..trailing + length].copy_from_slice(reader.take(length)?);
        bits ^= u64::from_le_bytes(difference);
        out.push(f64::from_bits(bits));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};
    use crate::STALE_NAN;
    use proptest::prelude::*;

    fn encoded(values: &[f64]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(values, &mut Vec::new(), &mut out);
        out
    }

    fn decoded(bytes: &[u8], count: usize) -> Option<Vec<u64>> {
        let mut out = Vec::new();
        decode(bytes, count, &mut out)?;
        Some(out.into_iter().map(f64::to_bits).collect())
    }

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|v| v.to_bits()).collect()
    }

    #[test]
    fn steady_counters_and_gauges_take_a_few_bytes() {
        let counter: Vec<f64> = (0..256).map(|n| f64::from(n * 15)).collect();
        assert!(encoded(&counter).len() <= 6, "{}", encoded(&counter).len());
        assert_eq!(encoded(&[1.0; 256]).len(), 9);
        let latency: Vec<f64> = (0..256).map(|n| f64::from(n * n % 29) * 0.01).collect();
        assert!(encoded(&latency).len() <= 2 * 256, "{}", encoded(&latency).len());
    }

    fn any_value() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => (-1_000_i64..1_000).prop_map(|n| n as f64),
            2 => (-9_000_i64..9_000).prop_map(|n| n as f64 / 100.0),
            1 => any::<u64>().prop_map(f64::from_bits),
            1 => prop::sample::select(vec![
                -0.0, f64::NAN, STALE_NAN, f64::INFINITY, f64::MAX, f64::MIN_POSITIVE,
                9_007_199_254_740_992.0, -9_007_199_254_740_992.0, 9_007_199_254_740_994.0,
            ]),
        ]
    }

    proptest! {
        #[test]
        fn every_column_is_read_back_bit_for_bit(values in prop::collection::vec(any_value(), 1..80)) {
            prop_assert_eq!(decoded(&encoded(&values), values.len()), Some(bits(&values)));
        }

        #[test]
        fn whole_numbers_are_read_back(values in prop::collection::vec(-5_i64..5, 1..80)) {
            let values: Vec<f64> = values.into_iter().map(|n| n as f64).collect();
            prop_assert_eq!(decoded(&encoded(&values), values.len()), Some(bits(&values)));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60), count in 0_usize..300) {
            if let Some(values) = decoded(&bytes, count) {
                prop_assert_eq!(values.len(), count);
            }
        }
    }
}
