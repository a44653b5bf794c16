//! What is due and what is feasible: weekly events, freezes, missed events, plans.
//!
//! Architecture invariant: `calendar` is pure. It reads no clock and no file; time is a value, and
//! time zones come from the database that is compiled in.
//!
//! # Local time
//! Events are written in local wall-clock time and stay there over daylight-saving changes:
//! Thursday 15:00 in Berlin is 14:00 UTC in winter and 13:00 UTC in summer. Two rules settle the rest,
//! both as RFC 5545 has them:
//! - *Gap*: a local time that the clock skips happens as much later as the gap is long
//!   (02:30 becomes 03:30). When that is also the time of another occurrence, there is one occurrence.
//! - *Fold*: a local time that the clock shows twice happens once, the first time.

mod calendar;
mod compile;
mod event;
mod feasibility;
mod freeze;
mod lint;
mod missed;
mod plan;
mod recurrence;
mod words;
mod zone;

pub use calendar::Calendar;
pub use definition::{Closable, EventKind};
pub use event::{EVENT_KINDS, Occurrence};
pub use feasibility::Feasibility;
pub use freeze::Closure;
pub use lint::CalendarLint;
pub use missed::{Due, Handling, ON_TIME};
pub use plan::{Plan, PlanError, PlanPhase, PlanStep, PlanStepKind, PlannedPhase};
pub use zone::is_zone;
