//! Messages that satisfy what a query asks of messages: all of them where they are few, else one after the other.

use std::collections::HashSet;

use simo_common::message::Priority;
use uuid::Uuid;

use super::{Cursor, Order, sql::Sql, wanted::Wanted};
use crate::store::{
    Result,
    db::engine::{Conn, FromRow, Row, query_scalar},
};

/// Messages of other clients and without interest between two, for which one range is not made two.
const WIDEST_GAP: i64 = 10_000;

/// A message that may have wanted deliveries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    seq: i64,
    pub(super) accepted_at: i64,
    pub(super) id: Uuid,
    /// How many deliveries it has, at most.
    pub(super) deliveries: i64,
}

impl FromRow for Candidate {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            seq: row.try_get("seq")?,
            accepted_at: row.try_get("accepted_at")?,
            id: row.try_get("id")?,
            deliveries: row.try_get("deliveries")?,
        })
    }
}

/// A way to messages that an index knows.
#[derive(Debug, Clone, Copy)]
enum Way {
    Id,
    External,
    Words,
    Urgent,
    Ack,
    Acs,
    Topic,
    Times,
}

impl Way {
    const ALL: [Self; 8] =
        [Self::Id, Self::External, Self::Words, Self::Urgent, Self::Ack, Self::Acs, Self::Topic, Self::Times];

    fn index(self) -> &'static str {
        match self {
            Self::Id => "message_id",
            Self::External => "message_external",
            Self::Urgent => "message_urgent",
            Self::Ack => "message_ack",
            Self::Acs => "message_acs",
            Self::Topic => "message_topic",
            Self::Words | Self::Times => "message_accepted",
        }
    }

    /// Whether the query leaves only messages on this way.
    fn leads(self, wanted: &Wanted) -> bool {
        match self {
            Self::Id => wanted.messages.only().is_some(),
            Self::External => wanted.external.only().is_some(),
            Self::Words => wanted.words.is_some(),
            Self::Urgent => wanted.listed_priorities().iter().all(|rank| *rank >= Priority::High.rank()),
            Self::Ack => wanted.ack.only().is_some_and(|answers| !answers.contains(&false)),
            Self::Acs => wanted.acs.only().is_some_and(|ids| !ids.contains(&None)),
            Self::Topic => wanted.topics.only().is_some(),
            Self::Times => wanted.asks_of_messages() && wanted.is_recent(),
        }
    }

    /// The tables and the condition of this way.
    fn push(self, sql: &mut Sql, wanted: &Wanted) {
        if let (Self::Words, Some(words)) = (self, &wanted.words) {
            sql.push(
                "message_word cross join message m on m.seq = message_word.rowid where message_word match ",
            );
            sql.bind(words.clone()).push(" and m.client_id = ").bind(wanted.client_id);
            return;
        }
        sql.push(format!("message m indexed by {} where m.client_id = ", self.index()));
        sql.bind(wanted.client_id);
        match self {
            Self::Id => {
                sql.push(" and m.id in ").ids(wanted.messages.only().into_iter().flatten());
            }
            Self::External => {
                sql.push(" and m.external_id in ").list(wanted.external.only().into_iter().flatten());
            }
            Self::Urgent => {
                // The first half lets the partial index in.
                sql.push(" and m.priority >= 2 and m.priority in ").list(&wanted.listed_priorities());
            }
            Self::Ack => {
                sql.push(" and m.require_ack");
            }
            Self::Acs => {
                let ids = wanted.acs.only().into_iter().flatten().flatten();
                sql.push(" and m.acs_id in ").ids(ids);
            }
            Self::Topic => {
                sql.push(" and m.topic_id in ").ids(wanted.topics.only().into_iter().flatten());
            }
            Self::Words | Self::Times => {}
        }
        match self {
            Self::Id | Self::External => {}
            _ => wanted.push_times(sql, "m", true, true),
        }
    }
}

impl Wanted {
    /// All messages that satisfy what it asks of messages, when one way to them is short enough.
    pub(super) async fn candidates(&self, conn: &mut Conn) -> Result<Option<Vec<Candidate>>> {
        let mut shortest = None;
        for way in Way::ALL {
            if !way.leads(self) {
                continue;
            }
            let checks_words = self.asks_for_words() && !matches!(way, Way::Words);
            let own = if checks_words { self.effort.probes } else { self.effort.messages };
            let most = shortest.map_or(own, |(count, _)| own.min(count));
            let count = self.count_messages(conn, way, most + 1).await?;
            if count <= most {
                shortest = Some((count, way));
            }
        }
        let Some((_, way)) = shortest else { return Ok(None) };
        let mut sql =
            Sql::new("select m.seq, m.accepted_at, m.id, m.accepted + m.denied as deliveries from ");
        way.push(&mut sql, self);
        self.push_times(&mut sql, "m", true, true);
        if let Some(ids) = self.messages.only() {
            sql.push(" and m.id in ").ids(ids);
        }
        self.push_message(&mut sql);
        match way {
            // Their presence is what led here.
            Way::Words if self.no_words.is_none() => {}
            _ => self.push_words(&mut sql),
        }
        Ok(Some(sql.rows(conn).await?))
    }

    async fn count_messages(&self, conn: &mut Conn, way: Way, most: usize) -> Result<usize> {
        let mut sql = Sql::new("select count(*) from (select 1 from ");
        if let (Way::Words, Some(words)) = (way, &self.words) {
            sql.push("message_word where message_word match ").bind(words.clone());
        } else {
            way.push(&mut sql, self);
        }
        sql.push(" limit ").bind(most as i64).push(") counted");
        Ok(sql.scalars::<i64>(conn).await?.first().copied().unwrap_or(0) as usize)
    }

    /// The next `limit` messages by date after `from` (its message included), those of them that satisfy what it asks
    /// of messages, and the last one of all, from which to go on; `None` when there are no more.
    pub(super) async fn next_messages(
        &self,
        conn: &mut Conn,
        order: Order,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<(Vec<Candidate>, Option<Candidate>)> {
        let mut messages: Vec<Candidate> =
            self.next_messages_statement(order, from, limit).rows(conn).await?;
        let last = messages.last().copied().filter(|_| messages.len() == limit);
        for (words, must_have) in [(&self.words, true), (&self.no_words, false)] {
            if let Some(words) = words {
                let having = having_words(conn, words, &messages).await?;
                messages.retain(|message| having.contains(&message.seq) == must_have);
            }
        }
        Ok((messages, last))
    }

    /// The statement of [`Wanted::next_messages`].
    pub(super) fn next_messages_statement(&self, order: Order, from: Option<&Cursor>, limit: usize) -> Sql {
        let one_topic = self.topics.only().filter(|ids| ids.len() == 1);
        let one_acs = self.acs.only().filter(|ids| ids.len() == 1 && !ids.contains(&None));
        let index = match (one_topic, one_acs) {
            (Some(_), _) => "message_topic",
            (None, Some(_)) => "message_acs",
            (None, None) => "message_accepted",
        };
        let mut sql = Sql::new(
            "select m.seq, m.accepted_at, m.id, m.accepted + m.denied as deliveries from message m ",
        );
        sql.push(format!("indexed by {index} where m.client_id = ")).bind(self.client_id);
        if let Some(id) = one_topic.into_iter().flatten().next() {
            sql.push(" and m.topic_id = ").bind(*id);
        } else if let Some(id) = one_acs.into_iter().flatten().flatten().next() {
            sql.push(" and m.acs_id = ").bind(*id);
        }
        let descending = order.descending_dates;
        let unbounded = from.is_none();
        self.push_times(&mut sql, "m", descending || unbounded, !descending || unbounded);
        if let Some(from) = from {
            let sign = if descending { "<=" } else { ">=" };
            sql.push(format!(" and (m.accepted_at, m.id) {sign} ("));
            sql.bind(from.accepted_at).push(", ").bind(from.message_id).push(")");
        }
        self.push_message(&mut sql);
        let direction = if descending { "desc" } else { "asc" };
        sql.push(format!(" order by m.accepted_at {direction}, m.id {direction} limit "));
        sql.bind(limit as i64);
        sql
    }
}

/// Which of the messages have the words. Messages that follow one another in time mostly do so in the index too, where a
/// range is read a hundred times faster than its rows one by one.
async fn having_words(conn: &mut Conn, words: &str, messages: &[Candidate]) -> Result<HashSet<i64>> {
    let mut seqs: Vec<i64> = messages.iter().map(|message| message.seq).collect();
    seqs.sort_unstable();
    let mut having = HashSet::new();
    for run in seqs.chunk_by(|one, next| next - one <= WIDEST_GAP) {
        let found: Vec<i64> = query_scalar(
            "select rowid from message_word where message_word match $1 and rowid between $2 and $3",
        )
        .bind(words)
        .bind(run[0])
        .bind(run[run.len() - 1])
        .fetch_all(&mut *conn)
        .await?;
        having.extend(found);
    }
    Ok(having)
}
