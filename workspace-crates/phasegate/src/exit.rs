//! Exit codes: one table that the program, its help and the reference page read.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done.
    Done,
    /// Something went wrong that no other code names.
    Failed,
    /// The command line is not understood.
    Usage,
    /// The definitions have errors.
    Definition,
    /// The ledger is missing, not valid, foreign, or out of reach; or a key is missing.
    Ledger,
    /// A deployment could not be brought up, asked or taken down.
    Deployment,
    /// The state of the programme does not allow it.
    NotNow,
    /// A signature, a digest or a chain does not verify.
    NotVerified,
    /// A file could not be read or written.
    File,
    /// Judged: something is held or reset, or a programme did not ship.
    Held,
    /// Stopped by a signal; what was done stays done.
    Interrupted,
}

/// Every exit code with its meaning.
pub const EXITS: &[(Exit, u8, &str)] = &[
    (Exit::Done, 0, "Everything asked for was done."),
    (Exit::Failed, 1, "Something went wrong that no other code names."),
    (Exit::Usage, 2, "The command line is not understood."),
    (Exit::Definition, 3, "The definitions have errors."),
    (
        Exit::Ledger,
        4,
        "The ledger is missing, not valid, foreign or out of reach, or a key is missing.",
    ),
    (Exit::Deployment, 5, "A deployment could not be brought up, asked or taken down."),
    (Exit::NotNow, 6, "The state of the programme does not allow it."),
    (Exit::NotVerified, 7, "A signature, a digest or a chain does not verify."),
    (Exit::File, 8, "A file could not be read or written."),
    (Exit::Held, 10, "Judged: something is held or reset, or a programme did not ship."),
    (Exit::Interrupted, 130, "Stopped by a signal; what was done stays done."),
];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        let code = EXITS.iter().find(|(one, _, _)| *one == exit).map_or(1, |(_, code, _)| *code);
        Self::from(code)
    }
}
