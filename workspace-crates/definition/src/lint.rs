use diagnostics::Diagnostic;

use crate::{Calendar, Definitions, Gate, Operation, Phase, Pipeline};

/// A check that another crate adds, because it knows what a table means: gate kinds, recurrence
/// rules, networks, operations.
///
/// Each method is called with what could be read, even when other parts have errors, so that all
/// diagnostics come at once. A lint reports what it finds and never panics.
pub trait Lint {
    /// The gate kinds that this lint knows. When any lint knows kinds, every other kind is an error.
    fn gate_kinds(&self) -> &[&str] {
        &[]
    }

    /// Checks one gate of a phase; called for kinds of [`Lint::gate_kinds`] only.
    fn check_gate(&self, _gate: &Gate, _phase: &Phase, _pipeline: &Pipeline) -> Vec<Diagnostic> {
        Vec::new()
    }

    /// Checks the network of a phase.
    fn check_network(&self, _phase: &Phase, _pipeline: &Pipeline) -> Vec<Diagnostic> {
        Vec::new()
    }

    /// Checks one operation of a phase.
    fn check_operation(
        &self,
        _operation: &Operation,
        _phase: &Phase,
        _pipeline: &Pipeline,
    ) -> Vec<Diagnostic> {
        Vec::new()
    }

    /// Checks one calendar.
    fn check_calendar(&self, _calendar: &Calendar) -> Vec<Diagnostic> {
        Vec::new()
    }

    /// Checks what needs everything at once, such as soaks against their calendar. Called only when
    /// nothing else is an error.
    fn check_definitions(&self, _definitions: &Definitions) -> Vec<Diagnostic> {
        Vec::new()
    }
}
