//! What users ask an archive to do: merge blocks, and remove old ones.

use std::path::Path;
use std::sync::Arc;

use super::error::{ArchiveError, Damage};
use super::inspect::BlockInfo;
use super::layout::{Directory, SetAside, Span};
use super::load::{Checking, Loaded};
use super::manifest::BlockEntry;
use super::save::{sync_names, write_block, write_manifest};
use super::{Archive, load_unlocked};
use crate::block::Block;
use crate::storage::{OsStorage, Storage};

/// Blocks are merged up to this length, in milliseconds: 24 hours, from midnight UTC.
const MERGED_MS: i64 = 24 * 60 * 60 * 1_000;

/// What a compaction did, or would do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compaction {
    /// Whether it was only asked what would be done.
    pub dry_run: bool,
    /// In the order of time.
    pub merges: Vec<Merge>,
    /// Blocks that were left alone because they are damaged.
    pub damage: Vec<Damage>,
}

/// Blocks that became one.
#[derive(Debug, Clone, PartialEq)]
pub struct Merge {
    /// The blocks that were replaced.
    pub from: Vec<BlockInfo>,
    /// The block that took their place; `None` when only asked.
    pub to: Option<BlockInfo>,
}

/// What retention removed, or would remove.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Retention {
    /// Whether it was only asked what would be removed.
    pub dry_run: bool,
    /// What ends at this time or before is not kept, in milliseconds since the Unix epoch; `None`
    /// when there are no samples.
    pub cutoff_ms: Option<i64>,
    /// The removed blocks.
    pub blocks: Vec<BlockInfo>,
    /// Damaged blocks and logs set aside that were removed, too.
    pub damage: Vec<Damage>,
}

/// Merges blocks that follow one another into blocks of up to a day, and, with a step in
/// milliseconds, keeps only the last sample of each step. A query that looks back for less than the
/// step sees gaps then. Only what ends by `before_ms` is touched, everything when there is none;
/// blocks of that step or a coarser one are not made coarser. Damaged blocks are left alone. Each
/// merge counts as a whole or not at all, whenever the program ends.
///
/// # Errors
/// When a process writes to the archive, and as [`Archive::open`]; a dry run needs only what
/// [`Archive::read`] needs.
pub fn compact(
    path: &Path,
    step_ms: Option<i64>,
    before_ms: Option<i64>,
    dry_run: bool,
) -> Result<Compaction, ArchiveError> {
    compact_on(&(Arc::new(OsStorage) as Arc<dyn Storage>), path, (step_ms, before_ms, dry_run))
}

pub(super) fn compact_on(
    storage: &Arc<dyn Storage>,
    path: &Path,
    (step_ms, before_ms, dry_run): (Option<i64>, Option<i64>, bool),
) -> Result<Compaction, ArchiveError> {
    let step_ms = step_ms.filter(|step| *step > 0);
    let before_ms = before_ms.unwrap_or(i64::MAX);
    if dry_run {
        let directory = Directory(path.to_owned());
        let loaded = load_unlocked(&**storage, &directory, Checking::Indices)?;
        let groups = merges(&Held::of_loaded(&loaded), step_ms, before_ms);
        let merge = |group: Vec<(BlockEntry, Arc<Block>)>| Merge { from: infos(&group), to: None };
        let merges = groups.into_iter().map(merge).collect();
        return Ok(Compaction { dry_run, merges, damage: loaded.opening.damage });
    }
    let (mut archive, opening) =
        Archive::open_on(Arc::clone(storage), path, super::OUT_OF_ORDER_MS)?;
    let mut done = Compaction { dry_run, merges: Vec::new(), damage: opening.damage };
    for group in merges(&Held::of_archive(&archive), step_ms, before_ms) {
        done.merges.push(archive.merge(&group, step_ms)?);
    }
    Ok(done)
}

/// Removes the blocks that are wholly older than `keep_ms` milliseconds before the newest sample.
/// Nothing else is ever removed for its age.
///
/// # Errors
/// As [`compact`].
pub fn retain(path: &Path, keep_ms: i64, dry_run: bool) -> Result<Retention, ArchiveError> {
    retain_on(&(Arc::new(OsStorage) as Arc<dyn Storage>), path, keep_ms, dry_run)
}

pub(super) fn retain_on(
    storage: &Arc<dyn Storage>,
    path: &Path,
    keep_ms: i64,
    dry_run: bool,
) -> Result<Retention, ArchiveError> {
    if dry_run {
        let directory = Directory(path.to_owned());
        let loaded = load_unlocked(&**storage, &directory, Checking::Indices)?;
        let held = Held::of_loaded(&loaded);
        return Ok(held.older_than(keep_ms, &loaded.opening.damage, true));
    }
    let (mut archive, opening) =
        Archive::open_on(Arc::clone(storage), path, super::OUT_OF_ORDER_MS)?;
    let removed = Held::of_archive(&archive).older_than(keep_ms, &opening.damage, false);
    archive.remove(&removed)?;
    Ok(removed)
}

/// The blocks of an archive with what the manifest says of them.
struct Held {
    blocks: Vec<(BlockEntry, Option<Arc<Block>>)>,
    damage: Vec<Damage>,
    last_ms: Option<i64>,
}

impl Held {
    fn of_loaded(loaded: &Loaded) -> Self {
        Self::new(&loaded.manifest.blocks, &loaded.store, &loaded.opening.damage)
    }

    fn of_archive(archive: &Archive) -> Self {
        Self::new(&archive.manifest.blocks, &archive.store, &archive.damage)
    }

    fn new(entries: &[BlockEntry], store: &crate::Store, damage: &[Damage]) -> Self {
        let block = |entry: &BlockEntry| {
            let file = entry.name.file();
            store.blocks().iter().find(|block| block.name() == file).cloned()
        };
        Self {
            blocks: entries.iter().map(|entry| (entry.clone(), block(entry))).collect(),
            damage: damage.to_vec(),
            last_ms: store.extent_ms().map(|(_, last_ms)| last_ms),
        }
    }

    fn is_damaged(&self, entry: &BlockEntry) -> bool {
        let file = format!("blocks/{}", entry.name.file());
        self.damage.iter().any(|damage| damage.file == file)
    }

    fn older_than(&self, keep_ms: i64, damage: &[Damage], dry_run: bool) -> Retention {
        let Some(last_ms) = self.last_ms else {
            return Retention { dry_run, ..Retention::default() };
        };
        let cutoff_ms = last_ms.saturating_sub(keep_ms.max(0));
        let old = self.blocks.iter().filter(|(entry, _)| entry.name.span.to_ms <= cutoff_ms);
        let blocks = old.map(|(entry, block)| BlockInfo::new(entry, block.as_deref())).collect();
        let damage =
            damage.iter().filter(|damage| damage.to_ms <= cutoff_ms && !damage.is_of_log());
        let damage = damage.cloned().collect();
        Retention { dry_run, cutoff_ms: Some(cutoff_ms), blocks, damage }
    }
}

/// What is to become one block each.
fn merges(held: &Held, step_ms: Option<i64>, before_ms: i64) -> Vec<Vec<(BlockEntry, Arc<Block>)>> {
    let mut groups: Vec<Vec<(BlockEntry, Arc<Block>)>> = Vec::new();
    let mut open = false;
    for (entry, block) in &held.blocks {
        let block = block
            .as_ref()
            .filter(|_| entry.name.span.to_ms <= before_ms && !held.is_damaged(entry));
        let Some(block) = block else {
            // What follows a block that stays is not merged with what precedes it.
            open = false;
            continue;
        };
        let together = |group: &Vec<(BlockEntry, Arc<Block>)>| {
            group.last().is_some_and(|(last, _)| {
                day(last.name.span) == day(entry.name.span)
                    && step_after(last, step_ms) == step_after(entry, step_ms)
            })
        };
        match groups.last_mut() {
            Some(group) if open && together(group) => {
                group.push((entry.clone(), Arc::clone(block)))
            }
            _ => groups.push(vec![(entry.clone(), Arc::clone(block))]),
        }
        open = true;
    }
    let changes = |group: &Vec<(BlockEntry, Arc<Block>)>| {
        group.len() > 1
            || group.iter().any(|(entry, _)| step_after(entry, step_ms) != entry.step_ms)
    };
    groups.into_iter().filter(changes).collect()
}

fn day(span: Span) -> i64 {
    span.from_ms.div_euclid(MERGED_MS)
}

/// The step that a block has after a compaction to `step_ms`.
fn step_after(entry: &BlockEntry, step_ms: Option<i64>) -> Option<i64> {
    entry.step_ms.max(step_ms)
}

fn infos(group: &[(BlockEntry, Arc<Block>)]) -> Vec<BlockInfo> {
    group.iter().map(|(entry, block)| BlockInfo::new(entry, Some(block))).collect()
}

impl Archive {
    /// Puts one block in the place of several. The samples in memory stay as they were.
    fn merge(
        &mut self,
        group: &[(BlockEntry, Arc<Block>)],
        step_ms: Option<i64>,
    ) -> Result<Merge, ArchiveError> {
        let blocks: Vec<&Block> = group.iter().map(|(_, block)| &**block).collect();
        let step_ms = group.first().and_then(|(entry, _)| step_after(entry, step_ms));
        let merged = Block::merge("that is being merged", &blocks, step_ms)?;
        let storage = Arc::clone(&self.storage);
        let mut manifest = self.manifest.clone();
        manifest.blocks.retain(|old| group.iter().all(|(entry, _)| entry.name != old.name));
        let number = manifest.next_block;
        let block = write_block(&*storage, &self.directory, &mut manifest, &merged, step_ms)?;
        sync_names(&*storage, &self.directory.blocks())?;
        write_manifest(&*storage, &self.directory, &manifest)?;
        let entry = manifest.blocks.iter().find(|entry| entry.name.number == number);
        let to = entry.map(|entry| BlockInfo::new(entry, Some(&block)));
        self.manifest = manifest;
        self.names_unsynced = true;
        let old = group.iter().map(|(entry, _)| self.directory.block(entry.name));
        self.obsolete.extend(old);
        self.tidy()?;
        Ok(Merge { from: infos(group), to })
    }

    fn remove(&mut self, removed: &Retention) -> Result<(), ArchiveError> {
        let is_removed =
            |entry: &BlockEntry| removed.blocks.iter().any(|block| block.file == entry.name.file());
        let mut manifest = self.manifest.clone();
        manifest.blocks.retain(|entry| !is_removed(entry));
        if manifest != self.manifest {
            write_manifest(&*self.storage, &self.directory, &manifest)?;
            let old = self.manifest.blocks.iter().filter(|entry| is_removed(entry));
            let old = old.map(|entry| self.directory.block(entry.name));
            self.obsolete.extend(old);
            self.manifest = manifest;
            self.names_unsynced = true;
        }
        let aside = removed.damage.iter().filter(|damage| {
            damage.file.strip_prefix("log/").is_some_and(|file| SetAside::of_file(file).is_some())
        });
        self.obsolete.extend(aside.map(|damage| self.directory.root().join(&damage.file)));
        self.tidy()
    }
}
