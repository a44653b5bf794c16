//! How questions are asked: on a terminal, by answers that are written down, or not at all.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::say;

/// Whether an answer will do; the sentence says what is wrong with it.
pub type Check<'a> = &'a dyn Fn(&str) -> Result<(), String>;

/// Somebody, or something, that answers.
pub trait Prompt {
    /// Whether a person answers.
    fn is_interactive(&self) -> bool;
    /// Begins a step and says what it is for.
    fn step(&mut self, title: &str, explanation: &str);
    /// Says something that is worth knowing.
    fn note(&mut self, text: &str);
    /// Asks for a text that passes `check`.
    fn text(
        &mut self,
        question: &str,
        default: Option<&str>,
        check: Check<'_>,
    ) -> Result<String, Failure>;
    /// Asks for yes or no.
    fn confirm(&mut self, question: &str, default: bool) -> Result<bool, Failure>;
    /// Asks for one of `options`, by its place.
    fn choose(
        &mut self,
        question: &str,
        options: &[String],
        default: usize,
    ) -> Result<usize, Failure>;
}

/// Takes every default: what `--yes` asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Defaults;

impl Prompt for Defaults {
    fn is_interactive(&self) -> bool {
        false
    }

    fn step(&mut self, _title: &str, _explanation: &str) {}

    fn note(&mut self, text: &str) {
        say(text);
    }

    fn text(
        &mut self,
        question: &str,
        default: Option<&str>,
        check: Check<'_>,
    ) -> Result<String, Failure> {
        let Some(answer) = default else {
            return Err(Failure::new(Exit::Usage, format!("there is no answer to: {question}"))
                .hint("`phasegate init --help` lists the options that answer."));
        };
        check(answer).map_err(|problem| Failure::new(Exit::Usage, problem))?;
        Ok(answer.to_owned())
    }

    fn confirm(&mut self, _question: &str, default: bool) -> Result<bool, Failure> {
        Ok(default)
    }

    fn choose(
        &mut self,
        _question: &str,
        _options: &[String],
        default: usize,
    ) -> Result<usize, Failure> {
        Ok(default)
    }
}
