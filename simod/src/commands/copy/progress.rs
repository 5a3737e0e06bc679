//! Progress of a copy: a bar on a terminal, a line for each table elsewhere.

use std::{fmt::Write, io::IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use simo_common::lang::Lang;
use simod::store::copy::{Doing, Progress};

/// The progress shown on stderr.
pub(super) struct Shown {
    lang: Lang,
    bar: ProgressBar,
    is_terminal: bool,
    doing: Option<Doing>,
}

impl Shown {
    pub(super) fn new(lang: Lang) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let rows = lang.pick("rows", "строк");
        let style = format!("{{msg:29}} {{wide_bar}} {{percent}} %, {{speed}} {rows}/s, {{eta}}");
        let style = ProgressStyle::with_template(&style).unwrap_or_else(|_| ProgressStyle::default_bar());
        let speed = |state: &ProgressState, text: &mut dyn Write| {
            // A bar without its speed is good enough.
            let _ = write!(text, "{:.0}", state.per_sec());
        };
        bar.set_style(style.with_key("speed", speed));
        Self { lang, bar, is_terminal: std::io::stderr().is_terminal(), doing: None }
    }

    pub(super) fn at(&mut self, progress: Progress) {
        let doing = match progress.doing {
            Doing::Copying => self.lang.pick("copying", "копирование"),
            Doing::Comparing => self.lang.pick("comparing", "сверка"),
        };
        if !self.is_terminal {
            if progress.table_done {
                say_aside!("{doing}: {}: {}", progress.table, grouped(progress.table_rows));
            }
            return;
        }
        self.bar.set_length(progress.of);
        self.bar.set_position(progress.rows);
        if self.doing.replace(progress.doing) != Some(progress.doing) {
            // The rows that an earlier run has copied must not count for the speed, nor copying for comparing.
            self.bar.reset();
            self.bar.set_position(progress.rows);
            self.bar.reset_eta();
        }
        self.bar.set_message(format!("{doing}: {}", progress.table));
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// A number with its thousands separated.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        for (number, expected) in [(0, "0"), (999, "999"), (1_000, "1 000"), (12_345_678, "12 345 678")] {
            assert_eq!(grouped(number), expected);
        }
    }
}
