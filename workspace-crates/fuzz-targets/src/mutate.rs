//! Random changes to valid inputs.

use std::ops::Range;

use crate::{Random, Target};

/// Numbers at which parsers tend to break, as text.
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "-1",
    "1",
    "255",
    "256",
    "65536",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1e308",
    "1e309",
    "-1e-400",
    "NaN",
    "+Inf",
    "-Inf",
    "0x1p4",
    "00",
    "9007199254740993",
    "99999999999999999999999999",
];
/// Bytes that often are a delimiter or the edge of a range.
const BYTES: &[u8] =
    &[0, 1, 0x7f, 0x80, 0xff, b'\n', b'"', b'\\', b'{', b'}', b'[', b']', b'=', b','];
/// Longest input that mutations make.
const LENGTH_MAX: usize = 1 << 16;

/// A mutation of one of `inputs`: a few random changes, mostly with checksums that fit.
#[must_use]
pub fn mutation(target: &Target, inputs: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = random.one_of(inputs).cloned().unwrap_or_default();
    for _ in 0..=random.below(6) {
        change(&mut bytes, target, inputs, random);
    }
    bytes.truncate(LENGTH_MAX);
    // A wrong checksum is worth a test, but hides everything behind it.
    if random.below(8) > 0 {
        (target.repair)(&mut bytes);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, target: &Target, inputs: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    match random.below(12) {
        0 => flip(bytes, random),
        1 => put(bytes, at..at, &[random.bits() as u8]),
        2 => overwrite(bytes, at, random.one_of(BYTES).copied().unwrap_or_default()),
        3 => put(bytes, piece(bytes.len(), random), &[]),
        4 => {
            let copy = bytes.get(piece(bytes.len(), random)).unwrap_or_default().to_vec();
            let times = 1 + random.below(3);
            put(bytes, at..at, &copy.repeat(times));
        }
        5 => {
            let other = random.one_of(inputs).cloned().unwrap_or_default();
            let copy = other.get(piece(other.len(), random)).unwrap_or_default().to_vec();
            put(bytes, piece(bytes.len(), random), &copy);
        }
        6 | 7 => {
            let word = random.one_of(target.words).copied().unwrap_or_default();
            put(bytes, at..at, word.as_bytes());
        }
        8 => {
            let number = random.one_of(NUMBERS).copied().unwrap_or_default();
            let place = digits(bytes, at);
            put(bytes, place, number.as_bytes());
        }
        9 => bytes.truncate(at),
        10 => overwrite(bytes, at, random.bits() as u8),
        _ => add(bytes, at, random),
    }
}

fn flip(bytes: &mut [u8], random: &mut Random) {
    let at = random.below(bytes.len());
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
}

fn overwrite(bytes: &mut [u8], at: usize, with: u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = with;
    }
}

/// Adds a small number to a little-endian integer, as lengths and counts are.
fn add(bytes: &mut [u8], at: usize, random: &mut Random) {
    let small = (random.below(35) as u32).wrapping_sub(17);
    if let Some(four) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>()) {
        *four = u32::from_le_bytes(*four).wrapping_add(small).to_le_bytes();
    }
}

fn put(bytes: &mut Vec<u8>, place: Range<usize>, with: &[u8]) {
    bytes.splice(place, with.iter().copied());
}

/// A part of something of `length`, mostly a short one.
fn piece(length: usize, random: &mut Random) -> Range<usize> {
    let start = random.below(length + 1);
    let most = if random.below(4) == 0 { length } else { 16 };
    start..(start + random.below(most + 1)).min(length)
}

/// The digits around `at`; nothing when there are none.
fn digits(bytes: &[u8], at: usize) -> Range<usize> {
    let is_digit = |index: &usize| bytes.get(*index).is_some_and(u8::is_ascii_digit);
    let start = (0..at).rev().take_while(is_digit).last().unwrap_or(at);
    let end = (at..bytes.len()).take_while(is_digit).last().map_or(at, |last| last + 1);
    start..end
}

#[cfg(test)]
mod tests {
    use super::{digits, mutation};
    use crate::{Random, TARGETS};

    #[test]
    fn the_same_seed_gives_the_same_mutations() {
        let inputs = vec![b"up{instance=\"a\"} 1 1700000000000\n".to_vec(), Vec::new()];
        let Some(target) = TARGETS.first() else { panic!("there are no targets") };
        let all = |seed| -> Vec<Vec<u8>> {
            let mut random = Random::new(seed);
            (0..200).map(|_| mutation(target, &inputs, &mut random)).collect()
        };
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
    }

    #[test]
    fn a_number_is_found_around_a_place() {
        assert_eq!(digits(b"a123b", 2), 1..4);
        assert_eq!(digits(b"a123b", 0), 0..0);
        assert_eq!(digits(b"12", 2), 0..2);
    }
}
