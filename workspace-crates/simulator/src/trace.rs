use base::Digest;

use crate::network::mix;

/// A digest of a long sequence of words: two lanes of 64 bits, closed with SHA-256. It tells
/// histories apart; it is no defence against a forger.
#[derive(Default)]
pub(crate) struct Trace {
    lanes: [u64; 2],
    words: u64,
}

impl Trace {
    pub(crate) fn word(&mut self, word: u64) {
        self.words = self.words.wrapping_add(1);
        self.lanes[0] = mix(self.lanes[0] ^ word);
        self.lanes[1] = (self.lanes[1].rotate_left(29) ^ word).wrapping_mul(0x2545_f491_4f6c_dd1d);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    /// The digest of all words so far and of `more`.
    pub(crate) fn digest(&self, more: &[Digest]) -> Digest {
        let mut bytes = Vec::with_capacity(24 + more.len() * 32);
        for word in [self.lanes[0], self.lanes[1], self.words] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        for digest in more {
            bytes.extend_from_slice(&digest.0);
        }
        Digest::of(&bytes)
    }
}
