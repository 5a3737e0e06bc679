//! The word index: which messages contain a word. It follows behind the messages, so that accepting them does not wait
//! for it; whoever searches first brings it up to date.

use std::fmt::Write as _;

use simo_common::{
    query::{Match, Text},
    text::{stem, words},
};
use uuid::Uuid;

use super::{Result, Store, bind::json};

/// Bytes of text that one step indexes, at most (one message may be more): a few milliseconds of the writer.
const STEP_BYTES: usize = 256 * 1024;

/// The seq up to which the index has the words of all messages: they are indexed in the order of their seqs, which is
/// that of their commits. FTS5 keeps a row for each message in this table of its own.
macro_rules! newest_indexed {
    () => {
        "(select coalesce(max(id), 0) from message_word_docsize)"
    };
}

impl Store {
    /// Indexes the words of up to `limit` messages that wait for it, oldest first; answers how many it indexed:
    /// none when nothing waits.
    ///
    /// Words are cut and stemmed before the writer is asked for. Two callers at once do no harm: what one of them has
    /// indexed meanwhile, the other leaves out.
    pub async fn index_words(&self, limit: u32) -> Result<usize> {
        let waiting: Vec<Waiting> = sqlx::query_as(concat!(
            "select seq, client_id, title, body from message where seq > ",
            newest_indexed!(),
            " order by seq limit $1"
        ))
        .bind(limit)
        .fetch_all(&mut *self.read().await?)
        .await?;
        // Stemming takes the processor for milliseconds, which other tasks of this thread would feel.
        let rows = tokio::task::spawn_blocking(move || rows(waiting)).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let mut tx = self.write().await?;
        // A message that was forgotten meanwhile has no place in the index.
        sqlx::query(concat!(
            "insert into message_word (rowid, surface, stems)
             select value->>0, value->>1, value->>2 from jsonb_each($1)
             where value->>0 > ",
            newest_indexed!(),
            " and exists (select 1 from message where seq = value->>0)"
        ))
        .bind(json(&rows))
        .execute(&mut *tx)
        .await?;
        // What a power failure takes from the index is indexed again.
        tx.commit_unsynced().await?;
        Ok(rows.len())
    }

    /// Waits until every message that is in the database now is in the word index.
    pub(super) async fn index_all_words(&self) -> Result<()> {
        let newest: Option<i64> = sqlx::query_scalar("select max(seq) from message")
            .fetch_one(&mut *self.read().await?)
            .await?;
        loop {
            let indexed: i64 = sqlx::query_scalar(concat!("select ", newest_indexed!()))
                .fetch_one(&mut *self.read().await?)
                .await?;
            if newest.is_none_or(|newest| newest <= indexed) || self.index_words(1_000).await? == 0 {
                return Ok(());
            }
        }
    }
}

/// A message without its words: seq, client, title, body.
type Waiting = (i64, Uuid, String, String);

/// The rows of the word index for the first of these messages.
fn rows(waiting: Vec<Waiting>) -> Vec<(i64, String, String)> {
    let mut rows = Vec::with_capacity(waiting.len());
    let mut bytes = 0;
    for (seq, client_id, title, body) in waiting {
        bytes += title.len() + body.len();
        if bytes > STEP_BYTES && !rows.is_empty() {
            break;
        }
        let (surface, stems) = columns(client_id, &title, &body);
        rows.push((seq, surface, stems));
    }
    rows
}

/// What stands before every word of a client, so that a word that is common at one client is another word at all
/// others. Two clients may share a mark by chance: the rows are checked for their client anyway.
fn mark(client_id: Uuid) -> String {
    let id = client_id.as_bytes();
    format!("{:02x}{:02x}{:02x}", id[13], id[14], id[15])
}

/// The two columns of a message: its words as they are, and their stems, each at the same place.
fn columns(client_id: Uuid, title: &str, body: &str) -> (String, String) {
    let mark = mark(client_id);
    let mut surface = String::with_capacity((title.len() + body.len()) * 2);
    let mut stems = String::with_capacity(surface.capacity());
    for word in words(title).into_iter().chain(words(body)) {
        // Writing to a string cannot fail.
        let _ = write!(surface, "{mark}{} ", word.normal);
        let _ = write!(stems, "{mark}{} ", stem(&word.normal));
    }
    (surface, stems)
}

/// The words of a query's terms as an FTS5 expression, joined by `operator` (`and` or `or`); `None` without terms.
///
/// Words are letters and digits only, so that nothing in them could end a string.
pub(super) fn expression(client_id: Uuid, terms: &[&Text], operator: &str) -> Option<String> {
    let mark = mark(client_id);
    let parts: Vec<String> = terms
        .iter()
        .map(|text| {
            let stemmed = text.how == Match::Forms;
            let words: Vec<String> = text
                .words
                .iter()
                .map(|word| {
                    let word = if stemmed { stem(word) } else { word.into() };
                    format!("{mark}{word}")
                })
                .collect();
            format!(
                "({} : \"{}\"{})",
                if stemmed { "stems" } else { "surface" },
                words.join(" "),
                if text.how == Match::Beginning { " *" } else { "" },
            )
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join(&format!(" {} ", operator.to_uppercase())))
}
