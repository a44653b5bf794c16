//! Report model, templates, charts, and the signed statement.
