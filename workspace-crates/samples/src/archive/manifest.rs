//! The list of an archive's blocks: what counts, whatever else lies in the directory.
//!
//! Text, one fact per line: `PGARCHIVE <version>`, `out_of_order_ms`, `next_block`, `log` (their
//! numbers), one `block` line for each block (file, first and first later time of its window, step
//! in milliseconds or `-`, bytes, CRC-32), and `crc32` of all lines before. It is replaced as a
//! whole, so an archive changes from one state to the next in one step.

use std::fmt::Write as _;

use super::layout::{BlockName, Span};

const MAGIC: &str = "PGARCHIVE";
/// The format that this release writes.
pub(crate) const VERSION: u32 = 1;

/// One block as the manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockEntry {
    pub(crate) name: BlockName,
    /// The step that it was compacted to, in milliseconds; `None` for all samples.
    pub(crate) step_ms: Option<i64>,
    pub(crate) bytes: u64,
    pub(crate) crc: u32,
}

/// What an archive consists of, apart from its targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// How late a scrape may be, in milliseconds.
    pub(crate) out_of_order_ms: i64,
    /// The number that the next block gets.
    pub(crate) next_block: u64,
    /// The number of the log.
    pub(crate) log: u64,
    /// In the order in which the store takes them.
    pub(crate) blocks: Vec<BlockEntry>,
}

/// Why bytes are not a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ManifestProblem {
    Newer(u32),
    Damaged(&'static str),
}

impl Manifest {
    pub(crate) fn new(out_of_order_ms: i64) -> Self {
        Self { out_of_order_ms, next_block: 0, log: 0, blocks: Vec::new() }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut text = format!("{MAGIC} {VERSION}\n");
        // Writing to a text cannot fail.
        let _ = writeln!(text, "out_of_order_ms {}", self.out_of_order_ms);
        let _ = writeln!(text, "next_block {}", self.next_block);
        let _ = writeln!(text, "log {}", self.log);
        for BlockEntry { name, step_ms, bytes, crc } in &self.blocks {
            let step = step_ms.map_or_else(|| "-".to_owned(), |step| step.to_string());
            let _ = writeln!(text, "block {} {step} {bytes} {crc:08x}", name.file());
        }
        let crc = crc32fast::hash(text.as_bytes());
        let _ = writeln!(text, "crc32 {crc:08x}");
        text.into_bytes()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ManifestProblem> {
        use ManifestProblem::Damaged;
        let text = std::str::from_utf8(bytes).map_err(|_| Damaged("it is no text"))?;
        let split = text.rfind("crc32 ").ok_or(Damaged("it has no checksum"))?;
        let (lines, checksum) = text.split_at(split);
        let crc = crc32fast::hash(lines.as_bytes());
        if checksum != format!("crc32 {crc:08x}\n") {
            return Err(Damaged("its checksum does not fit"));
        }
        let mut lines = lines.lines();
        let version = number::<u32>(lines.next(), "PGARCHIVE ");
        match version.ok_or(Damaged("it does not begin with `PGARCHIVE` and a version"))? {
            VERSION => {}
            other => return Err(ManifestProblem::Newer(other)),
        }
        let malformed = Damaged("a line is malformed");
        let out_of_order_ms = number(lines.next(), "out_of_order_ms ").ok_or(malformed.clone())?;
        let next_block = number(lines.next(), "next_block ").ok_or(malformed.clone())?;
        let log = number(lines.next(), "log ").ok_or(malformed)?;
        let blocks: Option<Vec<BlockEntry>> = lines.map(block_entry).collect();
        let blocks = blocks.ok_or(Damaged("the line of a block is malformed"))?;
        if out_of_order_ms < 0
            || blocks.iter().any(|block| block.name.number >= next_block)
            || !blocks.is_sorted_by(|a, b| a.name < b.name)
        {
            return Err(Damaged("its lines contradict each other"));
        }
        Ok(Self { out_of_order_ms, next_block, log, blocks })
    }

    /// Names a block that is about to be written.
    pub(crate) fn name_block(&mut self, span: Span) -> BlockName {
        let number = self.next_block;
        self.next_block += 1;
        BlockName { span, number }
    }

    /// Takes a block in at its place in time.
    pub(crate) fn insert(&mut self, block: BlockEntry) {
        let at = self.blocks.partition_point(|old| old.name < block.name);
        self.blocks.insert(at, block);
    }
}

fn number<T: std::str::FromStr>(line: Option<&str>, name: &str) -> Option<T> {
    line?.strip_prefix(name)?.parse().ok()
}

fn block_entry(line: &str) -> Option<BlockEntry> {
    let fields: Vec<&str> = line.strip_prefix("block ")?.split(' ').collect();
    let [file, step, bytes, crc] = fields[..] else { return None };
    let name = BlockName::of_file(file).filter(|name| name.file() == file)?;
    let step_ms = match step {
        "-" => None,
        step => Some(step.parse().ok().filter(|step| *step > 0)?),
    };
    let crc = u32::from_str_radix(crc, 16).ok()?;
    Some(BlockEntry { name, step_ms, bytes: bytes.parse().ok()?, crc })
}

#[cfg(test)]
mod tests {
    use super::{BlockEntry, Manifest, ManifestProblem};
    use crate::archive::layout::{BlockName, Span};

    fn entry(from: i64, to: i64, number: u64) -> BlockEntry {
        let name = BlockName { span: Span::new(from, to).unwrap(), number };
        BlockEntry { name, step_ms: None, bytes: 7, crc: 0xab }
    }

    fn manifest() -> Manifest {
        let step = BlockEntry { step_ms: Some(60_000), ..entry(-20, 0, 4) };
        let blocks = vec![step, entry(0, 10, 1), entry(0, 10, 3)];
        Manifest { out_of_order_ms: 300_000, next_block: 5, log: 2, blocks }
    }

    #[test]
    fn the_text_is_pinned_and_read_back() {
        let text = String::from_utf8(manifest().encode()).unwrap();
        assert_eq!(text, PINNED);
        assert_eq!(Manifest::decode(text.as_bytes()), Ok(manifest()));
        let empty = Manifest::new(0);
        assert_eq!(Manifest::decode(&empty.encode()), Ok(empty));
    }

    const PINNED: &str = "PGARCHIVE 1\nout_of_order_ms 300000\nnext_block 5\nlog 2\n\
        block m20-0-4.pgblock 60000 7 000000ab\n\
        block 0-10-1.pgblock - 7 000000ab\n\
        block 0-10-3.pgblock - 7 000000ab\n\
        crc32 7caceb0a\n";

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let bytes = manifest().encode();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::decode(&damaged).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(Manifest::decode(&bytes[..length]).is_err(), "{length} bytes");
        }
    }

    fn signed(lines: &str) -> Vec<u8> {
        format!("{lines}crc32 {:08x}\n", crc32fast::hash(lines.as_bytes())).into_bytes()
    }

    #[test]
    fn a_newer_one_is_named_and_nonsense_is_refused() {
        let newer = signed("PGARCHIVE 2\nanything\n");
        assert_eq!(Manifest::decode(&newer), Err(ManifestProblem::Newer(2)));
        let start = "PGARCHIVE 1\nout_of_order_ms 10\nnext_block 3\nlog 0\n";
        assert!(Manifest::decode(&signed(start)).is_ok());
        for more in [
            "nonsense\n",
            "block 0-10-1.pgblock - 7\n",
            "block ../0-10-1.pgblock - 7 0\n",
            "block 10-0-1.pgblock - 7 0\n",
            "block 0-10-01.pgblock - 7 0\n",
            "block 0-10-3.pgblock - 7 0\n",
            "block 0-10-1.pgblock 0 7 0\n",
            "block 0-10-2.pgblock - 7 0\nblock 0-10-1.pgblock - 7 0\n",
        ] {
            let refused = Manifest::decode(&signed(&format!("{start}{more}")));
            assert!(matches!(refused, Err(ManifestProblem::Damaged(_))), "{more}");
        }
        assert!(Manifest::decode(&signed("PGARCHIVE 1\n")).is_err());
    }

    #[test]
    fn blocks_stand_in_the_order_of_time_and_number() {
        let mut manifest = manifest();
        let name = manifest.name_block(Span::new(0, 10).unwrap());
        manifest.insert(BlockEntry { name, ..entry(0, 10, 0) });
        let numbers: Vec<_> = manifest.blocks.iter().map(|b| b.name.number).collect();
        assert_eq!((numbers, manifest.next_block), (vec![4, 1, 3, 5], 6));
    }
}
