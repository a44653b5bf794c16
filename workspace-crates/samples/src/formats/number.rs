//! Numbers and times as expositions write them.

/// Mantissas up to here, divided by a power of ten up to 10²², are exact: one rounding, the right
/// one.
const MANTISSA_MAX: u64 = 1 << 53;
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// Times beyond are refused, as by the store.
const TIME_MAX_MS: i64 = 1 << 53;

/// Reads a leading number such as `-12.5` and gives how many bytes it takes. `None` says only that
/// it is not of this form, which nearly all samples are: see [`number`].
pub(super) fn plain(bytes: &[u8]) -> Option<(f64, usize)> {
    let negative = bytes.first() == Some(&b'-');
    let start = usize::from(negative);
    let (whole, end) = digits(bytes, start, 0)?;
    let (mantissa, decimals, end) = match bytes.get(end) {
        Some(b'.') => {
            let (mantissa, after) = digits(bytes, end + 1, whole)?;
            (mantissa, after - end - 1, after)
        }
        _ => (whole, 0, end),
    };
    let ends_here = matches!(bytes.get(end), None | Some(b' ' | b'\n' | b'\r' | b'\t'));
    let has_digits = bytes[start..end].last().is_some_and(u8::is_ascii_digit);
    if !ends_here || !has_digits || mantissa > MANTISSA_MAX {
        return None;
    }
    let value = mantissa as f64 / POWERS_OF_TEN.get(decimals)?;
    Some((if negative { -value } else { value }, end))
}

/// Continues `mantissa` with the digits from `at`, and gives where they end.
fn digits(bytes: &[u8], at: usize, mut mantissa: u64) -> Option<(u64, usize)> {
    let mut end = at;
    while let Some(digit @ b'0'..=b'9') = bytes.get(end) {
        mantissa = mantissa.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        end += 1;
    }
    Some((mantissa, end))
}

/// Reads any number: also exponents, infinities and NaN, in any case.
pub(super) fn number(token: &[u8]) -> Option<f64> {
    if let Some((value, end)) = plain(token)
        && end == token.len()
    {
        return Some(value);
    }
    let value: f64 = std::str::from_utf8(token).ok()?.parse().ok()?;
    // One NaN for all spellings: `-nan` is no other value.
    Some(if value.is_nan() { f64::NAN } else { value })
}

/// Reads a timestamp of the text format: whole milliseconds.
pub(super) fn milliseconds(token: &[u8]) -> Option<i64> {
    let time_ms: i64 = std::str::from_utf8(token).ok()?.parse().ok()?;
    (time_ms.abs_diff(0) <= TIME_MAX_MS as u64).then_some(time_ms)
}

/// Reads a timestamp of OpenMetrics, in seconds, as milliseconds; what is finer is cut off.
///
/// Decimal digits are read as they stand: as a float, 1.001 seconds would be 1,000 milliseconds.
pub(super) fn seconds_as_ms(token: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(token).ok()?;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let is_decimal = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let time_ms = if is_decimal(whole)
        && is_decimal(decimals)
        && !(whole.is_empty() && decimals.is_empty())
    {
        let seconds: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let padded = decimals.bytes().chain(std::iter::repeat(b'0')).take(3);
        let thousandths = padded.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        let size = seconds.checked_mul(1_000)?.checked_add(thousandths)?;
        if negative { -size } else { size }
    } else {
        let time_ms = (number(token)? * 1_000.0).trunc();
        // A float beyond the range of whole numbers becomes its end, and is refused below.
        if time_ms.is_nan() { return None } else { time_ms as i64 }
    };
    (time_ms.unsigned_abs() <= TIME_MAX_MS as u64).then_some(time_ms)
}

#[cfg(test)]
mod tests {
    use super::{milliseconds, number, plain, seconds_as_ms};
    use proptest::prelude::*;

    #[test]
    fn numbers_are_read_as_the_formats_write_them() {
        for (text, value) in [
            ("0", 0.0),
            ("-0", -0.0),
            ("12.50", 12.5),
            ("9007199254740993", 9_007_199_254_740_992.0),
            ("18446744073709551616", 18_446_744_073_709_551_616.0),
            ("1e-3", 1e-3),
            (".5", 0.5),
            ("+Inf", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
        ] {
            let read = number(text.as_bytes()).map(f64::to_bits);
            assert_eq!(read, Some(value.to_bits()), "{text}");
        }
        assert_eq!(number(b"-nan").map(f64::to_bits), Some(f64::NAN.to_bits()));
        for text in ["", "-", ".", "1_000", "0x10", "1,5", "1 2", "--1", "é"] {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn times_are_exact_and_bounded() {
        assert_eq!(milliseconds(b"1700000000123"), Some(1_700_000_000_123));
        assert_eq!(milliseconds(b"1.5"), None);
        assert_eq!(milliseconds(b"9223372036854775807"), None);
        for (text, time_ms) in [
            ("1.001", Some(1_001)),
            ("1700000000.123456", Some(1_700_000_000_123)),
            ("-1.5", Some(-1_500)),
            ("1.7e9", Some(1_700_000_000_000)),
            (".25", Some(250)),
            ("NaN", None),
            ("+Inf", None),
            ("1e300", None),
            ("-1e300", None),
            ("99999999999999999999", None),
            (".", None),
            ("", None),
            ("soon", None),
        ] {
            assert_eq!(seconds_as_ms(text.as_bytes()), time_ms, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_fast_path_rounds_as_the_standard_library(text in "-?[0-9]{1,19}(\\.[0-9]{0,24})?") {
            if let Some((value, length)) = plain(text.as_bytes()) {
                prop_assert_eq!(length, text.len());
                prop_assert_eq!(value.to_bits(), text.parse::<f64>().unwrap().to_bits());
            }
        }

        #[test]
        fn every_number_is_read_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            let read = number(format!("{value:?}").as_bytes()).unwrap();
            prop_assert!(read.to_bits() == bits || value.is_nan() && read.is_nan());
        }
    }
}
