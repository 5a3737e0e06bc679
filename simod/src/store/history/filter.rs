//! [`Wanted`] as conditions in SQL.

use simo_common::delivery::DeliveryState;

use super::{
    choice::Choice,
    sql::Sql,
    wanted::{Crowd, Wanted, push_named},
};
use crate::store::db::engine::Value;

/// What a scan's own condition says already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) states: bool,
    pub(super) reasons: bool,
    pub(super) people: bool,
}

impl Wanted {
    /// The condition on when `table` (`d` or `m`) was accepted. What the keyset bounds anyway can be left out.
    pub(super) fn push_times(&self, sql: &mut Sql, table: &str, from: bool, to: bool) {
        let (Some(first), Some(last)) = (self.times.first(), self.times.last()) else {
            sql.push(" and false");
            return;
        };
        if from && first.start > i64::MIN {
            sql.push(format!(" and {table}.accepted_at >= ")).bind(first.start);
        }
        if to {
            sql.push(format!(" and {table}.accepted_at < ")).bind(last.end);
        }
        for pair in self.times.windows(2) {
            sql.push(format!(" and ({table}.accepted_at < ")).bind(pair[0].end);
            sql.push(format!(" or {table}.accepted_at >= ")).bind(pair[1].start).push(")");
        }
    }

    /// The conditions on a delivery `d` but its time.
    pub(super) fn push_delivery(&self, sql: &mut Sql, said: Said) {
        if let (false, Some(states)) = (said.states, self.listed_states()) {
            sql.push(" and d.state in ").list(&states);
        }
        self.push_reasons(sql, said);
        push_id_choice(sql, "d.message_id", &self.messages);
        if !said.people {
            self.push_people(sql, "d.employee_id");
        }
        for (negated, devices) in &self.devices {
            sql.push(if *negated { " and not exists" } else { " and exists" });
            sql.push(
                " (select 1 from push p where p.client_id = d.client_id and p.message_id = d.message_id
                 and p.employee_id = d.employee_id and p.device_id in ",
            );
            sql.ids(devices).push(")");
        }
    }

    /// The conditions on the reason. A late receipt beats the outcome that it belongs to: then there is none.
    fn push_reasons(&self, sql: &mut Sql, said: Said) {
        let failed = DeliveryState::Failed.rank();
        match &self.reasons {
            Choice::Only(codes) => {
                if !said.reasons {
                    sql.push(" and d.reason in ").list(codes);
                }
                sql.push(" and d.state >= ").bind(failed);
            }
            Choice::Except(codes) if codes.is_empty() => {}
            Choice::Except(codes) => {
                sql.push(" and (d.state < ").bind(failed);
                sql.push(" or d.reason is null or d.reason not in ").list(codes).push(")");
            }
        }
    }

    /// The conditions on the person whose id is in `column`.
    pub(super) fn push_people(&self, sql: &mut Sql, column: &str) {
        push_id_choice(sql, column, &self.people);
        for (negated, crowd) in &self.crowds {
            sql.push(if *negated { " and not exists" } else { " and exists" });
            match crowd {
                Crowd::Groups(groups) => {
                    sql.push(" (select 1 from group_member g where g.client_id = ").bind(self.client_id);
                    sql.push(format!(" and g.employee_id = {column} and g.group_id in ")).ids(groups);
                }
                Crowd::Named(names) => {
                    // By the primary key.
                    sql.push(" (select 1 from employee named indexed by sqlite_autoindex_employee_1");
                    sql.push(" where named.client_id = ").bind(self.client_id);
                    sql.push(format!(" and named.id = {column} and "));
                    push_named(sql, names);
                }
            }
            sql.push(")");
        }
    }

    /// The conditions on a message `m` but that its id is one of some, its time and its words.
    pub(super) fn push_message(&self, sql: &mut Sql) {
        if self.messages.only().is_none() {
            push_id_choice(sql, "m.id", &self.messages);
        }
        push_id_choice(sql, "m.topic_id", &self.topics);
        self.push_acs(sql);
        push_choice(sql, "m.external_id", &self.external);
        if !self.priorities.is_all() {
            sql.push(" and m.priority in ").list(&self.listed_priorities());
        }
        push_choice(sql, "m.require_ack", &self.ack);
    }

    /// The conditions on the words of a message `m`, looked up message by message: tens of microseconds each.
    pub(super) fn push_words(&self, sql: &mut Sql) {
        for (negated, words) in [(false, &self.words), (true, &self.no_words)] {
            if let Some(words) = words {
                sql.push(if negated { " and not exists" } else { " and exists" });
                sql.push(" (select 1 from message_word where message_word match ").bind(words.clone());
                sql.push(" and rowid = m.seq)");
            }
        }
    }

    fn push_acs(&self, sql: &mut Sql) {
        let (values, only) = match &self.acs {
            Choice::Only(values) => (values, true),
            Choice::Except(values) if values.is_empty() => return,
            Choice::Except(values) => (values, false),
        };
        let operators = values.contains(&None) == only;
        sql.push(if operators { " and (m.acs_id is null or " } else { " and (m.acs_id is not null and " });
        sql.push(if only { "m.acs_id in " } else { "m.acs_id not in " });
        sql.ids(values.iter().flatten()).push(")");
    }
}

fn push_choice<T>(sql: &mut Sql, column: &str, choice: &Choice<T>)
where
    T: Ord + Clone + Into<Value<'static>>,
{
    match choice {
        Choice::Only(values) => {
            sql.push(format!(" and {column} in ")).list(values);
        }
        Choice::Except(values) if values.is_empty() => {}
        Choice::Except(values) => {
            sql.push(format!(" and ({column} is null or {column} not in ")).list(values).push(")");
        }
    }
}

fn push_id_choice(sql: &mut Sql, column: &str, choice: &Choice<uuid::Uuid>) {
    match choice {
        Choice::Only(ids) => {
            sql.push(format!(" and {column} in ")).ids(ids);
        }
        Choice::Except(ids) if ids.is_empty() => {}
        Choice::Except(ids) => {
            sql.push(format!(" and ({column} is null or {column} not in ")).ids(ids).push(")");
        }
    }
}
