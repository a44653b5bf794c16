use std::time::{Duration, Instant};

/// Time as repeated requests see it; tests hand in their own, so that nothing waits.
pub trait Pace {
    /// Time since some fixed instant; it never goes back.
    fn now(&self) -> Duration;

    /// Returns after `length`.
    fn sleep(&self, length: Duration);
}

/// The time of this machine.
#[derive(Debug)]
pub(super) struct RealPace(Instant);

impl RealPace {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Pace for RealPace {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, length: Duration) {
        std::thread::sleep(length);
    }
}

/// How long to wait before the attempt after `attempt`, counted from 0: a quarter of a second,
/// twice as long each time, at most ten seconds.
pub(super) fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(250 << attempt.min(6)).min(Duration::from_secs(10))
}
