//! A disk in memory that fails on purpose.
//!
//! Every step that changes the disk is a *write point*, numbered from 0. A process kill keeps what
//! was handed over; a power loss keeps what was synced, and of the rest what a seeded draw says:
//! appended bytes survive as a prefix, perhaps followed by zeros; names survive one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::storage::{Access, Entry, Storage, StorageFile};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The program ends at this write point, half-way through an append.
    Kill,
    /// This write point fails, an append half-way; later ones succeed.
    Once(io::ErrorKind),
    /// From here on nothing that needs space succeeds, until [`FaultyStorage::heal`].
    Full,
    /// From here on nothing may be written, until [`FaultyStorage::heal`].
    ReadOnly,
}

/// How a program or its machine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    ProcessKill,
    PowerLoss { seed: u64 },
}

#[derive(Debug, Clone)]
enum FileStep {
    Append(Vec<u8>),
    Truncate(usize),
}

impl FileStep {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Append(more) => bytes.extend_from_slice(more),
            Self::Truncate(length) => bytes.truncate(*length),
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Node {
    durable: Vec<u8>,
    current: Vec<u8>,
    unsynced: Vec<FileStep>,
}

#[derive(Debug, Clone)]
enum NameStep {
    Create { path: PathBuf, node: usize },
    Rename { from: PathBuf, to: PathBuf, node: usize },
    Remove { path: PathBuf },
}

impl NameStep {
    fn directory(&self) -> Option<&Path> {
        match self {
            Self::Create { path, .. } | Self::Remove { path } => path.parent(),
            Self::Rename { to, .. } => to.parent(),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Create { path, node } => {
                names.insert(path.clone(), *node);
            }
            Self::Rename { from, to, node } => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
            Self::Remove { path } => {
                names.remove(path);
            }
        }
    }
}

#[derive(Debug, Default)]
struct Disk {
    nodes: Vec<Node>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    unsynced_names: Vec<NameStep>,
    directories: BTreeSet<PathBuf>,
    locked: BTreeSet<usize>,
    points: u64,
    fault: Option<(u64, Fault)>,
    lie: Option<Lie>,
    dead: bool,
}

/// A disk that says that something is safe which is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    Contents,
    Names,
}

/// What a write point may do.
enum Leave {
    Do,
    /// Do half of it, then fail.
    Half(io::Error),
}

impl Disk {
    fn alive(&self) -> io::Result<()> {
        if self.dead { Err(io::Error::other("the program was killed")) } else { Ok(()) }
    }

    fn point(&mut self, needs_space: bool) -> io::Result<Leave> {
        self.alive()?;
        let at = self.points;
        self.points += 1;
        let Some((from, fault)) = self.fault.filter(|(from, _)| at >= *from) else {
            return Ok(Leave::Do);
        };
        Ok(match fault {
            Fault::Kill => {
                self.dead = true;
                Leave::Half(io::Error::other("the program was killed"))
            }
            Fault::Once(kind) if at == from => Leave::Half(kind.into()),
            Fault::Full if needs_space => Leave::Half(io::ErrorKind::StorageFull.into()),
            Fault::ReadOnly => return Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            Fault::Once(_) | Fault::Full => Leave::Do,
        })
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn name(&mut self, step: NameStep) {
        step.apply(&mut self.names);
        self.unsynced_names.push(step);
    }
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultyStorage(Arc<Mutex<Disk>>);

impl FaultyStorage {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    /// Lets `fault` happen at the given write point from now.
    pub(crate) fn arm(&self, in_points: u64, fault: Fault) {
        let mut disk = self.disk();
        disk.fault = Some((disk.points + in_points, fault));
    }

    /// Lets syncs do nothing from now on. A test that passes on such a disk tests nothing.
    pub(crate) fn lie(&self, lie: Lie) {
        self.disk().lie = Some(lie);
    }

    /// There is space again, and the disk can be written.
    pub(crate) fn heal(&self) {
        self.disk().fault = None;
    }

    /// Write points that were passed.
    pub(crate) fn points(&self) -> u64 {
        self.disk().points
    }

    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.disk().names.keys().cloned().collect()
    }

    pub(crate) fn contents(&self, path: &Path) -> Vec<u8> {
        let disk = self.disk();
        disk.nodes[disk.find(path).unwrap()].current.clone()
    }

    /// Changes a file behind the program's back.
    pub(crate) fn set(&self, path: &Path, bytes: Vec<u8>) {
        let mut disk = self.disk();
        let node = Node { durable: bytes.clone(), current: bytes, unsynced: Vec::new() };
        disk.nodes.push(node);
        let node = disk.nodes.len() - 1;
        disk.names.insert(path.to_owned(), node);
        disk.durable_names.insert(path.to_owned(), node);
    }

    /// The disk as a program finds it after the crash.
    pub(crate) fn after(&self, crash: Crash) -> Self {
        let disk = self.disk();
        let (names, contents): (_, Vec<Vec<u8>>) = match crash {
            Crash::ProcessKill => {
                (disk.names.clone(), disk.nodes.iter().map(|n| n.current.clone()).collect())
            }
            Crash::PowerLoss { seed } => {
                let mut draw = Draw(seed);
                let names = surviving_names(&disk, &mut draw);
                (names, disk.nodes.iter().map(|node| surviving(node, &mut draw)).collect())
            }
        };
        let node =
            |bytes: Vec<u8>| Node { durable: bytes.clone(), current: bytes, ..Node::default() };
        let after = Disk {
            nodes: contents.into_iter().map(node).collect(),
            durable_names: names.clone(),
            names,
            directories: disk.directories.clone(),
            ..Disk::default()
        };
        Self(Arc::new(Mutex::new(after)))
    }
}

fn surviving_names(disk: &Disk, draw: &mut Draw) -> BTreeMap<PathBuf, usize> {
    let mut names = disk.durable_names.clone();
    let steps = &disk.unsynced_names;
    // A journal keeps a prefix; other file systems keep any of the steps.
    let journal = draw.below(2) == 0;
    let kept = draw.below(steps.len() as u64 + 1);
    for (at, step) in steps.iter().enumerate() {
        if if journal { (at as u64) < kept } else { draw.below(2) == 0 } {
            step.apply(&mut names);
        }
    }
    names
}

fn surviving(node: &Node, draw: &mut Draw) -> Vec<u8> {
    let mut bytes = node.durable.clone();
    let kept = draw.below(node.unsynced.len() as u64 + 1) as usize;
    for step in &node.unsynced[..kept] {
        step.apply(&mut bytes);
    }
    if let Some(FileStep::Append(torn)) = node.unsynced.get(kept) {
        let part = draw.below(torn.len() as u64 + 1) as usize;
        bytes.extend_from_slice(&torn[..part]);
        if draw.below(3) == 0 {
            // The length was on the disk before the contents were.
            bytes.resize(bytes.len().max(node.current.len()), 0);
        }
    }
    bytes
}

/// A small seeded generator: SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

impl Storage for FaultyStorage {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        if disk.directories.contains(path) {
            return disk.alive();
        }
        match disk.point(true)? {
            Leave::Half(error) => Err(error),
            Leave::Do => {
                disk.directories.extend(path.ancestors().map(Path::to_owned));
                Ok(())
            }
        }
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn StorageFile>> {
        let mut disk = self.disk();
        disk.alive()?;
        if !path.parent().is_some_and(|directory| disk.directories.contains(directory)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let node = match (disk.find(path), access) {
            (Ok(node), Access::Read) => node,
            (Err(error), Access::Read) => return Err(error),
            (Ok(node), Access::Append) => {
                if matches!(disk.fault, Some((from, Fault::ReadOnly)) if disk.points >= from) {
                    return Err(io::ErrorKind::ReadOnlyFilesystem.into());
                }
                node
            }
            (_, Access::Append | Access::Replace) => {
                if let Leave::Half(error) = disk.point(true)? {
                    return Err(error);
                }
                disk.nodes.push(Node::default());
                let node = disk.nodes.len() - 1;
                disk.name(NameStep::Create { path: path.to_owned(), node });
                node
            }
        };
        drop(disk);
        let writable = access != Access::Read;
        Ok(Box::new(FaultyFile { storage: self.clone(), node, writable, locked: false }))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let disk = self.disk();
        disk.alive()?;
        if !disk.directories.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = disk.names.iter().filter(|(name, _)| name.parent() == Some(path));
        let entry = |(name, node): (&PathBuf, &usize)| Entry {
            name: name.file_name().unwrap().to_string_lossy().into_owned(),
            bytes: disk.nodes[*node].current.len() as u64,
        };
        Ok(inside.map(entry).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        assert_eq!(from.parent(), to.parent(), "renaming is one step within a directory only");
        let mut disk = self.disk();
        let node = disk.find(from)?;
        match disk.point(true)? {
            Leave::Half(error) => Err(error),
            Leave::Do => {
                disk.name(NameStep::Rename { from: from.to_owned(), to: to.to_owned(), node });
                Ok(())
            }
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.find(path)?;
        match disk.point(false)? {
            Leave::Half(error) => Err(error),
            Leave::Do => {
                disk.name(NameStep::Remove { path: path.to_owned() });
                Ok(())
            }
        }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        if let Leave::Half(error) = disk.point(false)? {
            return Err(error);
        }
        if disk.lie == Some(Lie::Names) {
            return Ok(());
        }
        let steps = std::mem::take(&mut disk.unsynced_names);
        for step in steps {
            if step.directory() == Some(path) {
                step.apply(&mut disk.durable_names);
            } else {
                disk.unsynced_names.push(step);
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct FaultyFile {
    storage: FaultyStorage,
    node: usize,
    writable: bool,
    locked: bool,
}

impl Drop for FaultyFile {
    fn drop(&mut self) {
        if self.locked {
            self.storage.disk().locked.remove(&self.node);
        }
    }
}

impl StorageFile for FaultyFile {
    fn length(&self) -> io::Result<u64> {
        let disk = self.storage.disk();
        disk.alive()?;
        Ok(disk.nodes[self.node].current.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let disk = self.storage.disk();
        disk.alive()?;
        let found = disk.nodes[self.node].current.get(offset as usize..);
        let found = found.and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn append_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        assert!(self.writable, "written through a file that is open for reading");
        let mut disk = self.storage.disk();
        let (bytes, result) = match disk.point(true)? {
            Leave::Do => (bytes, Ok(())),
            Leave::Half(error) => (&bytes[..bytes.len() / 2], Err(error)),
        };
        let node = &mut disk.nodes[self.node];
        assert_eq!(offset as usize, node.current.len(), "written elsewhere than at the end");
        node.current.extend_from_slice(bytes);
        node.unsynced.push(FileStep::Append(bytes.to_vec()));
        result
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut disk = self.storage.disk();
        if let Leave::Half(error) = disk.point(false)? {
            return Err(error);
        }
        let node = &mut disk.nodes[self.node];
        node.current.truncate(length as usize);
        node.unsynced.push(FileStep::Truncate(length as usize));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.storage.disk();
        if let Leave::Half(error) = disk.point(false)? {
            return Err(error);
        }
        if disk.lie == Some(Lie::Contents) {
            return Ok(());
        }
        let node = &mut disk.nodes[self.node];
        node.durable = node.current.clone();
        node.unsynced.clear();
        Ok(())
    }

    fn try_lock(&mut self) -> io::Result<bool> {
        let mut disk = self.storage.disk();
        disk.alive()?;
        self.locked = disk.locked.insert(self.node);
        Ok(self.locked)
    }
}

#[cfg(test)]
mod tests {
    use super::{Crash, Fault, FaultyStorage};
    use crate::storage::{Access, Storage};
    use std::collections::BTreeSet;
    use std::path::Path;

    fn disk() -> FaultyStorage {
        let disk = FaultyStorage::new();
        disk.create_dir(Path::new("/d")).unwrap();
        disk
    }

    fn lost(disk: &FaultyStorage) -> impl Iterator<Item = FaultyStorage> {
        (0..200).map(|seed| disk.after(Crash::PowerLoss { seed }))
    }

    #[test]
    fn a_power_loss_keeps_a_prefix_and_a_kill_keeps_all() {
        let disk = disk();
        let path = Path::new("/d/a");
        let mut file = disk.open(path, Access::Append).unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        file.append_at(0, b"synced").unwrap();
        file.sync().unwrap();
        file.append_at(6, b"loose").unwrap();
        let seen: BTreeSet<Vec<u8>> = lost(&disk).map(|disk| disk.contents(path)).collect();
        for kept in [&b"synced"[..], b"syncedlo", b"syncedloose", b"syncedlo\0\0\0"] {
            assert!(seen.contains(kept), "{kept:?} in {seen:?}");
        }
        assert!(seen.iter().all(|bytes| bytes.starts_with(b"synced")));
        assert_eq!(disk.after(Crash::ProcessKill).contents(path), b"syncedloose");
    }

    #[test]
    fn an_unsynced_rename_may_be_lost_and_is_never_half_done() {
        let disk = disk();
        let (from, to) = (Path::new("/d/new"), Path::new("/d/old"));
        disk.set(to, b"old".to_vec());
        let mut file = disk.open(from, Access::Replace).unwrap();
        file.append_at(0, b"new").unwrap();
        file.sync().unwrap();
        disk.rename(from, to).unwrap();
        let seen: BTreeSet<Vec<u8>> = lost(&disk).map(|disk| disk.contents(to)).collect();
        assert_eq!(seen, BTreeSet::from([b"old".to_vec(), b"new".to_vec()]));
        disk.sync_dir(Path::new("/d")).unwrap();
        assert!(lost(&disk).all(|disk| disk.contents(to) == b"new" && disk.files() == [to]));
    }

    #[test]
    fn faults_happen_where_they_were_armed() {
        let disk = disk();
        let mut file = disk.open(Path::new("/d/a"), Access::Append).unwrap();
        disk.arm(1, Fault::Once(std::io::ErrorKind::Other));
        file.append_at(0, b"ab").unwrap();
        assert!(file.append_at(2, b"cd").is_err());
        file.append_at(3, b"ef").unwrap();
        disk.arm(0, Fault::Full);
        assert!(file.append_at(5, b"gh").is_err());
        file.truncate(1).unwrap();
        disk.heal();
        file.append_at(1, b"ij").unwrap();
        assert_eq!(disk.contents(Path::new("/d/a")), b"aij");
        disk.arm(0, Fault::Kill);
        assert!(file.sync().is_err() && file.length().is_err());
    }
}
