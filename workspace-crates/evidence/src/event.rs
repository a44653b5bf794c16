use std::collections::BTreeMap;

use base::Instant;
use serde::{Deserialize, Serialize};

/// Something that happened in a deployment: a block stall, an upgrade step, an injected fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// When it happened.
    pub at: Instant,
    /// What happened, such as `governance.executed` or `drill.injected`.
    pub name: String,
    /// The node that it happened to; `None` when it is about the whole network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// What else is known about it; the event's name fixes which attributes there are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

impl Event {
    /// An event about the whole network, without attributes.
    #[must_use]
    pub fn new(at: Instant, name: impl Into<String>) -> Self {
        Self { at, name: name.into(), node: None, attributes: BTreeMap::new() }
    }

    /// The same event, about one node.
    #[must_use]
    pub fn on_node(mut self, node: impl Into<String>) -> Self {
        self.node = Some(node.into());
        self
    }

    /// The same event with one more attribute.
    #[must_use]
    pub fn with(mut self, attribute: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(attribute.into(), value.into());
        self
    }

    /// The value of an attribute; empty when there is none.
    #[must_use]
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}
