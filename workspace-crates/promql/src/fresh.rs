//! Leaves staleness markers out of what windows slide over.

use std::sync::Arc;

use samples::is_stale;

/// Remembers the times without markers: all series of a target end when it stops answering, so
/// series with the same times mostly have their markers at the same places, and can go on sharing.
#[derive(Clone, Default)]
pub(crate) struct Fresh {
    times_ms: Arc<Vec<i64>>,
    markers: Vec<usize>,
    fresh_ms: Arc<Vec<i64>>,
}

impl Fresh {
    /// The samples that are no markers, of which `markers` has the places. The values are put into
    /// `values_left`.
    pub(crate) fn without(
        &mut self,
        markers: Vec<usize>,
        (times_ms, values): (&Arc<Vec<i64>>, &[f64]),
        values_left: &mut Vec<f64>,
    ) -> Arc<Vec<i64>> {
        values_left.clear();
        leave_out(&markers, values, values_left);
        if !Arc::ptr_eq(&self.times_ms, times_ms) || self.markers != markers {
            let mut fresh_ms = Vec::with_capacity(values_left.len());
            leave_out(&markers, times_ms, &mut fresh_ms);
            let times_ms = Arc::clone(times_ms);
            *self = Self { times_ms, markers, fresh_ms: Arc::new(fresh_ms) };
        }
        Arc::clone(&self.fresh_ms)
    }
}

/// The places of the staleness markers.
pub(crate) fn markers(values: &[f64]) -> Vec<usize> {
    /// Long enough for the processor to compare several at once.
    const CHUNK: usize = 512;
    let mut places = Vec::new();
    for (number, chunk) in values.chunks(CHUNK).enumerate() {
        if chunk.iter().fold(false, |any, v| any | is_stale(*v)) {
            let stale = chunk.iter().enumerate().filter(|(_, v)| is_stale(**v));
            places.extend(stale.map(|(at, _)| number * CHUNK + at));
        }
    }
    places
}

fn leave_out<T: Copy>(places: &[usize], all: &[T], left: &mut Vec<T>) {
    let mut from = 0;
    for place in places {
        left.extend_from_slice(&all[from..*place]);
        from = place + 1;
    }
    left.extend_from_slice(&all[from..]);
}

#[cfg(test)]
mod tests {
    use super::{Fresh, markers};
    use proptest::prelude::*;
    use samples::STALE_NAN;
    use std::sync::Arc;

    proptest! {
        #[test]
        fn only_markers_are_left_out(
            stale in prop::collection::vec(prop::bool::weighted(0.02), 0..1_500), others in 0_u8..2,
        ) {
            let times = Arc::new((0..stale.len() as i64).collect::<Vec<_>>());
            let values: Vec<f64> =
                stale.iter().map(|stale| if *stale { STALE_NAN } else { f64::NAN }).collect();
            let places = markers(&values);
            let expected: Vec<usize> = (0..stale.len()).filter(|at| stale[*at]).collect();
            prop_assert_eq!(&places, &expected);
            let (mut fresh, mut left) = (Fresh::default(), Vec::new());
            if others == 1 && !stale.is_empty() {
                // What another series of the same target left does not matter.
                fresh.without(vec![0], (&times, &values), &mut left);
            }
            let found = fresh.without(places.clone(), (&times, &values), &mut left);
            let kept: Vec<i64> =
                (0..stale.len()).filter(|at| !stale[*at]).map(|at| at as i64).collect();
            prop_assert_eq!(&*found, &kept);
            prop_assert_eq!(left.len(), kept.len());
            let again = fresh.without(places, (&times, &values), &mut left);
            prop_assert!(Arc::ptr_eq(&found, &again));
        }
    }
}
