//! The word index: which messages contain a word. It follows behind the messages, so that accepting them does not wait
//! for it; whoever searches first brings it up to date.

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

/// How long to leave messages to another one who has them in hand.
const HANDS_OFF: Duration = Duration::from_millis(10);

/// Bytes of text that one step indexes, at most (one message may be more): a few milliseconds of the writer.
const STEP_BYTES: usize = 256 * 1024;

/// The number up to which SQLite's index has the words of all messages: there they are indexed in the order of their
/// numbers, which is that of their commits. One that waits for its time has none of its own yet. FTS5 keeps a row for each message in this table of its own.
macro_rules! newest_indexed {
    () => {
        "(select coalesce(max(id), 0) from message_word_docsize)"
    };
}

impl Store {
    /// Indexes the words of up to `limit` messages that wait for it, oldest first; answers how many it indexed:
    /// none when nothing waits.
    ///
    /// Two callers at once do no harm, nor do two instances.
    pub async fn index_words(&self, limit: u32) -> Result<usize> {
        match &self.database {
            Database::Sqlite(_) => self.index_words_in_order(limit).await,
            Database::Postgres(_) => self.index_words_that_wait(limit).await,
        }
    }

    /// On SQLite. Words are cut and stemmed before the writer is asked for; what another caller has indexed meanwhile, is
    /// left out.
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
        // A message that was forgotten meanwhile has no place in the index.
        query(concat!(
            "insert into message_word (rowid, surface, stems)
             select {no}, {surface}, {stems} from {rows} where {no} > ",
            newest_indexed!(),
            " and exists (select 1 from message where no = {no})"
        ))
        .over([("no", Whole), ("surface", Words), ("stems", Words)], rows)
        .execute(&mut tx)
        .await?;
        // What a power failure takes from the index is indexed again.
        tx.commit_unsynced().await?;
        Ok(count)
    }

    /// On PostgreSQL, where numbers are committed in any order, a table of its own says what waits. Whoever takes rows of it
    /// holds them until their words are in the index.
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
        // All of them: what was taken is not written down anywhere else.
        let rows = rows(waiting, usize::MAX, vector).await?;
        if rows.is_empty() {
            // Those that were taken may have been forgotten meanwhile.
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

    /// Waits until every message that is in the database now is in the word index.
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
                // Another one has them in hand.
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
    // Stemming takes the processor for milliseconds, which other tasks of this thread would feel.
    Ok(tokio::task::spawn_blocking(rows).await?)
}

/// Whether the words stand in a message, for one that the index does not have.
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

/// What stands before every word of a client, so that a word that is common at one client is another word at all
/// others: always of one length, so that it does not run into the word.
fn mark(client_no: ClientNo) -> String {
    format!("{:06x}", client_no.0)
}

/// For FTS5: the number of a message, its words as they are, and their stems, each at the same place. Between title and body stands
/// a mark without a word, lest a phrase begin in the one and end in the other.
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

/// For PostgreSQL: the number of a message, and its words as they are (marked `w`) and their stems (`s`) with their places, as
/// a `tsvector` is written. It counts places up to 16,383; what follows stands at the last one. Between title and body a place is
/// left empty, lest a phrase begin in the one and end in the other.
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

/// A word as PostgreSQL's index has it: of its kind, with its client's mark. It takes 2,046 bytes at most; what agrees so
/// far is the same word.
fn lexeme(kind: char, mark: &str, word: &str) -> String {
    let mut end = word.len().min(1_000);
    while !word.is_char_boundary(end) {
        end -= 1;
    }
    format!("'{kind}{mark}{}'", &word[..end])
}

/// The words of a query's terms as the index's expression, joined by `operator` (`and` or `or`); `None` without terms.
///
/// Words are letters and digits only, so that nothing in them could end a string.
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
