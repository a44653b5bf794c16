//! Columnar sample store and append log.
