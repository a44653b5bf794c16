use std::fmt;
use std::sync::Arc;

/// A question that is asked now and then from any thread; `true` ends the evaluation.
pub type Asked = Arc<dyn Fn() -> bool + Send + Sync>;

/// What an evaluation may use. The default suits a soak of a few hundred nodes.
#[derive(Clone)]
pub struct Limits {
    /// The most samples that may be read, plus values that are kept for several series. What is
    /// folded into an aggregation as it comes counts as read, not as kept. Default: 200 million
    /// (1.6 GB if all of it were kept).
    pub max_samples: u64,
    /// The most steps of a range or a subquery. Default: 100,000.
    pub max_steps: u64,
    /// The most threads that read and compute; 0, the default, is one for each core. Results are
    /// the same to the last bit for any number.
    pub threads: usize,
    /// Whether the caller has withdrawn the query.
    pub cancelled: Option<Asked>,
    /// Whether the query's time is up. It is the caller who has a clock.
    pub deadline: Option<Asked>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_samples: 200_000_000,
            max_steps: 100_000,
            threads: 0,
            cancelled: None,
            deadline: None,
        }
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("max_samples", &self.max_samples)
            .field("max_steps", &self.max_steps)
            .field("threads", &self.threads)
            .field("cancelled", &self.cancelled.is_some())
            .field("deadline", &self.deadline.is_some())
            .finish()
    }
}
