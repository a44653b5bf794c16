//! The wizard behind `phasegate init`: from an empty folder to a programme that can begin.
//!
//! What there is ([`survey`]) and what somebody wants ([`interview`]) are plain values; [`plan`] is a
//! pure function of the two. Only [`mod@write`], [`git`], [`keys`] and [`genesis`] change anything, and
//! none of them ever replaces a file that is there.

pub mod carry_out;
pub mod genesis;
pub mod git;
pub mod interview;
pub mod keys;
pub mod people;
pub mod plan;
pub mod prompt;
pub mod summary;
pub mod survey;
pub mod templates;
pub mod terminal;
pub mod week;
pub mod write;

#[cfg(test)]
mod tests;
