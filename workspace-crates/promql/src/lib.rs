//! PromQL evaluator over any sample source.
