//! Fulfil what gates need: scrapes, probes, GitHub, files.
