//! Progress on standard error: a bar where somebody looks, plain lines where it goes to a file.

use std::time::Instant as Clock;

use base::{Instant, Track};
use deployment::Progress;
use diagnostics::render::escape_line;
use engine::Happening;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::{Painted, say_painted, stderr_has_colour};

/// Shows how a rehearsal gets on.
pub struct Bar {
    bar: ProgressBar,
    start: Instant,
    clock: Clock,
}

impl Bar {
    /// A bar for a programme that starts at `start`.
    pub fn new(start: Instant) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        Self { bar, start, clock: Clock::now() }
    }

    /// A network has come further.
    pub fn progress(&self, progress: &Progress) {
        if self.bar.is_hidden() {
            return;
        }
        let hours = (progress.at - self.start).hours();
        let seconds = self.clock.elapsed().as_secs_f64();
        self.bar.set_message(format!(
            "week {:>2}  {:<20} {}  {:.0} h of virtual time in {:.0} s ({:.1} h/s)",
            (hours / 168.0) as u32 + 1,
            progress.deployment,
            moment(progress.at),
            hours,
            seconds,
            hours / seconds.max(0.1),
        ));
        self.bar.tick();
    }

    /// Something was done.
    pub fn happened(&self, happening: &Happening) {
        let line = line(happening);
        if self.bar.is_hidden() {
            say_painted(&line);
        } else {
            self.bar.suspend(|| say_painted(&line));
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// One line about something that was done, cut to what fits a screen.
pub fn line(happening: &Happening) -> Painted {
    let place = match (&happening.phase, happening.track) {
        (Some(phase), Some(Track::Internal)) => format!("{phase} internal"),
        (Some(phase), Some(Track::Public)) => format!("{phase} public"),
        _ => String::new(),
    };
    let mut text: String = happening.text.chars().take(160).collect();
    if text.len() < happening.text.len() {
        text.push('…');
    }
    // Reasons quote evidence, which others wrote: they stay on their line.
    let text = escape_line(&text);
    Painted::plain(&format!("{}  ", moment(happening.at)))
        .then(&paint(&happening.what))
        .then(&Painted::plain(&format!("  {place:<17}  {text}")))
}

fn paint(what: &str) -> Painted {
    let padded = format!("{what:<10}");
    if !stderr_has_colour() {
        return Painted::plain(&padded);
    }
    let colour = match what {
        "advance" => "32",
        "hold" | "deployment-refused" | "release-held" | "missed" => "33",
        "reset" | "deployment-failed" => "31",
        _ => return Painted::plain(&padded),
    };
    Painted::coloured(&padded, colour)
}

fn moment(at: Instant) -> String {
    at.to_jiff().strftime("%a %Y-%m-%d %H:%M").to_string()
}
