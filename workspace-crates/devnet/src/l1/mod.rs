//! The embedded L1: a chain that orders, can reorg, and runs the rollup's contracts.

mod contracts;
mod governance;
mod machine;
mod rollup;
mod staking;

pub(crate) use machine::L1;
