//! Signed, chained entries on a git branch: roles, chain verification, signing, storage.
