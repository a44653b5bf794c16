//! Virtual-time host of the reference network: event queue, network model, faults, invariant checkers.
