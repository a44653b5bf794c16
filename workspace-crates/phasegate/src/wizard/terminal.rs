//! Questions on the terminal.

use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use dialoguer::{Confirm, Input, Select};

use super::prompt::{Check, Prompt};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{say, stderr_has_colour};

/// How wide explanations are, in characters.
const WIDTH: usize = 92;

/// Asks a person. Everything that is asked and said goes to standard error.
pub struct Terminal {
    theme: Box<dyn Theme>,
    steps: usize,
}

impl Terminal {
    /// The terminal of standard input and standard error. From here on Ctrl-C ends a question, and
    /// the terminal is left as it was.
    pub fn new() -> Result<Self, Failure> {
        let theme: Box<dyn Theme> = match stderr_has_colour() {
            true => Box::new(ColorfulTheme::default()),
            false => Box::new(SimpleTheme),
        };
        Ok(Self { theme, steps: 0 })
    }
}

fn failed(error: dialoguer::Error) -> Failure {
    let dialoguer::Error::IO(error) = error;
    // A question hides the cursor; whoever leaves it wants it back.
    let _ = dialoguer::console::Term::stderr().show_cursor();
    match error.kind() {
        std::io::ErrorKind::Interrupted => stopped(),
        _ => Failure::new(Exit::Usage, format!("the terminal gave no answer: {error}"))
            .hint("`phasegate init --yes` asks nothing; `--help` lists the options that answer."),
    }
}

/// Somebody left in the middle.
pub fn stopped() -> Failure {
    Failure::new(Exit::Interrupted, "stopped")
        .hint("What was written stays; `phasegate init` carries on from there.")
}

impl Prompt for Terminal {
    fn is_interactive(&self) -> bool {
        true
    }

    fn step(&mut self, title: &str, explanation: &str) {
        self.steps += 1;
        say(format!("\n{}. {title}\n", self.steps));
        say(wrapped(explanation, "   "));
        say("");
    }

    fn note(&mut self, text: &str) {
        say(wrapped(text, "   "));
    }

    fn text(
        &mut self,
        question: &str,
        default: Option<&str>,
        check: Check<'_>,
    ) -> Result<String, Failure> {
        let mut input = Input::<String>::with_theme(&*self.theme).with_prompt(question);
        if let Some(default) = default {
            input = input.default(default.to_owned());
        }
        let answer = input.validate_with(|text: &String| check(text.trim())).interact_text();
        Ok(answer.map_err(failed)?.trim().to_owned())
    }

    fn confirm(&mut self, question: &str, default: bool) -> Result<bool, Failure> {
        let asked = Confirm::with_theme(&*self.theme).with_prompt(question).default(default);
        asked.interact().map_err(failed)
    }

    fn choose(
        &mut self,
        question: &str,
        options: &[String],
        default: usize,
    ) -> Result<usize, Failure> {
        let asked = Select::with_theme(&*self.theme).with_prompt(question).items(options);
        asked.default(default).interact().map_err(failed)
    }
}

/// Lines of at most [`WIDTH`] characters; line feeds in `text` stay.
fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
                lines.push(std::mem::take(&mut line));
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines.iter().map(|line| format!("{indent}{line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::{WIDTH, wrapped};

    #[test]
    fn explanations_are_wrapped_between_words() {
        let text = wrapped(&"word ".repeat(60), "  ");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH + 2));
        assert!(text.lines().count() > 2);
        assert_eq!(wrapped("a b\nc", " "), " a b\n c");
    }
}
