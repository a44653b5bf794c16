//! Evidence records, the content-addressed store, and readers of other tools' files.
