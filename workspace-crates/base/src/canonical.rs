use serde::Serialize;

/// Why a value has no canonical JSON form.
#[derive(Debug, thiserror::Error)]
#[error("value has no canonical JSON form: {0}")]
pub struct CanonicalError(#[from] serde_json::Error);

/// Canonical JSON: object keys in byte order, no insignificant white space, one final line feed.
///
/// Everything that is hashed or signed is written through this function once, and the written
/// bytes are kept: they are never serialized again for verification.
///
/// # Errors
/// When the value holds a map with keys that are not strings.
pub fn canonical_json<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    // `serde_json::Value` keeps its objects in a BTreeMap, so this sorts the keys.
    let ordered = serde_json::to_value(value)?;
    let mut bytes = serde_json::to_vec(&ordered)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::canonical_json;

    #[test]
    fn keys_are_sorted_and_the_line_is_ended() {
        #[derive(serde::Serialize)]
        struct Unordered {
            zebra: u8,
            apple: u8,
        }
        let bytes = canonical_json(&Unordered { zebra: 1, apple: 2 }).unwrap();
        assert_eq!(bytes, b"{\"apple\":2,\"zebra\":1}\n");
    }

    #[test]
    fn a_number_that_was_written_is_read_as_the_same_number() {
        let mut bits: u64 = 0x9e37_79b9_7f4a_7c15;
        let random = std::iter::repeat_with(|| {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            f64::from_bits(bits)
        });
        let numbers = random.filter(|number| number.is_finite()).take(20_000);
        for number in numbers.chain([118_446_744_073_709_551_616.5, 0.1, -0.0, 5e-324]) {
            let bytes = canonical_json(&number).unwrap();
            let read: f64 = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(read.to_bits(), number.to_bits(), "{number}");
        }
    }
}
