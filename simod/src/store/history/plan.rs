//! Chooses how a page is gathered. Rare rows are read in full and sorted; common ones are met soon on a walk in the
//! order of the sort. Either way a page costs about the same wherever it lies.

use std::collections::BTreeSet;

use simo_common::api::history::SortKey;

use super::{
    Cursor, Order,
    messages::Candidate,
    scan::{DeliveryKey, Route},
    wanted::Wanted,
};
use crate::store::{MessageNo, Result, db::engine::Conn};

impl Wanted {
    /// The next `limit` deliveries after the cursor.
    pub(super) async fn keys(
        &self,
        conn: &mut Conn,
        order: Order,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Vec<DeliveryKey>> {
        if self.is_impossible() || self.numbers.is_empty() {
            return Ok(Vec::new());
        }
        let candidates = if self.asks_of_messages() || self.messages.only().is_some() {
            self.candidates(conn).await?
        } else {
            None
        };
        let most = self.most_gathered(order);
        let of_people = match self.people.only() {
            // Few people are walked one by one, however much they received.
            Some(people)
                if order.key == SortKey::Date
                    && candidates.is_none()
                    && people.len() <= self.effort.people =>
            {
                None
            }
            Some(_) => Some(self.count(conn, Route::People, most + 1).await?),
            None => None,
        };
        let candidates = candidates.filter(|all| of_people.is_none_or(|people| total(all) <= people));
        match order.key {
            SortKey::Date => self.by_date(conn, order, after, limit, candidates, of_people).await,
            SortKey::State | SortKey::Employee => {
                if let Some(all) = candidates.filter(|all| total(all) <= most) {
                    return self.scan(conn, Route::Messages(&numbers(&all)), order, after, limit).await;
                }
                if of_people.is_some_and(|people| people <= most) {
                    return self.scan(conn, Route::People, order, after, limit).await;
                }
                let by_name = order.key == SortKey::Employee;
                let rare = [
                    (self.reasons.only().is_some(), Route::Reasons),
                    (by_name && !self.states.is_all(), Route::States),
                    (by_name && self.is_recent(), Route::Times),
                ];
                for (leads, way) in rare {
                    if leads && self.count(conn, way, most + 1).await? <= most {
                        return self.scan(conn, way, order, after, limit).await;
                    }
                }
                if order.key == SortKey::State {
                    self.by_state(conn, order, after, limit).await
                } else {
                    self.by_person(conn, order, after, limit).await
                }
            }
        }
    }

    /// The most deliveries that are gathered and sorted rather than met on a walk.
    fn most_gathered(&self, order: Order) -> usize {
        if order.key != SortKey::Date && self.asked() > 1 {
            self.effort.combined
        } else {
            self.effort.deliveries
        }
    }

    async fn by_date(
        &self,
        conn: &mut Conn,
        order: Order,
        after: Option<&Cursor>,
        limit: usize,
        candidates: Option<Vec<Candidate>>,
        of_people: Option<usize>,
    ) -> Result<Vec<DeliveryKey>> {
        if let Some(all) = candidates {
            return self.of_candidates(conn, order, after, limit, all).await;
        }
        let several = self.people.only().filter(|people| people.len() > 1);
        if several.is_some() && of_people.is_some_and(|count| count <= self.effort.deliveries) {
            return self.scan(conn, Route::People, order, after, limit).await;
        }
        if let Some(people) = several.filter(|people| people.len() <= self.effort.people) {
            return self.scan_people(conn, people, order, after, limit).await;
        }
        let one = self.people.only().filter(|people| people.len() == 1);
        let walks: Vec<Route<'_>> = if let Some(no) = one.and_then(BTreeSet::first) {
            vec![Route::Person(*no)]
        } else if let Some(reasons) = self.reasons.only() {
            reasons.iter().map(|reason| Route::Reason(*reason)).collect()
        } else if let Some(states) = self.listed_states() {
            states.into_iter().map(Route::State).collect()
        } else if self.asks_of_messages() {
            return self.along_messages(conn, order, after, limit).await;
        } else {
            vec![Route::ByDate]
        };
        let mut keys = Vec::new();
        for way in walks {
            keys.extend(self.scan(conn, way, order, after, limit).await?);
        }
        keys.sort_unstable();
        if order.descending_dates {
            keys.reverse();
        }
        keys.truncate(limit);
        Ok(keys)
    }

    /// By date, from messages that are all known.
    async fn of_candidates(
        &self,
        conn: &mut Conn,
        order: Order,
        after: Option<&Cursor>,
        limit: usize,
        mut all: Vec<Candidate>,
    ) -> Result<Vec<DeliveryKey>> {
        all.sort_unstable_by_key(|message| message.no);
        if order.descending_dates {
            all.reverse();
        }
        if let Some(after) = after {
            let comes =
                |no| if order.descending_dates { no <= after.message_no } else { no >= after.message_no };
            all.retain(|message| comes(message.no));
        }
        let mut keys = Vec::new();
        self.fill(conn, order, after, limit, &all, &mut keys).await?;
        Ok(keys)
    }

    /// By date, from messages found along the way.
    async fn along_messages(
        &self,
        conn: &mut Conn,
        order: Order,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Vec<DeliveryKey>> {
        let mut keys = Vec::new();
        // The message where the previous page ended may have further deliveries.
        let mut from = after.map(|after| after.message_no);
        let mut step = limit + 1;
        loop {
            let (messages, next) = self.next_messages(conn, order, from, step).await?;
            self.fill(conn, order, after, limit, &messages, &mut keys).await?;
            if next.is_none() || keys.len() >= limit {
                return Ok(keys);
            }
            from = next;
            step = (step * 2).min(2_000);
        }
    }

    /// Adds the deliveries of messages, which are in the order of the sort, until the page is full.
    async fn fill(
        &self,
        conn: &mut Conn,
        order: Order,
        after: Option<&Cursor>,
        limit: usize,
        messages: &[Candidate],
        keys: &mut Vec<DeliveryKey>,
    ) -> Result<()> {
        let mut rest = messages;
        while keys.len() < limit && !rest.is_empty() {
            let mut sum = 0;
            let fits = |message: &&Candidate| {
                sum += message.deliveries.max(1) as usize;
                sum <= self.effort.deliveries
            };
            let count = rest.iter().take_while(fits).count();
            let (chunk, others) = rest.split_at(count.max(1));
            rest = others;
            let several = numbers(chunk);
            let way = match chunk {
                [one] => Route::Message(one.no),
                _ => Route::Messages(&several),
            };
            keys.extend(self.scan(conn, way, order, after, limit - keys.len()).await?);
        }
        Ok(())
    }

    async fn by_state(
        &self,
        conn: &mut Conn,
        order: Order,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Vec<DeliveryKey>> {
        let mut states = self.every_state();
        if order.descending {
            states.reverse();
        }
        let mut keys = Vec::new();
        for state in states {
            let after = match after {
                Some(after) if order.is_before(state, after.state) => continue,
                Some(after) if state == after.state => Some(after),
                _ => None,
            };
            keys.extend(self.scan(conn, Route::State(state), order, after, limit - keys.len()).await?);
            if keys.len() == limit {
                break;
            }
        }
        Ok(keys)
    }

    async fn by_person(
        &self,
        conn: &mut Conn,
        order: Order,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Vec<DeliveryKey>> {
        let mut keys = match after {
            Some(after) => {
                self.scan(conn, Route::Person(after.employee_no), order, Some(after), limit).await?
            }
            None => Vec::new(),
        };
        if keys.len() < limit {
            keys.extend(self.scan(conn, Route::ByPerson, order, after, limit - keys.len()).await?);
        }
        Ok(keys)
    }
}

fn numbers(messages: &[Candidate]) -> Vec<MessageNo> {
    messages.iter().map(|message| message.no).collect()
}

fn total(messages: &[Candidate]) -> usize {
    messages.iter().map(|message| message.deliveries as usize).sum()
}
