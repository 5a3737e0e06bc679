//! The terminal: whether a person reads stdout, and which characters are safe to print.

use std::io::{IsTerminal as _, Write as _};

use anstyle::Style;

/// Prints a message on stderr; does nothing if stderr is closed.
pub(crate) fn talk(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Prints the program's own text on stdout, coloured where supported; a closed pipe is fine.
pub(crate) fn show(text: &str) {
    let _ = write!(anstream::stdout().lock(), "{text}");
}

pub(crate) fn shows_data() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether a person can be asked: stdin and stderr are terminals.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether data on stdout may be coloured (respects `NO_COLOR`, `CLICOLOR` and `TERM`).
pub(crate) fn paints() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}

/// Styles a text for [`talk`].
pub(crate) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Untrusted text without characters that control the terminal or change the writing direction. Line breaks and tabs stay.
pub(crate) fn harmless(text: &str) -> String {
    let steers = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.replace("\r\n", "\n").replace(steers, "\u{fffd}")
}

/// Untrusted text, harmless and on one line.
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
