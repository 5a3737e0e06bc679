//! [`Wanted`] as conditions in SQL.

use simo_common::delivery::DeliveryState;

use super::{
    choice::Choice,
    sql::Sql,
    wanted::{Crowd, GroupSpan, Wanted, push_named},
};
use crate::store::db::engine::Value;

/// Conditions that a scan already includes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) states: bool,
    pub(super) reasons: bool,
    pub(super) people: bool,
}

impl Wanted {
    /// The condition on the message's number in `column`. Bounds that the keyset implies can be left out.
    pub(super) fn push_numbers(&self, sql: &mut Sql, column: &str, from: bool, to: bool) {
        let (Some(first), Some(last)) = (self.numbers.first(), self.numbers.last()) else {
            sql.push(" and false");
            return;
        };
        if from {
            sql.push(format!(" and {column} >= ")).bind(first.start);
        }
        if to {
            sql.push(format!(" and {column} < ")).bind(last.end);
        }
        for pair in self.numbers.windows(2) {
            sql.push(format!(" and ({column} < ")).bind(pair[0].end);
            sql.push(format!(" or {column} >= ")).bind(pair[1].start).push(")");
        }
    }

    /// The conditions on a delivery `d`, except when it was accepted.
    pub(super) fn push_delivery(&self, sql: &mut Sql, said: Said) {
        if let (false, Some(states)) = (said.states, self.listed_states()) {
            sql.push(" and d.state in ").list(&states);
        }
        self.push_reasons(sql, said);
        push_number_choice(sql, "d.message_no", &self.messages);
        if !said.people {
            self.push_people(sql, "d.employee_no");
        }
        for (negated, spans) in &self.groups {
            sql.push(if *negated { " and not exists" } else { " and exists" });
            sql.push(" (select 1 from group_member_period g where g.client_no = ").bind(self.client_no);
            sql.push(" and g.employee_no = d.employee_no and g.since_no <= d.message_no and g.until_no > d.message_no");
            let (always, at_times): (Vec<GroupSpan>, Vec<GroupSpan>) =
                spans.iter().partition(|(_, since, until)| (since.0, until.0) == (0, i64::MAX));
            sql.push(" and (g.group_no in ").numbers(always.iter().map(|(group, ..)| group));
            // As rows: a chain of conditions has a limit.
            for (place, (group, since, until)) in at_times.iter().enumerate() {
                sql.push(if place == 0 { " or exists (select 1 from (values (" } else { "), (" });
                sql.push(group.0).push(", ").push(since.0).push(", ").push(until.0);
            }
            if !at_times.is_empty() {
                sql.push(
                    ")) s where s.column1 = g.group_no and d.message_no >= s.column2 and d.message_no < s.column3)",
                );
            }
            sql.push("))");
        }
        for (negated, devices) in &self.devices {
            sql.push(if *negated { " and not exists" } else { " and exists" });
            sql.push(
                " (select 1 from push p where p.client_no = d.client_no and p.message_no = d.message_no
                 and p.employee_no = d.employee_no and p.device_no in ",
            );
            sql.numbers(devices).push(")");
        }
    }

    /// The conditions on the reason: why it ended or what it waits for. A late receipt overrides the outcome that a
    /// reason belongs to: then there is none.
    fn push_reasons(&self, sql: &mut Sql, said: Said) {
        let (queued, failed) = (DeliveryState::Queued.rank(), DeliveryState::Failed.rank());
        match &self.reasons {
            Choice::Only(reasons) => {
                if !said.reasons {
                    sql.push(" and d.reason in ").list(reasons);
                }
                sql.push(format_args!(" and (d.state >= {failed} or d.state = {queued})"));
            }
            Choice::Except(reasons) if reasons.is_empty() => {}
            Choice::Except(reasons) => {
                sql.push(format_args!(" and (d.state < {failed} and d.state > {queued}"));
                sql.push(" or d.reason is null or d.reason not in ").list(reasons).push(")");
            }
        }
    }

    /// The conditions on the person whose number is in `column`.
    pub(super) fn push_people(&self, sql: &mut Sql, column: &str) {
        push_number_choice(sql, column, &self.people);
        for (negated, crowd) in &self.crowds {
            sql.push(if *negated { " and not exists" } else { " and exists" });
            match crowd {
                Crowd::Groups(table, groups) => {
                    sql.push(format!(" (select 1 from {table} g where g.client_no = ")).bind(self.client_no);
                    sql.push(format!(" and g.employee_no = {column} and g.group_no in ")).numbers(groups);
                }
                Crowd::Named(names) => {
                    // By the primary key.
                    sql.push(" (select 1 from employee named");
                    sql.push(" where named.client_no = ").bind(self.client_no);
                    sql.push(format!(" and named.no = {column} and "));
                    push_named(sql, names);
                }
            }
            sql.push(")");
        }
    }

    /// The conditions on a message `m`, except a list of numbers and its words.
    pub(super) fn push_message(&self, sql: &mut Sql) {
        if self.asks_for_times() {
            self.push_times(sql);
        }
        if self.messages.only().is_none() {
            push_number_choice(sql, "m.no", &self.messages);
        }
        push_number_choice(sql, "m.topic_no", &self.topics);
        self.push_acs(sql);
        push_choice(sql, "m.external_id", &self.external);
        if !self.priorities.is_all() {
            sql.push(" and m.priority in ").list(&self.listed_priorities());
        }
        push_choice(sql, "m.require_ack", &self.ack);
    }

    /// When a message `m` was accepted, exactly: numbers are only approximate.
    fn push_times(&self, sql: &mut Sql) {
        let mut or = " and (";
        for time in &self.times {
            sql.push(or).push("m.accepted_at >= ").bind(time.start);
            sql.push(" and m.accepted_at < ").bind(time.end);
            or = " or ";
        }
        sql.push(")");
    }

    /// The conditions on the words of a message `m`, looked up message by message: tens of microseconds each.
    pub(super) fn push_words(&self, sql: &mut Sql) {
        for (negated, words) in [(false, &self.words), (true, &self.no_words)] {
            if let Some(words) = words {
                sql.push(if negated { " and not exists" } else { " and exists" });
                sql.push(" (select 1 from message_word where message_word match ").bind(words.clone());
                sql.push(" and rowid = m.no)");
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
        sql.push(if operators { " and (m.acs_no is null or " } else { " and (m.acs_no is not null and " });
        sql.push(if only { "m.acs_no in " } else { "m.acs_no not in " });
        sql.numbers(values.iter().flatten()).push(")");
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

fn push_number_choice<T>(sql: &mut Sql, column: &str, choice: &Choice<T>)
where
    T: Ord + Copy + Into<i64>,
{
    match choice {
        Choice::Only(numbers) => {
            sql.push(format!(" and {column} in ")).numbers(numbers);
        }
        Choice::Except(numbers) if numbers.is_empty() => {}
        Choice::Except(numbers) => {
            sql.push(format!(" and ({column} is null or {column} not in ")).numbers(numbers).push(")");
        }
    }
}
