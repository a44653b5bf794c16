//! Process host of the reference network: TCP, state on disk, metrics endpoint. One process per node.
