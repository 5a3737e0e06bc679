//! A query prepared for the database: names are numbers, times are microseconds, and terms of one kind are one set.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use jiff::tz::TimeZone;
use simo_common::{
    delivery::{DeliveryState, Reason},
    message::{OPERATOR, Priority},
    people::fold_name,
    query::{Filter, Query, Text},
    time::from_us,
};
use uuid::Uuid;

use super::{choice::Choice, sql::Sql, times::times, words};
use crate::store::{
    AcsNo, ClientNo, DeviceNo, EmployeeNo, GroupNo, MessageNo, Result, TopicNo,
    db::engine::{Column, Conn, Engine, Kind::Whole, Value, query_as, query_scalar},
    directory::groups::within,
    message_spans,
};

/// Limits up to which rows are gathered and sorted, rather than met on a walk in the order of the sort.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    pub(super) messages: usize,
    /// Messages whose words are looked up one by one.
    pub(super) probes: usize,
    pub(super) deliveries: usize,
    /// Deliveries where there is more than one condition: where each is common but both together are rare, a walk may
    /// find them only at its end.
    pub(super) combined: usize,
    /// People who are walked one by one.
    pub(super) people: usize,
    /// People who are listed; more are checked row by row.
    pub(super) listed: usize,
}

impl Default for Effort {
    fn default() -> Self {
        Self { messages: 2_000, probes: 500, deliveries: 5_000, combined: 12_000, people: 300, listed: 1_000 }
    }
}

/// The wanted rows of one client.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) client_no: ClientNo,
    pub(super) effort: Effort,
    /// Whether the planner may start from the messages where we start from their deliveries, as PostgreSQL's does.
    /// PostgreSQL does not see that bounds on the deliveries' message numbers bound the messages too; SQLite does, and
    /// would prefer them to the cursor.
    pub(super) reorders: bool,
    /// When it was accepted: half-open, apart, ascending.
    pub(super) times: Vec<Range<i64>>,
    /// The ranges of message numbers that contain all messages accepted then, likewise.
    pub(super) numbers: Vec<Range<i64>>,
    pub(super) states: Choice<i64>,
    pub(super) reasons: Choice<Reason>,
    pub(super) people: Choice<EmployeeNo>,
    /// Conditions on too many people to list, and whether they are negated.
    pub(super) crowds: Vec<(bool, Crowd)>,
    /// Groups, in one of which they were when it was accepted (negated: in none), each with the messages for which that
    /// holds.
    pub(super) groups: Vec<(bool, Vec<GroupSpan>)>,
    /// Devices, one of which got a push (negated: none).
    pub(super) devices: Vec<(bool, BTreeSet<DeviceNo>)>,
    pub(super) messages: Choice<MessageNo>,
    pub(super) topics: Choice<TopicNo>,
    /// `None` stands for operators.
    pub(super) acs: Choice<Option<AcsNo>>,
    pub(super) external: Choice<String>,
    pub(super) priorities: Choice<i64>,
    pub(super) ack: Choice<bool>,
    /// Words that must occur, as an expression for the word index.
    pub(super) words: Option<String>,
    /// Words that must not occur.
    pub(super) no_words: Option<String>,
    /// Both for messages that are in no index, with negation.
    pub(super) texts: Vec<(bool, Text)>,
}

/// A group, and the numbers of messages for which it was within the requested one: from the first on, before the last.
pub(super) type GroupSpan = (GroupNo, MessageNo, MessageNo);

/// Present members of groups.
const MEMBERS_NOW: &str = "(select m.* from group_member m cross join employee e
     where e.client_no = m.client_no and e.no = m.employee_no and e.archived_at is null)";
/// Past and present members.
const MEMBERS_EVER: &str = "group_member_period";

/// People too many to list.
#[derive(Debug)]
pub(super) enum Crowd {
    /// Members of one of these groups, according to this table or query.
    Groups(&'static str, BTreeSet<GroupNo>),
    /// People with one of these personnel numbers or name prefixes.
    Named(Vec<String>),
}

impl Wanted {
    /// Looks up the names in the query. `now` and `zone` define the meaning of its times.
    pub(super) async fn resolve(
        conn: &mut Conn,
        client_no: ClientNo,
        query: &Query,
        now: i64,
        effort: Effort,
    ) -> Result<Self> {
        let zone: String = query_scalar("select timezone from client where no = $1")
            .bind(client_no)
            .fetch_one(&mut *conn)
            .await?;
        let zone = TimeZone::get(&zone).unwrap_or(TimeZone::UTC);
        let times = times(query, &from_us(now).to_zoned(zone));
        let numbers = message_spans::within(conn, client_no, &times).await?;
        let engine = conn.engine();
        let reorders = engine == Engine::Postgres;
        let texts: Vec<(bool, Text)> = query
            .terms
            .iter()
            .filter_map(|term| match &term.filter {
                Filter::Text(text) => Some((term.negated, text.clone())),
                _ => None,
            })
            .collect();
        let words = |negated: bool, operator| {
            let texts = texts.iter().filter(|(not, _)| *not == negated).map(|(_, text)| text);
            words::expression(engine, client_no, &texts.collect::<Vec<_>>(), operator)
        };
        let (words, no_words) = (words(false, "and"), words(true, "or"));
        let mut wanted =
            Self { client_no, effort, reorders, times, numbers, words, no_words, texts, ..Self::default() };
        for term in &query.terms {
            wanted.add(conn, term.negated, &term.filter).await?;
        }
        Ok(wanted)
    }

    async fn add(&mut self, conn: &mut Conn, negated: bool, filter: &Filter) -> Result<()> {
        match filter {
            Filter::State(states) => self.states.narrow(negated, states.iter().map(|state| state.rank())),
            Filter::Priority(priorities) => {
                self.priorities.narrow(negated, priorities.iter().map(|p| p.rank()));
            }
            Filter::Ack(answers) => self.ack.narrow(negated, answers.iter().copied()),
            Filter::Reason(codes) => {
                self.reasons.narrow(negated, codes.iter().filter_map(|code| Reason::from_code(code)));
            }
            Filter::External(ids) => self.external.narrow(negated, ids.iter().cloned()),
            Filter::Message(ids) => self.narrow_messages(conn, negated, ids).await?,
            Filter::Topic(slugs) => {
                let topics: Vec<TopicNo> = self.numbers_of(conn, "topic", "slug", slugs).await?;
                self.topics.narrow(negated, topics);
            }
            Filter::Acs(names) => {
                let acs: Vec<AcsNo> = self.numbers_of(conn, "acs", "name", names).await?;
                let operators = names.iter().any(|name| name == OPERATOR).then_some(None);
                self.acs.narrow(negated, acs.into_iter().map(Some).chain(operators));
            }
            Filter::Group(slugs) => {
                let spans = self.group_spans(conn, slugs).await?;
                if !negated {
                    let groups = spans.iter().map(|(group, ..)| *group).collect();
                    self.add_members(conn, negated, MEMBERS_EVER, groups).await?;
                }
                self.groups.push((negated, spans));
            }
            Filter::GroupNow(slugs) => {
                let groups = self.groups_now(conn, slugs).await?;
                self.add_members(conn, negated, MEMBERS_NOW, groups).await?;
            }
            Filter::Employee(names) => self.add_named(conn, negated, names).await?,
            Filter::Device(names) => self.add_devices(conn, negated, names).await?,
            Filter::After(_) | Filter::Before(_) | Filter::Date(_) | Filter::Text(_) => {}
        }
        Ok(())
    }

    /// Narrows it to messages with these ids, or to all others.
    pub(super) async fn narrow_messages(
        &mut self,
        conn: &mut Conn,
        negated: bool,
        ids: &[Uuid],
    ) -> Result<()> {
        let messages: Vec<MessageNo> = self.numbers_of(conn, "message", "id", ids).await?;
        self.messages.narrow(negated, messages);
        Ok(())
    }

    /// The numbers of a table's rows that hold one of these values.
    async fn numbers_of<T: Clone + Into<Value<'static>>, N: Column>(
        &self,
        conn: &mut Conn,
        table: &str,
        column: &str,
        names: &[T],
    ) -> Result<Vec<N>> {
        let mut sql = Sql::new(format!("select no from {table} where client_no = "));
        sql.bind(self.client_no).push(format!(" and {column} in ")).list(names);
        sql.scalars(conn).await
    }

    /// Groups by slug, with the groups in them.
    async fn groups_now(&self, conn: &mut Conn, slugs: &[String]) -> Result<BTreeSet<GroupNo>> {
        let roots: Vec<GroupNo> = self.numbers_of(conn, "\"group\"", "slug", slugs).await?;
        let within = concat!(within!("$1", "select {root} from {rows}"), "select no from within");
        let groups = query_scalar(within).bind(self.client_no).each(("root", Whole), roots);
        Ok(groups.fetch_all(conn).await?.into_iter().collect())
    }

    /// Groups by slug, with all that were ever in them, and when.
    async fn group_spans(&self, conn: &mut Conn, slugs: &[String]) -> Result<Vec<GroupSpan>> {
        let roots: Vec<GroupNo> = self.numbers_of(conn, "\"group\"", "slug", slugs).await?;
        let within = query_as(
            "with recursive within(no, since_no, until_no) as (
                 select {root}, cast(0 as integer), cast($2 as integer) from {rows}
                 union
                 select i.included_no,
                     case when i.since_no > within.since_no then i.since_no else within.since_no end,
                     case when i.until_no < within.until_no then i.until_no else within.until_no end
                 from within
                 cross join group_inclusion_period i indexed by group_inclusion_period_group on i.client_no = $1 and i.group_no = within.no
                 where i.since_no < within.until_no and i.until_no > within.since_no and i.since_no < i.until_no)
             select no, since_no, until_no from within",
        );
        let spans = within.bind(self.client_no).bind(i64::MAX).each(("root", Whole), roots);
        Ok(spans.fetch_all(conn).await?)
    }

    async fn add_members(
        &mut self,
        conn: &mut Conn,
        negated: bool,
        table: &'static str,
        groups: BTreeSet<GroupNo>,
    ) -> Result<()> {
        let mut sql = Sql::new(format!("select distinct employee_no from {table} g where client_no = "));
        sql.bind(self.client_no).push(" and group_no in ").numbers(&groups);
        sql.push(" limit ").bind(self.effort.listed as i64 + 1);
        let members = sql.scalars(conn).await?;
        self.add_people(negated, members, || Crowd::Groups(table, groups));
        Ok(())
    }

    async fn add_named(&mut self, conn: &mut Conn, negated: bool, names: &[String]) -> Result<()> {
        let mut sql = Sql::new("select named.no from employee named where named.client_no = ");
        sql.bind(self.client_no).push(" and ");
        push_named(&mut sql, names);
        sql.push(" limit ").bind(self.effort.listed as i64 + 1);
        let people = sql.scalars(conn).await?;
        self.add_people(negated, people, || Crowd::Named(names.to_vec()));
        Ok(())
    }

    fn add_people(&mut self, negated: bool, people: Vec<EmployeeNo>, crowd: impl FnOnce() -> Crowd) {
        if people.len() > self.effort.listed {
            self.crowds.push((negated, crowd()));
        } else {
            self.people.narrow(negated, people);
        }
    }

    async fn add_devices(&mut self, conn: &mut Conn, negated: bool, names: &[String]) -> Result<()> {
        let rows: Vec<(DeviceNo, Uuid, EmployeeNo, String)> =
            query_as("select no, id, employee_no, name from device where client_no = $1")
                .bind(self.client_no)
                .fetch_all(conn)
                .await?;
        let wanted: Vec<(Option<Uuid>, String)> =
            names.iter().map(|name| (name.parse().ok(), format!(" {}", fold_name(name)))).collect();
        let found: HashMap<DeviceNo, EmployeeNo> = rows
            .into_iter()
            .filter(|(_, id, _, name)| {
                let name = format!(" {}", fold_name(name));
                let is_wanted = |(exact, begins): &(Option<Uuid>, String)| {
                    *exact == Some(*id) || name.contains(begins.as_str())
                };
                wanted.iter().any(is_wanted)
            })
            .map(|(device, _, owner, _)| (device, owner))
            .collect();
        if !negated && found.len() <= self.effort.listed {
            self.people.narrow(false, found.values().copied());
        }
        self.devices.push((negated, found.into_keys().collect()));
        Ok(())
    }

    /// Whether no row can satisfy it.
    pub(super) fn is_impossible(&self) -> bool {
        self.times.is_empty()
            || self.states.is_nothing()
            || self.reasons.is_nothing()
            || self.people.is_nothing()
            || self.messages.is_nothing()
            || self.topics.is_nothing()
            || self.acs.is_nothing()
            || self.external.is_nothing()
            || self.priorities.is_nothing()
            || self.ack.is_nothing()
    }

    /// Whether it has conditions on deliveries, not only on messages.
    pub(super) fn asks_of_deliveries(&self) -> bool {
        !(self.states.is_all()
            && self.reasons.is_all()
            && self.people.is_all()
            && self.crowds.is_empty()
            && self.groups.is_empty()
            && self.devices.is_empty())
    }

    /// Whether it has conditions on messages other than their identity and acceptance time.
    pub(super) fn asks_of_messages(&self) -> bool {
        !(self.topics.is_all()
            && self.acs.is_all()
            && self.external.is_all()
            && self.priorities.is_all()
            && self.ack.is_all())
            || self.asks_for_words()
    }

    /// The number of conditions, each of which excludes something.
    pub(super) fn asked(&self) -> usize {
        [
            !self.states.is_all(),
            !self.reasons.is_all(),
            !self.people.is_all() || !self.crowds.is_empty() || !self.groups.is_empty(),
            !self.devices.is_empty(),
            !self.topics.is_all(),
            !self.acs.is_all(),
            !self.external.is_all(),
            !self.priorities.is_all(),
            !self.ack.is_all(),
            self.asks_for_words(),
            self.is_recent(),
        ]
        .into_iter()
        .filter(|asked| *asked)
        .count()
    }

    /// Whether it restricts the acceptance time.
    pub(super) fn asks_for_times(&self) -> bool {
        !matches!(&*self.times, [all] if *all == (i64::MIN..i64::MAX))
    }

    pub(super) fn asks_for_words(&self) -> bool {
        self.words.is_some() || self.no_words.is_some()
    }

    /// Whether its times leave out older messages.
    pub(super) fn is_recent(&self) -> bool {
        self.times.first().is_some_and(|first| first.start > i64::MIN)
    }

    /// The wanted states, in order; `None` without a condition on the state.
    pub(super) fn listed_states(&self) -> Option<Vec<i64>> {
        (!self.states.is_all()).then(|| self.every_state())
    }

    /// The wanted states, in order.
    pub(super) fn every_state(&self) -> Vec<i64> {
        left(&self.states, DeliveryState::ALL.map(DeliveryState::rank))
    }

    pub(super) fn listed_priorities(&self) -> Vec<i64> {
        left(&self.priorities, Priority::ALL.map(Priority::rank))
    }
}

fn left<const N: usize>(choice: &Choice<i64>, all: [i64; N]) -> Vec<i64> {
    let stays = |value: &i64| match choice {
        Choice::Only(values) => values.contains(value),
        Choice::Except(values) => !values.contains(value),
    };
    all.into_iter().filter(stays).collect()
}

/// The condition on `named` (an employee) that one of these is their present or former personnel number, or a prefix of
/// a word of their name.
pub(super) fn push_named(sql: &mut Sql, names: &[String]) {
    sql.push("(false");
    for name in names {
        let begins = fold_name(name).replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        sql.push(" or named.personnel_no = ").bind(name.clone());
        // Also former holders of the number.
        sql.push(" or named.former_no = ").bind(name.clone());
        sql.push(" or ' ' || named.folded_name like ").bind(format!("% {begins}%")).push(" escape '\\'");
    }
    sql.push(")");
}
