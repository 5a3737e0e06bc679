//! Lists: which rows to return, and where the next page begins.

use super::Result;
use crate::store::db::engine::{Kind, Named, Row, Value};
use futures_util::{Stream, StreamExt as _};
use simo_common::people::fold_name;

/// Which rows of a list, and the key to continue after.
#[derive(Debug, Clone)]
pub struct Listing<K> {
    /// Words that the rows' names must contain.
    pub find: Find,
    /// Rows of a page.
    pub limit: usize,
    /// The key of the last row of the previous page.
    pub after: Option<K>,
    /// Include archived ones.
    pub archived: bool,
}

impl<K> Listing<K> {
    /// How many rows to ask the database for, where [`Find`] is applied afterwards.
    pub(super) fn rows(&self) -> i64 {
        if self.find.is_empty() { self.limit as i64 + 1 } else { i64::MAX }
    }
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Rows<T, K> {
    /// Its rows.
    pub items: Vec<T>,
    /// The key of its last row, when there are more.
    pub next: Option<K>,
}

/// Words that a row's names must all contain, in any order and case.
#[derive(Debug, Clone, Default)]
pub struct Find(Vec<(String, String)>);

impl Find {
    /// From a person's input.
    pub fn new(text: &str) -> Self {
        Self(text.split_whitespace().map(|word| (fold_name(word), word.to_owned())).collect())
    }

    /// Whether every row matches.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the names of a row match.
    pub(super) fn fits(&self, names: &[&str]) -> bool {
        self.is_empty() || {
            let names = fold_name(&names.join(" "));
            self.0.iter().all(|(folded, _)| names.contains(folded))
        }
    }

    /// The rows of [`has_words`].
    pub(super) fn words(&self) -> impl Iterator<Item = [Value<'_>; 2]> {
        self.0.iter().map(|(folded, typed)| [folded.into(), typed.into()])
    }
}

/// The columns of a word, folded and as typed.
pub(super) const WORD: [Named; 2] = [("folded", Kind::Text), ("typed", Kind::Text)];

/// Whether the name or number of the employee `e` has all words; over the rows of [`Find::words`].
macro_rules! has_words {
    () => {
        "not exists (select 1 from {rows} where instr(e.folded_name, {folded}) = 0
                     and instr(e.personnel_no, {typed}) = 0)"
    };
}
pub(super) use has_words;

/// Reads rows until the page is full; `read` makes a key and an item of each, or skips it.
pub(super) async fn page<T, K>(
    rows: impl Stream<Item = sqlx::Result<Row>>,
    limit: usize,
    read: impl Fn(&Row) -> Result<Option<(K, T)>>,
) -> Result<Rows<T, K>> {
    let mut rows = std::pin::pin!(rows);
    let mut items = Vec::new();
    let mut last = None;
    while let Some(row) = rows.next().await {
        let Some((key, item)) = read(&row?)? else { continue };
        if items.len() == limit {
            return Ok(Rows { items, next: last });
        }
        items.push(item);
        last = Some(key);
    }
    Ok(Rows { items, next: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_words_must_be_there_in_any_order_and_case() {
        let find = Find::new(" ПЁТР  иванов ");
        assert!(find.fits(&["Иванов Петр", "0042"]));
        assert!(!find.fits(&["Иванова Анна"]));
        assert!(Find::new("  ").fits(&[]));
    }
}
