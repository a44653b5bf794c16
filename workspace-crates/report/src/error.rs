/// Why a report could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model has no JSON form, such as a number that is not finite.
    #[error("the report has no JSON form")]
    Json(#[from] base::CanonicalError),
    /// A template of this crate failed; a defect of ours.
    #[error("the report template failed")]
    Template(#[from] tera::Error),
    /// The statement about the report is not acceptable.
    #[error("the statement about the report is not acceptable")]
    Statement(#[from] ledger::vsa::VsaError),
}
