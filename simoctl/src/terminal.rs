//! What there is of a terminal: who reads stdout, how wide it is, and what may be shown on it.

use std::io::{IsTerminal as _, Write as _};

use anstyle::Style;

/// Says something to the person, on stderr; when nobody listens there, nothing is lost.
pub(crate) fn talk(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Shows a text of the program's own on stdout, in colour where that is wanted; a closed pipe is fine.
pub(crate) fn show(text: &str) {
    let _ = write!(anstream::stdout().lock(), "{text}");
}

/// Whether stdout is a terminal.
pub(crate) fn shows_data() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether a person can be asked: he sees stderr and types into stdin.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether data on stdout may carry colour (`NO_COLOR`, `CLICOLOR` and `TERM` are respected).
pub(crate) fn paints() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}

/// Text in a style, for what goes through [`talk`].
pub(crate) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// A text that others wrote, without what could steer the terminal or turn the writing direction.
/// Line breaks and tabs stay.
pub(crate) fn harmless(text: &str) -> String {
    let steers = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.replace("\r\n", "\n").replace(steers, "\u{fffd}")
}

/// A text that others wrote, harmless and on one line.
pub(crate) fn one_line(text: &str) -> String {
    harmless(text).replace(['\n', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\u{202e}c"), "a\u{fffd}[2Jb\u{fffd}c");
        assert_eq!(one_line("две\r\nстроки\tи табуляция"), "две строки и табуляция");
    }
}
