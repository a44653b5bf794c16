//! The reference network: node state machines without I/O, the protocol, its metrics and faults.
