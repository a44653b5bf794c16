//! Queries over samples: what `query`, `serve-samples` and `phase explain` share.

pub mod json;
pub mod origin;
pub mod problem;
pub mod run;
pub mod times;

pub use origin::{Feed, Origin, Sampled};
pub use run::{Answer, Answered, Bounds, Stopped, What};
