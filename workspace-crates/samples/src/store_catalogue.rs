//! Which targets and series a store has.
//!
//! The labels that all series of a target share are the target's; what is left of each series is
//! its *family*. Targets of one kind have the same families, and their samples are stored by family.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::block_index::CatalogueMark;
use crate::bytes::{Reader, put_varint};
use crate::codec::{put_labels, take_labels};
use crate::{Labels, METRIC_NAME, Matcher};

/// A family: labels, and which one it is of several series of a target that are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Family {
    labels: Labels,
    copy: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The labels that all series share.
    labels: Labels,
    /// The family of each series.
    pub(crate) families: Arc<[u32]>,
    layout: u32,
    /// The full labels of each series.
    pub(crate) series: Vec<Labels>,
    /// Over this target and all before it.
    crc: u32,
}

/// A series' place: its target and its column there.
pub(crate) type Place = (u32, u32);

#[derive(Debug, Clone, Default)]
pub(crate) struct Catalogue {
    targets: Vec<Target>,
    families: Vec<Family>,
    layouts: Vec<Arc<[u32]>>,
    family_numbers: HashMap<Family, u32>,
    layout_numbers: HashMap<Arc<[u32]>, u32>,
    first_places: HashMap<Labels, Place>,
    /// For series that occur in several places: by the first place all later ones.
    later_places: BTreeMap<Place, Vec<Place>>,
    repeated: BTreeSet<Place>,
}

impl Catalogue {
    pub(crate) fn len(&self) -> usize {
        self.targets.len()
    }

    pub(crate) fn get(&self, target: u32) -> Option<&Target> {
        self.targets.get(target as usize)
    }

    pub(crate) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The places at which a series of this first place occurs again, in their order.
    pub(crate) fn later_places(&self, first: Place) -> &[Place] {
        self.later_places.get(&first).map_or(&[], Vec::as_slice)
    }

    /// Identifies the first `targets` targets.
    pub(crate) fn mark(&self, targets: u32) -> Option<CatalogueMark> {
        let crc = match targets.checked_sub(1) {
            None => 0,
            Some(last) => self.get(last)?.crc,
        };
        Some(CatalogueMark { targets, crc })
    }

    /// Adds a target and gives its number.
    pub(crate) fn add(&mut self, series: Vec<Labels>) -> u32 {
        let shared = shared_labels(&series);
        let mut copies: HashMap<Labels, u32> = HashMap::new();
        let families = series.iter().map(|labels| {
            let labels = labels.filtered(|name| shared.get(name).is_empty());
            let copy = copies.entry(labels.clone()).or_default();
            *copy += 1;
            Family { labels, copy: *copy - 1 }
        });
        let families: Vec<Family> = families.collect();
        self.add_factored(shared, families, series)
    }

    fn add_factored(&mut self, labels: Labels, own: Vec<Family>, series: Vec<Labels>) -> u32 {
        let number = self.targets.len() as u32;
        let crc = self.targets.last().map_or(0, |last| last.crc);
        let crc = checksum(crc, &labels, &own);
        let families: Arc<[u32]> = own.into_iter().map(|family| self.intern(family)).collect();
        let layout = *self.layout_numbers.entry(Arc::clone(&families)).or_insert_with(|| {
            self.layouts.push(Arc::clone(&families));
            self.layouts.len() as u32 - 1
        });
        for (column, labels) in series.iter().enumerate() {
            let place = (number, column as u32);
            let first = *self.first_places.entry(labels.clone()).or_insert(place);
            if first != place {
                self.later_places.entry(first).or_default().push(place);
                self.repeated.insert(place);
            }
        }
        self.targets.push(Target { labels, families, layout, series, crc });
        number
    }

    fn intern(&mut self, family: Family) -> u32 {
        if let Some(number) = self.family_numbers.get(&family) {
            return *number;
        }
        let number = self.families.len() as u32;
        self.families.push(family.clone());
        self.family_numbers.insert(family, number);
        number
    }

    /// For each target in its order the columns whose series satisfy all `matchers`; a series that
    /// occurs again is only given at its first place.
    pub(crate) fn matching(&self, matchers: &[Matcher]) -> Vec<(u32, Vec<u32>)> {
        let verdicts: Vec<Option<Vec<usize>>> =
            self.families.iter().map(|family| left_to_target(&family.labels, matchers)).collect();
        let columns: Vec<Vec<u32>> = self
            .layouts
            .iter()
            .map(|layout| {
                let fits = |family: u32| verdicts[family as usize].is_some();
                (0_u32..).zip(layout.iter()).filter(|(_, f)| fits(**f)).map(|(c, _)| c).collect()
            })
            .collect();
        let mut found = Vec::new();
        for (number, target) in (0_u32..).zip(&self.targets) {
            let candidates = &columns[target.layout as usize];
            if candidates.is_empty() {
                continue;
            }
            let accepted: Vec<bool> =
                matchers.iter().map(|m| m.accepts(target.labels.get(m.name()))).collect();
            let fits = |column: &&u32| {
                let family = target.families[**column as usize] as usize;
                let left = verdicts[family].as_deref().unwrap_or_default();
                left.iter().all(|at| accepted[*at]) && !self.repeated.contains(&(number, **column))
            };
            let columns: Vec<u32> = candidates.iter().filter(fits).copied().collect();
            if !columns.is_empty() {
                found.push((number, columns));
            }
        }
        found
    }

    /// Appends the stored form: for each target its labels and its layout; a layout and a family
    /// that occur for the first time follow in full.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.targets.len() as u64);
        let (mut layouts, mut families) = (0, 0);
        for target in &self.targets {
            put_labels(out, &target.labels);
            put_varint(out, u64::from(target.layout));
            if target.layout < layouts {
                continue;
            }
            layouts += 1;
            put_varint(out, target.families.len() as u64);
            for number in target.families.iter() {
                put_varint(out, u64::from(*number));
                if *number < families {
                    continue;
                }
                families += 1;
                let family = &self.families[*number as usize];
                put_labels(out, &family.labels);
                put_varint(out, u64::from(family.copy));
            }
        }
    }

    /// Reads what [`Catalogue::encode`] wrote.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let mut catalogue = Self::default();
        let count = reader.count()?;
        let mut series_count = 0_usize;
        for _ in 0..count {
            let labels = take_labels(reader)?;
            let layout = usize::try_from(reader.varint()?).ok()?;
            let own = match catalogue.layouts.get(layout) {
                Some(layout) => {
                    let family = |number: &u32| catalogue.families[*number as usize].clone();
                    layout.iter().map(family).collect()
                }
                None if layout == catalogue.layouts.len() => catalogue.take_layout(reader)?,
                None => return None,
            };
            // Forged layouts that are used again and again must not ask for much memory.
            series_count += own.len();
            if series_count > SERIES_MAX {
                return None;
            }
            catalogue.add_decoded(labels, own)?;
        }
        Some(catalogue)
    }

    fn take_layout(&self, reader: &mut Reader<'_>) -> Option<Vec<Family>> {
        let count = reader.count()?;
        let mut own: Vec<Family> = Vec::new();
        let mut known = self.families.len();
        let mut new: Vec<Family> = Vec::new();
        for _ in 0..count {
            let number = usize::try_from(reader.varint()?).ok()?;
            let family = match self.families.get(number) {
                Some(family) => family.clone(),
                None if number < known => new.get(number - self.families.len())?.clone(),
                None if number == known => {
                    known += 1;
                    let labels = take_labels(reader)?;
                    new.push(Family { labels, copy: u32::try_from(reader.varint()?).ok()? });
                    new.last()?.clone()
                }
                None => return None,
            };
            own.push(family);
        }
        Some(own)
    }

    fn add_decoded(&mut self, labels: Labels, own: Vec<Family>) -> Option<()> {
        let apart = |family: &Family| family.labels.iter().all(|(n, _)| labels.get(n).is_empty());
        if !own.iter().all(apart) {
            return None;
        }
        let series = own.iter().map(|family| labels.merged(&family.labels)).collect();
        let layouts = self.layouts.len();
        let (before, families) = (self.families.len(), own.len());
        self.add_factored(labels, own, series);
        let distinct = self.targets.last().is_some_and(|target| {
            let mut sorted = target.families.to_vec();
            sorted.sort_unstable();
            sorted.is_sorted_by(|a, b| a < b)
        });
        let grown = self.layouts.len() - layouts <= 1 && self.families.len() - before <= families;
        (distinct && grown).then_some(())
    }
}

/// No store of this kind holds more; only forged ones claim to.
const SERIES_MAX: usize = 1 << 22;

/// What all series have in common, except for the metric name.
fn shared_labels(series: &[Labels]) -> Labels {
    let Some((first, rest)) = series.split_first() else { return Labels::empty() };
    first.filtered(|name| {
        name != METRIC_NAME && rest.iter().all(|labels| labels.get(name) == first.get(name))
    })
}

/// The matchers that a target's labels must satisfy so that its series of this family satisfies
/// all; `None` when the family itself does not.
fn left_to_target(family: &Labels, matchers: &[Matcher]) -> Option<Vec<usize>> {
    let mut left = Vec::new();
    for (at, matcher) in matchers.iter().enumerate() {
        match family.get(matcher.name()) {
            "" => left.push(at),
            value if matcher.accepts(value) => {}
            _ => return None,
        }
    }
    Some(left)
}

fn checksum(before: u32, labels: &Labels, families: &[Family]) -> u32 {
    let mut bytes = Vec::new();
    put_labels(&mut bytes, labels);
    put_varint(&mut bytes, families.len() as u64);
    for family in families {
        put_labels(&mut bytes, &family.labels);
        put_varint(&mut bytes, u64::from(family.copy));
    }
    let mut hasher = crc32fast::Hasher::new_with_initial(before);
    hasher.update(&bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::Catalogue;
    use crate::bytes::Reader;
    use crate::{Labels, Matcher};

    fn node(name: &str) -> Vec<Labels> {
        let labels = |metric: &str, le: &str| {
            Labels::metric(metric, &[("instance", name), ("role", "node"), ("le", le)])
        };
        vec![labels("up", ""), labels("b", "1"), labels("b", "2"), labels("lag", "")]
    }

    fn catalogue() -> Catalogue {
        let mut catalogue = Catalogue::default();
        for name in ["a", "b"] {
            catalogue.add(node(name));
        }
        catalogue.add(vec![Labels::metric("up", &[("instance", "a"), ("role", "node")])]);
        catalogue
    }

    #[test]
    fn targets_of_a_kind_share_their_families() {
        let catalogue = catalogue();
        let [a, b, alone] = catalogue.targets() else { panic!() };
        assert_eq!(a.families, b.families);
        assert_eq!(a.labels.to_string(), "{instance=\"a\", role=\"node\"}");
        assert_eq!(alone.families[..], a.families[..1]);
    }

    #[test]
    fn matchers_choose_series_at_their_first_place() {
        let catalogue = catalogue();
        let matching = |matchers: &[Matcher]| catalogue.matching(matchers);
        assert_eq!(matching(&[Matcher::equal("le", "2")]), [(0, vec![2]), (1, vec![2])]);
        assert_eq!(
            matching(&[Matcher::equal("instance", "a"), Matcher::not_equal("le", "1")]),
            [(0, vec![0, 2, 3])]
        );
        assert_eq!(matching(&[Matcher::equal("__name__", "up")]), [(0, vec![0]), (1, vec![0])]);
        assert_eq!(catalogue.later_places((0, 0)), [(2, 0)]);
        assert!(matching(&[Matcher::equal("role", "")]).is_empty());
    }

    #[test]
    fn a_decoded_catalogue_is_the_same() {
        let mut bytes = Vec::new();
        catalogue().encode(&mut bytes);
        let again = Catalogue::decode(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(again.mark(3), catalogue().mark(3));
        for (one, other) in again.targets().iter().zip(catalogue().targets()) {
            assert_eq!((&one.series, &one.families), (&other.series, &other.families));
        }
    }

    #[test]
    fn the_mark_tells_targets_apart() {
        let (one, mut other) = (catalogue(), catalogue());
        other.add(node("c"));
        assert_eq!(one.mark(3), other.mark(3));
        assert_ne!(other.mark(3), other.mark(4));
        assert_eq!(one.mark(4), None);
    }
}
