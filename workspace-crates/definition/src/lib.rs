//! Pipelines, stages, calendars and roles: from TOML to a checked model, with every diagnostic at once.
//!
//! The way is `files` → `raw` → `check` → `model`: texts are read into tables that remember where
//! each value stands, the tables are checked for their shape, references are resolved and stage
//! parameters are filled in, and the rest of Phasegate sees only [`Definitions`].
//!
//! Architecture invariant: only [`files`] touches the filesystem; everything else is a pure
//! function of texts. This crate does not know gate kinds, recurrence rules or drivers: their
//! crates add their own checks as a [`Lint`].

mod check;
pub mod files;
pub mod graph;
mod lint;
mod model;
mod raw;
mod shape;
mod value;

pub use check::{CALENDARS_PATH, Checked, Files, Overrides, ROLES_PATH, check};
pub use lint::Lint;
pub use model::{
    Auth, Calendar, CalendarEvent, Closable, Condition, Control, Deadline, Definitions, EventKind,
    Freeze, FreezeWhen, Gate, GateRef, Hypothesis, Missed, OnFail, Operation, ParamValue, Phase,
    Pipeline, Policy, Principal, PrincipalKind, Product, Rehearsal, Role, Roles, Secret, Server,
    Side, Stage, StageParam, Text,
};
pub use value::{Entry, Params, Table, Value, ValueKind};
