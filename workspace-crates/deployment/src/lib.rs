//! Drivers that bring a network up for a phase, and the conformance suite they pass.
