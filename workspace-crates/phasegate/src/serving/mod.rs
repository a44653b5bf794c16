//! The part of Prometheus' HTTP API that dashboards read samples by.

pub mod api;
mod params;
pub mod selector;
mod server;

pub use server::{Server, Settings};
