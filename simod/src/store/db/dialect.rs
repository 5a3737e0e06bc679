//! PostgreSQL's text of a statement that is written for SQLite.
//!
//! Our statements keep to SQL that both accept, except for a few forms of SQLite's own. Each has one textual
//! translation; nothing here parses SQL.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use regex::Regex;

/// PostgreSQL's replacements, in the order in which they are applied.
#[expect(clippy::expect_used, reason = "a form that is left out would be a wrong statement")]
static FORMS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        // SQLite has no statistics and needs the index named; PostgreSQL knows better.
        (r" indexed by \w+", ""),
        (r#"cross join ("?\w+"?(?: \w+)?) on "#, "join $1 on "),
        // Ids have a type of their own.
        (r"x'([0-9a-f]{32})'", "'$1'::uuid"),
        (r"x'([0-9a-f]*)'", r"'\x$1'::bytea"),
        (r"message_word match (\$\d+)", "message_word.words @@ $1::tsquery"),
        (r"\browid\b", "no"),
        (r" as integer\)", " as bigint)"),
        (r"\binstr\(", "strpos("),
    ]
    .map(|(form, becomes)| (Regex::new(form).expect("a form is a regular expression"), becomes))
    .into()
});

pub(in crate::store) fn postgres(text: &str) -> String {
    FORMS.iter().fold(text.to_owned(), |text, (form, becomes)| match form.replace_all(&text, *becomes) {
        Cow::Borrowed(_) => text,
        Cow::Owned(replaced) => replaced,
    })
}

/// As [`postgres`], cached for texts that are used repeatedly.
pub(super) fn postgres_kept(text: &str) -> Arc<str> {
    static KEPT: LazyLock<RwLock<HashMap<String, Arc<str>>>> = LazyLock::new(RwLock::default);
    if let Some(known) = KEPT.read().unwrap_or_else(PoisonError::into_inner).get(text) {
        return known.clone();
    }
    let made: Arc<str> = postgres(text).into();
    let mut kept = KEPT.write().unwrap_or_else(PoisonError::into_inner);
    kept.insert(text.to_owned(), made.clone());
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_has_its_translation() {
        for (sqlite, expected) in [
            (
                r#"cross join "group" g on g.no = 1 cross join message m on m.no = 2"#,
                r#"join "group" g on g.no = 1 join message m on m.no = 2"#,
            ),
            ("id = x'00000000000000000000000000000007'", "id = '00000000000000000000000000000007'::uuid"),
            ("hash = x'00ff' indexed by device_employee where", r"hash = '\x00ff'::bytea where"),
            (
                "select rowid from message_word where message_word match $1",
                "select no from message_word where message_word.words @@ $1::tsquery",
            ),
            ("cast($1 as integer) = instr(a, b)", "cast($1 as bigint) = strpos(a, b)"),
        ] {
            assert_eq!(postgres(sqlite), expected);
            assert_eq!(&*postgres_kept(sqlite), expected);
        }
    }
}
