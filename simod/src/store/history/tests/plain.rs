//! The same history by reading all rows.

use simo_common::{
    api::history::{Sort, SortKey},
    people::{fold_name, sort_key},
    query::{self, Filter, Match, Query, When},
    text::{normal_words, stem},
    time::from_us,
};
use uuid::Uuid;

use super::sample::{ACS, GROUPS, History, LEFT_LATER, NOW, Row, TOPICS};
use crate::store::MessageNo;

impl History {
    /// All rows that satisfy a query, in the order of a sort, by reading every one.
    pub(super) fn plainly(&self, text: &str, sort: Sort) -> Vec<(Uuid, String)> {
        let query = query::parse(text).unwrap();
        let mut found: Vec<&Row> = self.rows.iter().filter(|row| self.holds(&query, row)).collect();
        found.sort_by(|a, b| {
            let date = |row: &Row| (row.message.no, self.people[row.employee].no);
            let name =
                |row: &Row| sort_key(self.people[row.employee].name, &self.people[row.employee].personnel_no);
            let first = match sort.key {
                SortKey::Date => std::cmp::Ordering::Equal,
                SortKey::Employee => name(a).cmp(&name(b)),
                SortKey::State => a.state.cmp(&b.state),
            };
            let first = if sort.descending { first.reverse() } else { first };
            let by_date = date(a).cmp(&date(b));
            let ascends = sort.key == SortKey::Date && !sort.descending;
            first.then(if ascends { by_date } else { by_date.reverse() })
        });
        let key = |row: &Row| (row.message.id, self.people[row.employee].personnel_no.clone());
        found.into_iter().map(key).collect()
    }

    pub(super) fn holds(&self, query: &Query, row: &Row) -> bool {
        query.terms.iter().all(|term| self.filter_holds(&term.filter, row) != term.negated)
    }

    fn filter_holds(&self, filter: &Filter, row: &Row) -> bool {
        let (message, person) = (&row.message, &self.people[row.employee]);
        let now = from_us(NOW).to_zoned(jiff::tz::TimeZone::get("Asia/Krasnoyarsk").unwrap());
        let start = |time: &When| time.start(&now);
        let begins = |name: &str, value: &String| {
            format!(" {}", fold_name(name)).contains(&format!(" {}", fold_name(value)))
        };
        match filter {
            Filter::State(states) => states.contains(&row.state),
            Filter::Employee(values) => {
                values.iter().any(|v| person.personnel_no == *v || begins(person.name, v))
            }
            Filter::Group(slugs) => {
                let belonged = |group: usize| group != LEFT_LATER || message.no < person.left_at;
                person.groups.iter().any(|g| slugs.iter().any(|slug| slug == GROUPS[*g] && belonged(*g)))
            }
            Filter::GroupNow(slugs) => {
                let belongs = |group: usize| group != LEFT_LATER || person.left_at == MessageNo::NEXT;
                person.groups.iter().any(|g| slugs.iter().any(|slug| slug == GROUPS[*g] && belongs(*g)))
            }
            Filter::Acs(names) => {
                let name = message.acs.map_or("operator", |acs| ACS[acs]);
                names.iter().any(|value| value == name)
            }
            Filter::Topic(slugs) => message.topic.is_some_and(|t| slugs.iter().any(|slug| slug == TOPICS[t])),
            Filter::Device(values) => {
                let name = format!("Телефон {}", person.personnel_no);
                row.pushed && values.iter().any(|v| v.parse() == Ok(person.device_id) || begins(&name, v))
            }
            Filter::Priority(priorities) => priorities.iter().any(|p| p.rank() == message.priority),
            Filter::After(times) => times.iter().any(|time| message.accepted_at >= start(time)),
            Filter::Before(times) => times.iter().any(|time| message.accepted_at < start(time)),
            Filter::Date(days) => {
                days.iter().any(|day| (start(day)..day.end(&now)).contains(&message.accepted_at))
            }
            Filter::Message(ids) => ids.contains(&message.id),
            Filter::External(ids) => message.external.as_ref().is_some_and(|id| ids.contains(id)),
            Filter::Reason(codes) => {
                row.reason.is_some_and(|code| codes.iter().any(|value| value == code.as_str()))
            }
            Filter::Ack(answers) => answers.contains(&message.ack),
            Filter::Text(text) => {
                let (title, body) = (normal_words(&message.title), normal_words(&message.body));
                let windows = |words| <[String]>::windows(words, text.words.len());
                windows(&title).chain(windows(&body)).any(|window| {
                    let last = window.len() - 1;
                    window.iter().zip(&text.words).enumerate().all(|(i, (word, want))| match text.how {
                        Match::Forms => stem(word) == stem(want),
                        Match::Beginning if i == last => word.starts_with(want.as_str()),
                        _ => word == want,
                    })
                })
            }
        }
    }
}
