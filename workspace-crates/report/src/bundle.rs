//! One file with everything that it takes to verify a report and to judge it again, offline.
//!
//! It is a plain tar archive, so that `tar` unpacks it: the ledger's tree, the evidence that one
//! evaluation rests on, and the rules that it was judged by. Nothing in it is trusted because it is
//! in it: the ledger is verified, and everything else has a digest that the ledger names.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use base::{Digest, PipelineId};
use ledger::body::EvaluationRef;
use serde::{Deserialize, Serialize};

/// The folder with the files of the ledger's tree.
pub const LEDGER: &str = "ledger";
/// The folder with the evidence, each file under the SHA-256 digest of its bytes.
pub const EVIDENCE: &str = "evidence";
/// The folder with `pipeline/` and `stages/`.
pub const RULES: &str = "rules";

const ABOUT: &str = "bundle.json";
/// A larger file is no bundle: the largest samples of a phase have some megabytes.
const BYTES_MAX: u64 = 1 << 30;
const FILES_MAX: usize = 100_000;
const PATH_BYTES_MAX: usize = 512;
const ABOUT_BYTES_MAX: usize = 64 * 1024;

/// Why bytes are not a bundle, or a bundle has no bytes.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// More bytes than a bundle has.
    #[error("it has {size_bytes} bytes, and at most {BYTES_MAX} are read")]
    TooLarge {
        /// As found.
        size_bytes: u64,
    },
    /// More files than a bundle has.
    #[error("it has more than {FILES_MAX} files")]
    TooMany,
    /// No tar archive.
    #[error("it is no tar archive: {0}")]
    Archive(#[from] std::io::Error),
    /// A path that leads elsewhere, or is no text.
    #[error("it holds the path {0:?}, which is not plain")]
    Path(String),
    /// A file that does not belong there.
    #[error("`{path}` {cause}")]
    File {
        /// Its path.
        path: String,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// It does not say what it is about.
    #[error("it has no `{ABOUT}`, which says what it is about")]
    NoAbout,
    /// What it says that it is about cannot be read.
    #[error("`{ABOUT}`: {0}")]
    About(#[from] ledger::JsonError),
    /// Another version of the format.
    #[error("it has the version {0}, and 1 is read here")]
    Version(u32),
    /// It cannot be written.
    #[error("it has no canonical form: {0}")]
    Canonical(#[from] base::CanonicalError),
}

/// What a bundle is about. It only helps to find things; what counts is in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Version of this format; 1.
    pub schema: u32,
    /// The pipeline of the ledger.
    pub pipeline: PipelineId,
    /// Digest of the ledger's genesis entry.
    pub genesis: Digest,
    /// The evaluation whose evidence is in it.
    pub evaluation: EvaluationRef,
    /// Its ISO 8601 week.
    pub week: String,
    /// The folder of the report about it, inside the ledger; absent when none was announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
}

/// The files of a bundle by their paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// What it is about.
    pub about: About,
    files: BTreeMap<String, Vec<u8>>,
    /// Paths of the files that are programs; git's name of a folder depends on it.
    programs: BTreeSet<String>,
}

impl Bundle {
    /// A bundle without files.
    #[must_use]
    pub fn new(about: About) -> Self {
        Self { about, files: BTreeMap::new(), programs: BTreeSet::new() }
    }

    /// Adds a file under `folder`.
    pub fn add(&mut self, folder: &str, path: &str, bytes: Vec<u8>) {
        self.files.insert(format!("{folder}/{path}"), bytes);
    }

    /// Says that the file at `path` under `folder` is a program.
    pub fn set_program(&mut self, folder: &str, path: &str) {
        self.programs.insert(format!("{folder}/{path}"));
    }

    /// Whether the file at `path` under `folder` is a program.
    #[must_use]
    pub fn is_program(&self, folder: &str, path: &str) -> bool {
        self.programs.contains(&format!("{folder}/{path}"))
    }

    /// Adds a file at the top, for people; maybe a program.
    pub fn add_top(&mut self, name: &str, bytes: Vec<u8>, is_program: bool) {
        self.files.insert(name.to_owned(), bytes);
        if is_program {
            self.programs.insert(name.to_owned());
        }
    }

    /// How many files are in it, that which says what it is about among them.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a bundle is never empty")]
    pub fn len(&self) -> usize {
        self.files.len() + 1
    }

    /// The files under `folder`, by their paths in it.
    #[must_use]
    pub fn under(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let prefix = format!("{folder}/");
        let all = self.files.iter();
        all.filter_map(|(path, bytes)| {
            Some((path.strip_prefix(&prefix)?.to_owned(), bytes.clone()))
        })
        .collect()
    }

    /// The archive: the same files give the same bytes.
    ///
    /// # Errors
    /// When a path is too long for an archive.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BundleError> {
        let mut archive = tar::Builder::new(Vec::new());
        let about = base::canonical_json(&self.about)?;
        let about = (ABOUT, about.as_slice());
        let files = self.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
        for (path, bytes) in std::iter::once(about).chain(files) {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(if self.programs.contains(path) { 0o755 } else { 0o644 });
            header.set_mtime(0);
            archive.append_data(&mut header, path, bytes)?;
        }
        Ok(archive.into_inner()?)
    }

    /// Reads a bundle from the `size_bytes` bytes of its archive.
    ///
    /// # Errors
    /// When it is too large, or no archive of plain files with plain names.
    pub fn parse(bytes: impl Read, size_bytes: u64) -> Result<Self, BundleError> {
        if size_bytes > BYTES_MAX {
            return Err(BundleError::TooLarge { size_bytes });
        }
        let mut archive = tar::Archive::new(bytes.take(BYTES_MAX));
        let (mut files, mut programs) = (BTreeMap::new(), BTreeSet::new());
        let mut folded = BTreeSet::new();
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = plain_path(&entry.path_bytes())?;
            let refuse = |path: &str, cause| BundleError::File { path: path.to_owned(), cause };
            if !entry.header().entry_type().is_file() {
                return Err(refuse(&path, "is not a plain file"));
            }
            // A disk that does not tell upper from lower case would lose one of the two.
            if !folded.insert(path.to_lowercase()) {
                return Err(refuse(&path, "is in it twice"));
            }
            if files.len() == FILES_MAX {
                return Err(BundleError::TooMany);
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            if bytes.len() as u64 != entry.size() {
                return Err(refuse(&path, "is cut short"));
            }
            if entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0) {
                programs.insert(path.clone());
            }
            files.insert(path, bytes);
        }
        let about = files.remove(ABOUT).ok_or(BundleError::NoAbout)?;
        programs.remove(ABOUT);
        let about: About = ledger::parse_strict(&about, ABOUT_BYTES_MAX)?;
        match about.schema {
            1 => Ok(Self { about, files, programs }),
            other => Err(BundleError::Version(other)),
        }
    }
}

/// A relative path of plain names.
fn plain_path(path: &[u8]) -> Result<String, BundleError> {
    let shown = String::from_utf8_lossy(path).into_owned();
    let plain = |name: &str| {
        !matches!(name, "" | "." | "..") && !name.contains(|c: char| c == '\\' || c.is_control())
    };
    let is_plain = std::str::from_utf8(path).is_ok_and(|path| path.split('/').all(plain));
    match is_plain && path.len() <= PATH_BYTES_MAX {
        true => Ok(shown),
        false => Err(BundleError::Path(shown)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn bundle() -> Bundle {
        let mut bundle = Bundle::new(About {
            schema: 1,
            pipeline: "demo".parse().unwrap(),
            genesis: Digest::of(b"genesis"),
            evaluation: EvaluationRef { seq: 4, digest: Digest::of(b"entry") },
            week: "2026-W02".to_owned(),
            report: None,
        });
        bundle.add(LEDGER, "entries/000000/entry.json", b"{}\n".to_vec());
        // Longer than the name field of a header.
        bundle.add(
            RULES,
            &format!("stages/{}/stage.toml", "x".repeat(200)),
            b"schema = 1".to_vec(),
        );
        bundle.add(RULES, "stages/one/check", b"#!/bin/sh".to_vec());
        bundle.set_program(RULES, "stages/one/check");
        bundle.add_top("README.txt", Vec::new(), false);
        bundle
    }

    fn parse(bytes: &[u8]) -> Result<Bundle, String> {
        Bundle::parse(bytes, bytes.len() as u64).map_err(|error| error.to_string())
    }

    /// An archive with one file, whose header `change` has its way with.
    fn archive(path: &[u8], change: impl FnOnce(&mut tar::Header)) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        header.set_mode(0o644);
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path);
        change(&mut header);
        header.set_cksum();
        let mut archive = tar::Builder::new(Vec::new());
        archive.append(&header, b"{}".as_slice()).unwrap();
        archive.into_inner().unwrap()
    }

    #[test]
    fn a_bundle_reads_back_and_has_the_same_bytes_each_time() {
        let bytes = bundle().to_bytes().unwrap();
        assert_eq!(bytes, bundle().to_bytes().unwrap());
        assert_eq!(parse(&bytes).unwrap(), bundle());
        assert!(parse(&bytes).unwrap().is_program(RULES, "stages/one/check"));
        let ledger = bundle().under(LEDGER);
        assert_eq!(ledger.keys().collect::<Vec<_>>(), ["entries/000000/entry.json"]);
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        let hostile: [&[u8]; 8] = [
            b"/etc/passwd",
            b"../up",
            b"a/../../up",
            b"a//b",
            b"./a",
            b"a\\..\\b",
            b"a\x1b[2Jb",
            b"a\xffb",
        ];
        for path in hostile {
            let error = parse(&archive(path, |_| {})).unwrap_err();
            assert!(error.contains("it holds the path"), "{error}");
            assert!(!error.contains('\x1b'), "{error:?}");
        }
    }

    #[test]
    fn only_plain_files_are_read() {
        for kind in [
            tar::EntryType::Symlink,
            tar::EntryType::Link,
            tar::EntryType::Directory,
            tar::EntryType::Fifo,
            tar::EntryType::Char,
            tar::EntryType::Block,
            tar::EntryType::GNUSparse,
        ] {
            let bytes = archive(b"a", |header| header.set_entry_type(kind));
            parse(&bytes).unwrap_err();
        }
    }

    #[test]
    fn names_that_differ_in_case_only_are_one_name_too_many() {
        let mut twice = bundle();
        twice.add_top("readme.TXT", Vec::new(), false);
        let error = parse(&twice.to_bytes().unwrap()).unwrap_err();
        assert!(error.contains("twice"), "{error}");
    }

    #[test]
    fn what_is_cut_short_or_no_archive_is_refused() {
        let bytes = bundle().to_bytes().unwrap();
        for length in (0..bytes.len() - 1024).step_by(97) {
            // Shorter by whole files, it may still be an archive, but never the same bundle.
            assert_ne!(parse(&bytes[..length]).ok(), Some(bundle()), "{length}");
        }
        parse(&[7; 4096]).unwrap_err();
        let without = archive(b"README.txt", |_| {});
        assert!(parse(&without).unwrap_err().contains("no `bundle.json`"));
        let other = archive(b"bundle.json", |_| {});
        assert!(parse(&other).unwrap_err().contains("missing field"));
    }
}
