use base::{Duration, Instant};

/// The clock of one node: the machine's monotonic clock plus an offset that the deployment fixed once.
///
/// The monotonic clock is the same for all processes of a machine and never goes back, so setting
/// the wall clock neither stops a node nor drives apart nodes that were started at different times.
#[derive(Debug, Clone)]
pub struct HostClock {
    origin: tokio::time::Instant,
    at_origin: Instant,
}

impl HostClock {
    /// A clock that shows `offset` plus the machine's monotonic time.
    #[must_use]
    pub fn shared(offset: Duration) -> Self {
        let at_origin = monotonic_now() + offset;
        Self { origin: tokio::time::Instant::now(), at_origin }
    }

    /// The offset that makes a shared clock agree with the wall clock at this moment.
    #[must_use]
    pub fn offset_of_wall_clock() -> Duration {
        wall_now() - monotonic_now()
    }

    /// What a shared clock with `offset` shows at this moment.
    #[must_use]
    pub fn shared_now(offset: Duration) -> Instant {
        monotonic_now() + offset
    }

    /// The present instant. It never decreases.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.at_origin + duration_of(self.origin.elapsed())
    }

    /// The moment at which [`HostClock::now`] will show `at`; the present moment if that has passed.
    #[must_use]
    pub fn deadline(&self, at: Instant) -> tokio::time::Instant {
        let since_origin = (at - self.at_origin).micros();
        let wait = std::time::Duration::from_micros(u64::try_from(since_origin).unwrap_or(0));
        // Far deadlines are cut to a day; the caller looks again when it wakes up.
        let longest = self.origin.elapsed() + std::time::Duration::from_secs(86_400);
        self.origin + wait.min(longest)
    }
}

fn duration_of(length: std::time::Duration) -> Duration {
    Duration::from_micros(i64::try_from(length.as_micros()).unwrap_or(i64::MAX))
}

/// Time since the machine started, as if it were an instant.
fn monotonic_now() -> Instant {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000);
    Instant::from_unix_micros(micros)
}

fn wall_now() -> Instant {
    let since_epoch =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Instant::from_unix_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::HostClock;
    use base::Duration;

    #[tokio::test(start_paused = true)]
    async fn the_clock_follows_monotonic_time_only() {
        let clock = HostClock::shared(Duration::from_hours(1));
        let before = clock.now();
        tokio::time::advance(std::time::Duration::from_millis(1_500)).await;
        assert_eq!(clock.now() - before, Duration::from_millis(1_500));
        let wake = clock.deadline(clock.now() + Duration::from_seconds(2));
        assert_eq!(wake - tokio::time::Instant::now(), std::time::Duration::from_secs(2));
        assert!(clock.deadline(before) <= tokio::time::Instant::now());
    }

    #[tokio::test]
    async fn two_clocks_with_one_offset_agree_whenever_they_are_made() {
        let offset = HostClock::offset_of_wall_clock();
        let first = HostClock::shared(offset);
        tokio::task::yield_now().await;
        let second = HostClock::shared(offset);
        let apart = second.now() - first.now();
        assert!(apart.micros().abs() < 50_000, "{apart}");
    }
}
