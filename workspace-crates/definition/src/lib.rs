//! Pipelines, stages, calendars and roles: TOML to a checked model, with every diagnostic at once.
