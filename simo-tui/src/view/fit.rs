//! Text in columns: its width, cutting and wrapping.

use ratatui::{
    style::Style,
    text::{Line, Span},
};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A character as shown on the screen; those that move the cursor are replaced.
fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

fn width_of(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// The text on one line, at most `width` wide; cut text ends in `…`.
pub(crate) fn cut(text: &str, width: usize) -> String {
    let text: String = text.chars().map(printable).collect();
    if text.width() <= width {
        return text;
    }
    let mut room = width.saturating_sub(1);
    let mut out = String::new();
    for c in text.chars() {
        let Some(left) = room.checked_sub(width_of(c)) else {
            break;
        };
        room = left;
        out.push(c);
    }
    if width > 0 {
        out.push('…');
    }
    out
}

/// The text on one line, exactly `width` wide.
pub(crate) fn pad(text: &str, width: usize) -> String {
    let mut text = cut(text, width);
    let missing = width.saturating_sub(text.width());
    text.extend(std::iter::repeat_n(' ', missing));
    text
}

/// The text on lines at most `width` wide, broken between words where possible; indentation is kept.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let paragraph: String = paragraph.trim_end().chars().map(printable).collect();
        let words = paragraph.trim_start_matches(' ');
        let indent = " ".repeat((paragraph.len() - words.len()).min(width / 2));
        let mut line = indent.clone();
        let mut used = indent.len();
        for word in words.split(' ') {
            let gap = usize::from(used > indent.len());
            if used + gap + word.width() <= width {
                line.extend(std::iter::repeat_n(' ', gap));
                line.push_str(word);
                used += gap + word.width();
                continue;
            }
            if used > indent.len() {
                lines.push(std::mem::replace(&mut line, indent.clone()));
                used = indent.len();
            }
            for c in word.chars() {
                if used + width_of(c) > width && used > indent.len() {
                    lines.push(std::mem::replace(&mut line, indent.clone()));
                    used = indent.len();
                }
                used += width_of(c);
                line.push(c);
            }
        }
        lines.push(line);
    }
    lines
}

/// Text wrapped beside a label; further lines begin under the first.
pub(crate) fn labelled(label: &Span<'static>, text: &str, style: Style, width: usize) -> Vec<Line<'static>> {
    let indent = label.content.width();
    wrap(text, width.saturating_sub(indent))
        .into_iter()
        .enumerate()
        .map(|(number, line)| {
            let head = if number == 0 { label.clone() } else { Span::raw(" ".repeat(indent)) };
            Line::from(vec![head, Span::styled(line, style)])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_stay_whole_where_they_can() {
        assert_eq!(wrap("давление в котле", 10), ["давление в", "котле"]);
        assert_eq!(wrap("абвгдежз", 3), ["абв", "где", "жз"]);
        assert_eq!(wrap("a\n\nb", 9), ["a", "", "b"]);
        assert_eq!(wrap("  a b", 4), ["  a", "  b"]);
        assert_eq!(cut("Иванов Иван", 7), "Иванов…");
        assert_eq!(pad("ab\tc", 6), "ab c  ");
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_its_column(text in "\\PC{0,40}", width in 4_usize..30) {
            prop_assert!(cut(&text, width).width() <= width);
            for line in wrap(&text, width) {
                prop_assert!(line.width() <= width, "{line:?}");
            }
        }
    }
}
