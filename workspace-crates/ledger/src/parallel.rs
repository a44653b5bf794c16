//! A map over a slice on all cores, in order.

/// Applies `work` to each item and keeps the order. Small inputs stay on the calling thread.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    const ITEMS_PER_THREAD_MIN: usize = 32;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(items.len() / ITEMS_PER_THREAD_MIN).max(1);
    if threads == 1 {
        return items.iter().map(work).collect();
    }
    let work = &work;
    std::thread::scope(|scope| {
        let chunks: Vec<_> = items
            .chunks(items.len().div_ceil(threads))
            .map(|chunk| (chunk, scope.spawn(move || chunk.iter().map(work).collect::<Vec<R>>())))
            .collect();
        chunks
            .into_iter()
            .flat_map(|(chunk, thread)| {
                // A thread only fails to join when `work` panicked; the calling thread then
                // meets the same panic, with its own message.
                thread.join().unwrap_or_else(|_| chunk.iter().map(work).collect())
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn order_is_kept_for_every_length() {
        for length in [0, 1, 31, 32, 63, 64, 65, 1_000] {
            let items: Vec<usize> = (0..length).collect();
            let squares = super::map(&items, |item| item * item);
            assert!(squares.iter().enumerate().all(|(at, square)| *square == at * at));
            assert_eq!(squares.len(), length);
        }
    }
}
