use std::fmt;
use std::sync::Arc;

/// What an evaluation may use. The default suits a soak of a few hundred nodes.
#[derive(Clone)]
pub struct Limits {
    /// The most samples that may be read, plus values that may be computed. Default: 200 million
    /// (1.6 GB).
    pub max_samples: u64,
    /// The most steps of a range or a subquery. Default: 100,000.
    pub max_steps: u64,
    /// Asked now and then; `true` ends the evaluation. A deadline goes in here.
    pub cancelled: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_samples: 200_000_000, max_steps: 100_000, cancelled: None }
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("max_samples", &self.max_samples)
            .field("max_steps", &self.max_steps)
            .field("cancelled", &self.cancelled.is_some())
            .finish()
    }
}
