//! Newtypes that every layer shares: ids, digests, instants, durations, subjects, outcomes.
//!
//! Architecture invariant: `base` performs no I/O and reads no clock; time is always a value.

mod canonical;
mod digest;
mod id;
mod outcome;
mod subject;
mod time;

pub use canonical::{CanonicalError, canonical_json};
pub use digest::{Digest, DigestError};
pub use id::{DeploymentId, GateId, IdError, NetworkId, PhaseId, PipelineId, PrincipalId, StageId};
pub use outcome::{Outcome, Track, VerdictKind};
pub use subject::Subject;
pub use time::{Duration, Instant, TimeError};
