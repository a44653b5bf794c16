use super::{AppendError, Appended, Store, TargetId};
use crate::{Block, BlockError, Labels, Matcher, STALE_NAN, SampleSource};
use proptest::prelude::*;

const HOUR_MS: i64 = 3_600_000;

fn up(instance: &str) -> Labels {
    Labels::metric("up", &[("instance", instance)])
}

#[test]
fn refused_scrapes_change_nothing() {
    let mut store = Store::new();
    let target = store.add_target(vec![up("a"), up("b")]);
    store.append(target, 10, &[1.0, 2.0]).unwrap();
    let refusals = [
        (target, 10, vec![3.0, 4.0], AppendError::Conflict { t_ms: 10 }),
        (target, 9, vec![3.0, 4.0], AppendError::TooLate { last_ms: 10, t_ms: 9, window_ms: 0 }),
        (target, 11, vec![3.0], AppendError::WrongLength { series: 2, values: 1 }),
        (TargetId(7), 11, vec![3.0, 4.0], AppendError::UnknownTarget(7)),
        (target, i64::MAX, vec![3.0, 4.0], AppendError::TimeOutOfRange(i64::MAX)),
    ];
    let before = store.encode().unwrap();
    for (target, t_ms, values, expected) in refusals {
        assert_eq!(store.append(target, t_ms, &values), Err(expected));
    }
    assert_eq!(store.encode().unwrap(), before);
}

#[test]
fn a_series_of_two_targets_is_one_series() {
    let mut store = Store::new();
    let before = store.add_target(vec![up("a")]);
    let after = store.add_target(vec![up("a"), up("b")]);
    store.append(before, 10, &[1.0]).unwrap();
    store.append(before, 20, &[2.0]).unwrap();
    store.append(after, 20, &[STALE_NAN, 0.0]).unwrap();
    store.append(after, 30, &[3.0, 0.0]).unwrap();
    let found = store.select(&[Matcher::equal("instance", "a")], 0, 100).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].times_ms(), found[0].values()), (&[10, 20, 30][..], &[1.0, 2.0, 3.0][..]));
}

#[test]
fn a_store_counts_what_it_holds() {
    let mut store = Store::new();
    let target = store.add_target(vec![up("a"), up("b")]);
    for n in 0..600 {
        store.append(target, n * 15_000, &[1.0, n as f64]).unwrap();
    }
    assert_eq!((store.sample_count(), store.scrape_count()), (1_200, 600));
    assert_eq!(store.extent_ms(), Some((0, 599 * 15_000)));
    assert_eq!(Store::new().extent_ms(), None);
}

#[test]
fn whole_numbers_take_less_than_two_bytes_a_sample() {
    let mut store = Store::new();
    let target = store.add_target((0..9).map(|n| up(&n.to_string())).collect());
    for n in 0..(40 * 256) {
        let values: Vec<f64> =
            (0..9).map(|s| ((n * 7 + n * n % 13 * s) % 100_000) as f64).collect();
        store.append(target, n * 15_000, &values).unwrap();
    }
    let bytes_per_sample = store.encode().unwrap().len() as f64 / store.sample_count() as f64;
    assert!(bytes_per_sample < 2.0, "{bytes_per_sample}");
}

#[test]
fn a_late_scrape_goes_to_its_place() {
    let mut store = Store::with_out_of_order(100);
    let target = store.add_target(vec![up("a")]);
    let mut append = |t_ms: i64, value: f64| store.append(target, t_ms, &[value]);
    assert_eq!(append(1_000, 1.0), Ok(Appended::New));
    assert_eq!(append(900, 0.9), Ok(Appended::Late));
    assert_eq!(append(950, f64::NAN), Ok(Appended::Late));
    assert_eq!(append(950, f64::NAN), Ok(Appended::Duplicate));
    assert_eq!(append(1_000, 1.0), Ok(Appended::Duplicate));
    assert_eq!(append(950, STALE_NAN), Err(AppendError::Conflict { t_ms: 950 }));
    let refusal = append(899, 1.0).unwrap_err();
    assert_eq!(refusal, AppendError::TooLate { last_ms: 1_000, t_ms: 899, window_ms: 100 });
    let text = refusal.to_string();
    assert!(text.contains("899 ms is 101 ms older") && text.contains("1000 ms"), "{text}");
    let found = store.select(&[], 0, 2_000).unwrap();
    assert_eq!(found[0].times_ms(), [900, 950, 1_000]);
    assert_eq!(store.scrape_count(), 3);
}

/// Scrapes of some targets in 15 s steps, each a bit later than the one before.
fn fleet(targets: usize, hours: i64, window_ms: i64) -> (Store, Vec<TargetId>) {
    let mut store = Store::with_out_of_order(window_ms);
    let ids: Vec<TargetId> = (0..targets)
        .map(|n| {
            let name = n.to_string();
            store.add_target(vec![up(&name), Labels::metric("tx", &[("instance", &name)])])
        })
        .collect();
    for step in 0..hours * 240 {
        for (n, target) in ids.iter().enumerate() {
            let t_ms = step * 15_000 + n as i64 * 17;
            store.append(*target, t_ms, &[1.0, (step * 3 + n as i64) as f64]).unwrap();
        }
    }
    (store, ids)
}

#[test]
fn sealing_keeps_every_sample() {
    let (store, _) = fleet(70, 7, 0);
    assert_eq!(store.blocks().len(), 3);
    assert!(store.blocks().iter().all(|block| block.scrape_count() == 70 * 480));
    let found = store.select(&[Matcher::equal("__name__", "tx")], -1, i64::MAX).unwrap();
    assert_eq!(found.len(), 70);
    for series in &found {
        let n: i64 = series.labels().get("instance").parse().unwrap();
        let expected = (0..7 * 240).map(|step| (step * 15_000 + n * 17, (step * 3 + n) as f64));
        assert!(
            series.times_ms().iter().copied().zip(series.values().iter().copied()).eq(expected)
        );
    }
    assert_eq!(store.sample_count(), 70 * 2 * 7 * 240);
    assert_eq!(store.extent_ms(), Some((0, (7 * 240 - 1) * 15_000 + 69 * 17)));
}

#[test]
fn parts_give_each_series_once_target_by_target() {
    let (store, _) = fleet(70, 5, 0);
    let parts = store.parts(&[], -1, i64::MAX).unwrap();
    assert_eq!(parts.len(), 3);
    let mut seen = Vec::new();
    for part in &parts {
        part.read(&mut |series| {
            seen.push((series.labels().get("instance").to_owned(), series.labels().clone()));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    }
    assert_eq!(seen.len(), 140);
    assert!(seen.chunks(2).all(|pair| pair[0].0 == pair[1].0));
    let mut labels: Vec<_> = seen.into_iter().map(|(_, labels)| labels).collect();
    labels.sort();
    labels.dedup();
    assert_eq!(labels.len(), 140);
}

#[test]
fn a_fleet_that_starts_anew_keeps_its_series() {
    let mut store = Store::new();
    let labels = |n: usize, extra: bool| {
        let name = n.to_string();
        let own = |metric: &str| Labels::metric(metric, &[("instance", &name), ("job", "node")]);
        let all = [Some(own("up")), Some(own("tx")), extra.then(|| own("new"))];
        all.into_iter().flatten().collect::<Vec<_>>()
    };
    let old: Vec<_> = (0..40).map(|n| store.add_target(labels(n, false))).collect();
    let new: Vec<_> = (0..40).map(|n| store.add_target(labels(n, true))).collect();
    for step in 0..600_i64 {
        for n in 0..40 {
            let (t_ms, value) = (step * 30_000, step as f64);
            if step < 300 {
                store.append(old[n], t_ms, &[1.0, value]).unwrap();
            } else {
                store.append(new[n], t_ms, &[1.0, value, value / 2.0]).unwrap();
            }
        }
    }
    store.seal_all_for_test();
    let found = store.select(&[], -1, i64::MAX).unwrap();
    assert_eq!(found.len(), 120);
    for series in found {
        let first = if series.labels().metric_name() == "new" { 300 } else { 0 };
        let times: Vec<i64> = (first..600).map(|step| step * 30_000).collect();
        assert_eq!(series.times_ms(), times);
    }
    let tx = [Matcher::equal("__name__", "tx"), Matcher::equal("instance", "39")];
    let found = store.select(&tx, 299 * 30_000 - 1, 300 * 30_000).unwrap();
    assert_eq!(
        (found[0].times_ms(), found[0].values()),
        (&[8_970_000, 9_000_000][..], &[299.0, 300.0][..])
    );
}

#[test]
fn a_target_of_its_own_history_is_sealed_apart() {
    let mut store = Store::new();
    let targets: Vec<_> = (0..3).map(|n| store.add_target(vec![up(&n.to_string()); 300])).collect();
    for target in targets {
        for step in 0..8_000_i64 {
            store.append(target, step * 30_000, &[step as f64; 300]).unwrap();
        }
    }
    let unsealed: usize = store.heads.iter().map(|head| head.values.len()).sum();
    assert!(unsealed < 5_000_000, "{unsealed}");
    assert!(store.blocks().iter().all(|block| block.sample_count() > 0));
    let found = store.select(&[Matcher::equal("instance", "2")], -1, i64::MAX).unwrap();
    assert_eq!((found.len(), found[0].times_ms().len()), (1, 8_000));
}

#[test]
fn a_part_ends_when_it_is_told() {
    let (store, _) = fleet(3, 1, 0);
    let mut count = 0;
    let parts = store.parts(&[], -1, i64::MAX).unwrap();
    parts[0]
        .read(&mut |_| {
            count += 1;
            std::ops::ControlFlow::Break(())
        })
        .unwrap();
    assert_eq!(count, 1);
}

#[test]
fn a_target_that_is_far_behind_is_taken_and_found() {
    let (mut store, _) = fleet(2, 7, 0);
    let behind = store.add_target(vec![up("behind")]);
    for step in 0..7 * 240 {
        store.append(behind, step * 15_000, &[step as f64]).unwrap();
    }
    let found = store.select(&[Matcher::equal("instance", "behind")], -1, i64::MAX).unwrap();
    assert_eq!(found[0].times_ms().len(), 7 * 240);
    store.seal_all_for_test();
    let again = store.select(&[Matcher::equal("instance", "behind")], -1, i64::MAX).unwrap();
    assert_eq!((again[0].times_ms(), again[0].values()), (found[0].times_ms(), found[0].values()));
    let refusal = store.append(behind, 15_000, &[0.0]);
    assert!(matches!(refusal, Err(AppendError::TooLate { .. })));
}

#[test]
fn blocks_that_were_taken_come_back() {
    let (store, ids) = fleet(40, 7, 60_000);
    let mut taken = store.clone();
    let blocks = taken.take_sealed();
    assert_eq!((blocks.len(), taken.blocks().len()), (3, 0));
    let mut again = Store::with_out_of_order(60_000);
    for (_, series) in taken.targets() {
        again.add_target(series.to_vec());
    }
    for (number, block) in blocks.iter().enumerate() {
        let bytes = block.bytes().unwrap().to_vec();
        let file: std::sync::Arc<dyn crate::ReadAt> = std::sync::Arc::new(file_of(&bytes));
        let block = Block::open(&format!("{number}"), file).unwrap();
        block.verify().unwrap();
        again.add_block(block).unwrap();
    }
    for (target, t_ms, values) in taken.head_rows() {
        assert!(again.sealed_until_ms(target).is_some_and(|sealed| sealed < t_ms));
        again.append(target, t_ms, values).unwrap();
    }
    assert!(again.sealed_until_ms(ids[0]).is_some());
    let all = |store: &Store| store.select(&[], i64::MIN, i64::MAX).unwrap();
    for (one, other) in all(&again).iter().zip(all(&store)) {
        assert_eq!((one.labels(), one.times_ms()), (other.labels(), other.times_ms()));
        assert_eq!(one.values(), other.values());
    }
    let last = blocks.last().unwrap().bytes().unwrap().to_vec();
    let refusal = again.add_block(Block::from_bytes("again", last).unwrap());
    assert!(matches!(refusal, Err(BlockError::Overlaps { .. })));
}

fn file_of(bytes: &[u8]) -> std::fs::File {
    use std::io::Write as _;
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

#[test]
fn a_block_of_another_store_is_refused() {
    let (mut store, _) = fleet(3, 5, 0);
    let block = store.take_sealed().remove(0);
    let mut other = Store::new();
    for _ in 0..3 {
        other.add_target(vec![up("x"), up("y")]);
    }
    let block = Block::from_bytes("b", block.bytes().unwrap().to_vec()).unwrap();
    assert!(matches!(other.add_block(block), Err(BlockError::ForeignTargets(_))));
}

#[test]
fn a_merged_block_holds_the_same() {
    let (store, _) = fleet(40, 9, 0);
    let blocks: Vec<&Block> = store.blocks().iter().map(AsRef::as_ref).collect();
    let merged = Block::merge("merged", &blocks, None).unwrap();
    assert_eq!((merged.start_ms(), merged.end_ms()), (0, 8 * HOUR_MS));
    let mut other = store.clone();
    other.replace_blocks(0..4, merged).unwrap();
    assert_eq!(other.blocks().len(), 1);
    let all = |store: &Store| store.select(&[], i64::MIN, i64::MAX).unwrap();
    for (one, other) in all(&other).iter().zip(all(&store)) {
        assert_eq!((one.times_ms(), one.values()), (other.times_ms(), other.values()));
    }
}

#[test]
fn a_coarser_step_keeps_the_last_sample() {
    let (store, _) = fleet(2, 5, 0);
    let blocks: Vec<&Block> = store.blocks().iter().map(AsRef::as_ref).collect();
    let merged = Block::merge("merged", &blocks, Some(60_000)).unwrap();
    assert_eq!(merged.scrape_count(), 2 * 4 * 60 + 1);
    let mut coarse = store.clone();
    coarse.replace_blocks(0..2, merged).unwrap();
    let found = coarse.select(&[Matcher::equal("__name__", "tx")], -1, HOUR_MS).unwrap();
    let times: Vec<i64> = (0..=60).map(|minute| minute * 60_000).collect();
    assert_eq!(found[0].times_ms(), times);
    assert_eq!(found[0].values()[1], 12.0);
}

#[test]
fn old_blocks_can_be_removed() {
    let (mut store, _) = fleet(2, 7, 0);
    assert_eq!(store.remove_blocks_before(4 * HOUR_MS).len(), 2);
    let found = store.select(&[], i64::MIN, i64::MAX).unwrap();
    assert_eq!(found[0].times_ms()[0], 4 * HOUR_MS);
}

#[test]
fn threads_do_not_change_the_bytes() {
    let (store, _) = fleet(70, 3, 0);
    let rows = |target: usize| 0..store.heads[target].times_ms.len();
    let bytes = |threads| {
        store.build_block_with(threads, 0, 9 * HOUR_MS, rows).read_bytes().unwrap().into_owned()
    };
    assert_eq!(bytes(1), bytes(3));
}

proptest! {
    #[test]
    fn late_and_doubled_scrapes_give_what_order_gives(
        mut order in prop::collection::vec(0_i64..400, 1..300), targets in 1_usize..4,
    ) {
        let window_ms = 400 * 40_000;
        let mut shuffled = Store::with_out_of_order(window_ms);
        let mut sorted = Store::with_out_of_order(window_ms);
        for n in 0..targets {
            shuffled.add_target(vec![up(&n.to_string())]);
            sorted.add_target(vec![up(&n.to_string())]);
        }
        for n in &order {
            let target = TargetId(*n as u32 % targets as u32);
            shuffled.append(target, n * 40_000, &[*n as f64]).unwrap();
        }
        order.sort_unstable();
        for n in &order {
            let target = TargetId(*n as u32 % targets as u32);
            sorted.append(target, n * 40_000, &[*n as f64]).unwrap();
        }
        let all = |store: &Store| -> Vec<(Vec<i64>, Vec<f64>)> {
            let found = store.select(&[], i64::MIN, i64::MAX).unwrap();
            found.into_iter().map(|s| (s.times_ms().to_vec(), s.values().to_vec())).collect()
        };
        prop_assert_eq!(all(&shuffled), all(&sorted));
    }

    #[test]
    fn any_window_holds_exactly_its_samples(
        count in 0_i64..700, start in -10_i64..710, length in -5_i64..710,
    ) {
        let mut store = Store::new();
        let target = store.add_target(vec![up("a"), up("b")]);
        for n in 0..count {
            store.append(target, n, &[n as f64, -(n as f64) / 8.0]).unwrap();
        }
        let found = store.select(&[Matcher::equal("instance", "b")], start, start + length).unwrap();
        let expected: Vec<i64> = (0..count).filter(|t| *t > start && *t <= start + length).collect();
        let times: Vec<i64> = found.iter().flat_map(|s| s.times_ms().to_vec()).collect();
        let values: Vec<f64> = found.iter().flat_map(|s| s.values().to_vec()).collect();
        prop_assert_eq!(&times, &expected);
        prop_assert_eq!(values, expected.iter().map(|t| -(*t as f64) / 8.0).collect::<Vec<_>>());
    }
}
