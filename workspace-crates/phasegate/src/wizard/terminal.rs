//! Questions on the terminal.

use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use dialoguer::{Confirm, Input, Select};

use super::prompt::{Check, Prompt};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{say, stderr_has_colour};

/// How wide explanations are at most, in characters.
const WIDTH_MAX: usize = 92;
/// Before each line of an explanation.
const INDENT: &str = "   ";

/// Asks a person. Everything that is asked and said goes to standard error.
pub struct Terminal {
    theme: Box<dyn Theme>,
    steps: usize,
    width: usize,
    /// While these live, Ctrl-C is an answer: the program itself ends, and puts the cursor back.
    _interrupts: (tokio::runtime::Runtime, tokio::signal::unix::Signal),
}

impl Terminal {
    /// The terminal of standard input and standard error. From here on Ctrl-C ends a question, and
    /// the terminal is left as it was.
    pub fn new() -> Result<Self, Failure> {
        let theme: Box<dyn Theme> = match stderr_has_colour() {
            true => Box::new(ColorfulTheme::default()),
            false => Box::new(SimpleTheme),
        };
        let columns = usize::from(dialoguer::console::Term::stderr().size().1);
        let width = WIDTH_MAX.min(columns.saturating_sub(INDENT.len() + 1)).max(20);
        let interrupts = interrupts().map_err(|error| {
            Failure::new(Exit::Failed, format!("interrupts cannot be watched: {error}"))
        })?;
        Ok(Self { theme, steps: 0, width, _interrupts: interrupts })
    }
}

fn interrupts() -> std::io::Result<(tokio::runtime::Runtime, tokio::signal::unix::Signal)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let entered = runtime.enter();
    let signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    drop(entered);
    Ok((runtime, signal))
}

fn failed(error: dialoguer::Error) -> Failure {
    let dialoguer::Error::IO(error) = error;
    // A question hides the cursor; whoever leaves it wants it back.
    let _ = dialoguer::console::Term::stderr().show_cursor();
    say("");
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
        say(wrapped(explanation, self.width));
        say("");
    }

    fn note(&mut self, text: &str) {
        say(wrapped(text, self.width));
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

/// Indented lines of at most `width` characters and the indent; line feeds in `text` stay.
fn wrapped(text: &str, width: usize) -> String {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut line));
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines.iter().map(|line| format!("{INDENT}{line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn explanations_are_wrapped_between_words() {
        let text = wrapped(&"word ".repeat(60), 40);
        assert!(text.lines().all(|line| line.chars().count() <= 43), "{text}");
        assert!(text.lines().count() > 6);
        assert_eq!(wrapped("a b\nc", 40), "   a b\n   c");
    }
}
