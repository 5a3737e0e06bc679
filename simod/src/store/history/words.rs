//! The word index: which messages contain a word. It is updated after messages are accepted, so that accepting does not
//! wait for it; a search first brings it up to date.

use std::{fmt::Write as _, time::Duration};

use simo_common::{
    query::{Match, Text},
    text::{normal_words, stem, words},
};

use crate::store::{
    ClientNo, Database, MessageNo, Result, Store,
    db::engine::{
        Engine,
        Kind::{Text as Words, Whole},
        Value, query, query_as, query_scalar,
    },
};

/// How long to leave messages to another caller that is indexing them.
const HANDS_OFF: Duration = Duration::from_millis(10);

/// The most bytes of text that one step indexes (one message may be more): a few milliseconds of the writer.
const STEP_BYTES: usize = 256 * 1024;

/// The number up to which SQLite's index has the words of all messages: there they are indexed by number, which is
/// commit order. A scheduled message has no number of its own yet. FTS5 keeps a row for each message in this table of
/// its own.
macro_rules! newest_indexed {
    () => {
        "(select coalesce(max(id), 0) from message_word_docsize)"
    };
}

impl Store {
    /// Indexes the words of up to `limit` waiting messages, oldest first; returns how many.
    ///
    /// Concurrent callers do no harm, nor do several instances.
    pub async fn index_words(&self, limit: u32) -> Result<usize> {
        match &self.database {
            Database::Sqlite(_) => self.index_words_in_order(limit).await,
            Database::Postgres(_) => self.index_words_that_wait(limit).await,
        }
    }

    /// On SQLite. Words are split and stemmed before taking the writer; those that another caller has indexed meanwhile
    /// are left out.
    async fn index_words_in_order(&self, limit: u32) -> Result<usize> {
        let waiting: Vec<Waiting> = query_as(concat!(
            "select no, client_no, title, body from message where no > ",
            newest_indexed!(),
            " order by no limit $1"
        ))
        .bind(limit)
        .fetch_all(&mut *self.read().await?)
        .await?;
        let rows = rows(waiting, STEP_BYTES, columns).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let count = rows.len();
        let mut tx = self.write().await?;
        // A message deleted meanwhile has no place in the index.
        query(concat!(
            "insert into message_word (rowid, surface, stems)
             select {no}, {surface}, {stems} from {rows} where {no} > ",
            newest_indexed!(),
            " and exists (select 1 from message where no = {no})"
        ))
        .over([("no", Whole), ("surface", Words), ("stems", Words)], rows)
        .execute(&mut tx)
        .await?;
        // Entries lost in a power failure are indexed again.
        tx.commit_unsynced().await?;
        Ok(count)
    }

    /// On PostgreSQL, where numbers are committed in any order, a separate table lists waiting messages. Its rows stay
    /// locked by the caller that takes them until their words are in the index.
    async fn index_words_that_wait(&self, limit: u32) -> Result<usize> {
        let mut tx = self.write().await?;
        let waiting: Vec<Waiting> = query_as(
            "with taken as (
                 delete from message_unworded where no in (
                     select no from message_unworded order by no limit $1 for update skip locked)
                 returning client_no, no)
             select m.no, m.client_no, m.title, m.body from taken
             join message m on m.client_no = taken.client_no and m.no = taken.no order by m.no",
        )
        .bind(limit)
        .fetch_all(&mut tx)
        .await?;
        // All of them: the taken rows are recorded nowhere else.
        let rows = rows(waiting, usize::MAX, vector).await?;
        if rows.is_empty() {
            // Messages taken may have been deleted meanwhile.
            tx.commit_unsynced().await?;
            return Ok(0);
        }
        let count = rows.len();
        query(
            "insert into message_word (no, words)
             select {no}, {words}::tsvector from {rows} where true on conflict do nothing",
        )
        .over([("no", Whole), ("words", Words)], rows)
        .execute(&mut tx)
        .await?;
        tx.commit_unsynced().await?;
        Ok(count)
    }

    /// Waits until every message now in the database is in the word index.
    pub(super) async fn index_all_words(&self) -> Result<()> {
        let (newest, waits) = match &self.database {
            Database::Sqlite(_) => (
                "select max(no) from message",
                concat!(
                    "select exists (select 1 from message where no <= $1 and no > ",
                    newest_indexed!(),
                    ")"
                ),
            ),
            Database::Postgres(_) => (
                "select max(no) from message_unworded",
                "select exists (select 1 from message_unworded where no <= $1)",
            ),
        };
        let newest: Option<MessageNo> = query_scalar(newest).fetch_one(&mut *self.read().await?).await?;
        let Some(newest) = newest else { return Ok(()) };
        while query_scalar::<bool>(waits).bind(newest).fetch_one(&mut *self.read().await?).await? {
            if self.index_words(1_000).await? == 0 {
                // Another caller is indexing them.
                tokio::time::sleep(HANDS_OFF).await;
            }
        }
        Ok(())
    }
}

/// A message without its words: number, client, title, body.
type Waiting = (MessageNo, ClientNo, String, String);

/// The rows of the word index for the first of these messages, up to `most` bytes of text, made by `make`.
async fn rows<T: Send + 'static>(
    waiting: Vec<Waiting>,
    most: usize,
    make: fn(&Waiting) -> T,
) -> Result<Vec<T>> {
    let rows = move || {
        let mut bytes = 0;
        let fits = |(_, _, title, body): &&Waiting| {
            let first = bytes == 0;
            bytes += title.len() + body.len();
            first || bytes <= most
        };
        waiting.iter().take_while(fits).map(make).collect()
    };
    // Stemming takes the processor for milliseconds, which would delay other tasks of this thread.
    Ok(tokio::task::spawn_blocking(rows).await?)
}

/// Whether a message contains the words, for one that is not in the index.
pub(super) fn has(title: &str, body: &str, text: &Text) -> bool {
    let is = |word: &str, wanted: &str, is_last: bool| match text.how {
        Match::Forms => stem(word) == stem(wanted),
        Match::Beginning if is_last => word.starts_with(wanted),
        Match::Phrase | Match::Beginning => word == wanted,
    };
    [title, body].into_iter().any(|part| {
        let words = normal_words(part);
        words.windows(text.words.len()).any(|window| {
            let pairs = window.iter().zip(&text.words).zip(1..);
            pairs.into_iter().all(|((word, wanted), place)| is(word, wanted, place == window.len()))
        })
    })
}

/// The prefix of every word of a client, so that a word common at one client is a different word at all others: of
/// fixed length, so that it does not run into the word.
fn mark(client_no: ClientNo) -> String {
    format!("{:06x}", client_no.0)
}

/// For FTS5: the number of a message, its words as written, and their stems, at the same positions. Title and body are
/// separated by a prefix without a word, so that no phrase spans both.
fn columns((no, client_no, title, body): &Waiting) -> [Value<'static>; 3] {
    let mark = mark(*client_no);
    let mut surface = String::with_capacity((title.len() + body.len()) * 2);
    let mut stems = String::with_capacity(surface.capacity());
    let mut add = |word: &str| {
        // Writing to a string cannot fail.
        let _ = write!(surface, "{mark}{word} ");
        let _ = write!(stems, "{mark}{} ", stem(word));
    };
    for word in words(title) {
        add(&word.normal);
    }
    add("");
    for word in words(body) {
        add(&word.normal);
    }
    [no.into(), surface.into(), stems.into()]
}

/// For PostgreSQL: the number of a message, and its words as written (marked `w`) and stemmed (`s`) with their
/// positions, in `tsvector` notation. Positions end at 16,383; later words all get the last one. One position is left
/// empty between title and body, so that no phrase spans both.
fn vector((no, client_no, title, body): &Waiting) -> [Value<'static>; 2] {
    let mark = mark(*client_no);
    let mut vector = String::with_capacity((title.len() + body.len()) * 4);
    let title = words(title);
    let of_body = title.len() + 2;
    let placed = (1..).zip(title).chain((of_body..).zip(words(body)));
    for (place, word) in placed {
        let _ = write!(vector, "{}:{place} ", lexeme('w', &mark, &word.normal));
        let _ = write!(vector, "{}:{place} ", lexeme('s', &mark, &stem(&word.normal)));
    }
    [no.into(), vector.into()]
}

/// A word in PostgreSQL's index: its kind, its client's mark, the word. A lexeme may have 2,046 bytes, so a word is cut
/// at 1,000: longer words that begin alike count as the same.
fn lexeme(kind: char, mark: &str, word: &str) -> String {
    let mut end = word.len().min(1_000);
    while !word.is_char_boundary(end) {
        end -= 1;
    }
    format!("'{kind}{mark}{}'", &word[..end])
}

/// The words of a query's terms as the index's expression, joined by `operator` (`and` or `or`); `None` without terms.
///
/// Words are letters and digits only, so nothing in them can end a string.
pub(in crate::store) fn expression(
    engine: Engine,
    client_no: ClientNo,
    terms: &[&Text],
    operator: &str,
) -> Option<String> {
    let mark = mark(client_no);
    let parts: Vec<String> = terms
        .iter()
        .map(|text| {
            let stemmed = text.how == Match::Forms;
            let words = text.words.iter().map(|word| if stemmed { stem(word) } else { word.into() });
            let begins = text.how == Match::Beginning;
            match engine {
                Engine::Sqlite => format!(
                    "({} : \"{}\"{})",
                    if stemmed { "stems" } else { "surface" },
                    words.map(|word| format!("{mark}{word}")).collect::<Vec<_>>().join(" "),
                    if begins { " *" } else { "" },
                ),
                Engine::Postgres => {
                    let kind = if stemmed { 's' } else { 'w' };
                    let words: Vec<String> = words.map(|word| lexeme(kind, &mark, &word)).collect();
                    format!("({}{})", words.join(" <-> "), if begins { ":*" } else { "" })
                }
            }
        })
        .collect();
    let operator = match (engine, operator) {
        (Engine::Sqlite, operator) => operator.to_uppercase(),
        (Engine::Postgres, "or") => "|".to_owned(),
        (Engine::Postgres, _) => "&".to_owned(),
    };
    (!parts.is_empty()).then(|| parts.join(&format!(" {operator} ")))
}
