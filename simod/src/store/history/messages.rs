//! Messages that satisfy a query's conditions on messages: all at once where they are few, else one after the other.

use std::collections::HashSet;

use simo_common::message::Priority;

use super::{Order, sql::Sql, wanted::Wanted};
use crate::store::{
    MessageNo, Result,
    db::engine::{Conn, FromRow, Row, query_scalar},
};

/// Ranges closer than this are merged: the gap holds other clients' and unwanted messages.
const WIDEST_GAP: i64 = 10_000;

/// A message that may have wanted deliveries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) no: MessageNo,
    /// Upper bound of its deliveries.
    pub(super) deliveries: i64,
}

impl FromRow for Candidate {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self { no: row.try_get("no")?, deliveries: row.try_get("deliveries")? })
    }
}

/// An index that leads to messages.
#[derive(Debug, Clone, Copy)]
enum MessageRoute {
    Id,
    External,
    Words,
    Urgent,
    Ack,
    Acs,
    Topic,
    Times,
}

impl MessageRoute {
    const ALL: [Self; 8] =
        [Self::Id, Self::External, Self::Words, Self::Urgent, Self::Ack, Self::Acs, Self::Topic, Self::Times];

    fn index(self) -> &'static str {
        match self {
            Self::External => "message_external",
            Self::Urgent => "message_urgent",
            Self::Ack => "message_ack",
            Self::Acs => "message_acs",
            Self::Topic => "message_topic",
            Self::Id | Self::Words | Self::Times => "message_client",
        }
    }

    /// Whether the query restricts messages by this index.
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

    /// The tables and the condition for this index.
    fn push(self, sql: &mut Sql, wanted: &Wanted) {
        if let (Self::Words, Some(words)) = (self, &wanted.words) {
            sql.push(
                "message_word cross join message m on m.no = message_word.rowid where message_word match ",
            );
            sql.bind(words.clone()).push(" and m.client_no = ");
        } else {
            sql.push(format!("message m indexed by {} where m.client_no = ", self.index()));
        }
        sql.bind(wanted.client_no);
        match self {
            Self::Id => {
                // A bound beside the list would lead SQLite away from it.
                let has_number = |no: &&MessageNo| wanted.numbers.iter().any(|range| range.contains(&no.0));
                let messages = wanted.messages.only().into_iter().flatten();
                sql.push(" and m.no in ").numbers(messages.filter(has_number));
                return;
            }
            Self::External => {
                sql.push(" and m.external_id in ").list(wanted.external.only().into_iter().flatten());
            }
            Self::Urgent => {
                // The first half allows the partial index.
                sql.push(" and m.priority >= 2 and m.priority in ").list(&wanted.listed_priorities());
            }
            Self::Ack => {
                sql.push(" and m.require_ack");
            }
            Self::Acs => {
                let acs = wanted.acs.only().into_iter().flatten().flatten();
                sql.push(" and m.acs_no in ").numbers(acs);
            }
            Self::Topic => {
                sql.push(" and m.topic_no in ").numbers(wanted.topics.only().into_iter().flatten());
            }
            Self::Words | Self::Times => {}
        }
        wanted.push_numbers(sql, "m.no", true, true);
    }
}

impl Wanted {
    /// All messages that satisfy the conditions on messages, if one of the ways is short enough.
    pub(super) async fn candidates(&self, conn: &mut Conn) -> Result<Option<Vec<Candidate>>> {
        let mut shortest = None;
        for route in MessageRoute::ALL {
            if !route.leads(self) {
                continue;
            }
            let checks_words = self.asks_for_words() && !matches!(route, MessageRoute::Words);
            let own = if checks_words { self.effort.probes } else { self.effort.messages };
            let most = shortest.map_or(own, |(count, _)| own.min(count));
            let count = self.count_messages(conn, route, most + 1).await?;
            if count <= most {
                shortest = Some((count, route));
            }
        }
        let Some((_, route)) = shortest else { return Ok(None) };
        let mut sql = Sql::new("select m.no, m.accepted + m.denied as deliveries from ");
        route.push(&mut sql, self);
        if let Some(messages) = self.messages.only() {
            sql.push(" and m.no in ").numbers(messages);
        }
        self.push_message(&mut sql);
        match route {
            // The words were matched by this route.
            MessageRoute::Words if self.no_words.is_none() => {}
            _ => self.push_words(&mut sql),
        }
        Ok(Some(sql.rows(conn).await?))
    }

    async fn count_messages(&self, conn: &mut Conn, route: MessageRoute, most: usize) -> Result<usize> {
        let mut sql = Sql::new("select count(*) from (select 1 from ");
        if let (MessageRoute::Words, Some(words)) = (route, &self.words) {
            sql.push("message_word where message_word match ").bind(words.clone());
        } else {
            route.push(&mut sql, self);
        }
        sql.push(" limit ").bind(most as i64).push(") counted");
        Ok(sql.scalars::<i64>(conn).await?.first().copied().unwrap_or(0) as usize)
    }

    /// The next `limit` messages by date from `from` on, those of them that satisfy the conditions on messages, and
    /// where to continue; `None` at the end.
    pub(super) async fn next_messages(
        &self,
        conn: &mut Conn,
        order: Order,
        from: Option<MessageNo>,
        limit: usize,
    ) -> Result<(Vec<Candidate>, Option<MessageNo>)> {
        let mut messages: Vec<Candidate> =
            self.next_messages_statement(order, from, limit).rows(conn).await?;
        let step = if order.descending_dates { -1 } else { 1 };
        let next =
            messages.last().filter(|_| messages.len() == limit).map(|last| MessageNo(last.no.0 + step));
        for (words, must_have) in [(&self.words, true), (&self.no_words, false)] {
            if let Some(words) = words {
                let having = having_words(conn, words, &messages).await?;
                messages.retain(|message| having.contains(&message.no) == must_have);
            }
        }
        Ok((messages, next))
    }

    pub(super) fn next_messages_statement(&self, order: Order, from: Option<MessageNo>, limit: usize) -> Sql {
        let one_topic = self.topics.only().filter(|ids| ids.len() == 1);
        let one_acs = self.acs.only().filter(|ids| ids.len() == 1 && !ids.contains(&None));
        let index = match (one_topic, one_acs) {
            (Some(_), _) => "message_topic",
            (None, Some(_)) => "message_acs",
            (None, None) => "message_client",
        };
        let mut sql = Sql::new("select m.no, m.accepted + m.denied as deliveries from message m ");
        sql.push(format!("indexed by {index} where m.client_no = ")).bind(self.client_no);
        if let Some(no) = one_topic.into_iter().flatten().next() {
            sql.push(" and m.topic_no = ").bind(*no);
        } else if let Some(no) = one_acs.into_iter().flatten().flatten().next() {
            sql.push(" and m.acs_no = ").bind(*no);
        }
        let descending = order.descending_dates;
        let unbounded = from.is_none();
        self.push_numbers(&mut sql, "m.no", descending || unbounded, !descending || unbounded);
        if let Some(from) = from {
            sql.push(if descending { " and m.no <= " } else { " and m.no >= " }).bind(from);
        }
        self.push_message(&mut sql);
        let direction = if descending { "desc" } else { "asc" };
        sql.push(format!(" order by m.no {direction} limit "));
        sql.bind(limit as i64);
        sql
    }
}

/// Finds which of the messages have the words. Messages that are consecutive in time are consecutive in the index too,
/// where reading a range is a hundred times faster than single rows.
async fn having_words(conn: &mut Conn, words: &str, messages: &[Candidate]) -> Result<HashSet<MessageNo>> {
    let mut numbers: Vec<MessageNo> = messages.iter().map(|message| message.no).collect();
    numbers.sort_unstable();
    let mut having = HashSet::new();
    for run in numbers.chunk_by(|one, next| next.0 - one.0 <= WIDEST_GAP) {
        let found: Vec<MessageNo> = query_scalar(
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
