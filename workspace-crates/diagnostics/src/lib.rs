//! Source map, stable codes, spans, and their rendering as text, JSON and SARIF.
