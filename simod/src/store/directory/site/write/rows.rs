//! The rows that the statements are given.

use serde::Serialize;
use simo_common::{
    api::{
        access::{Grantee, IssuedToken},
        site::SiteToken,
    },
    id,
    message::Priority,
    time,
    token::{self, TokenKind},
};

use super::super::{live::Employee, plan::ClientPlan};
use crate::store::{
    ClientNo,
    callers::limits::joined,
    db::rows_as_json::{hex, hex_hash, json},
    directory::employees::PersonRow,
};

/// Rows for `jsonb_each`.
pub(super) struct Rows {
    pub(super) json: String,
    pub(super) count: u64,
}

impl Rows {
    pub(super) fn of<T: Serialize>(rows: &[T]) -> Self {
        Self { json: json(rows), count: rows.len() as u64 }
    }
}

/// What is written of a client.
pub(super) struct Client {
    /// [`ClientNo::NONE`] of one that is to be made, until it is.
    pub(super) no: ClientNo,
    pub(super) plan: ClientPlan,
    pub(super) operators: Rows,
    pub(super) acs: Rows,
    pub(super) tokens: Rows,
    pub(super) groups: Rows,
    pub(super) people: Rows,
    pub(super) topics: Rows,
    pub(super) grants: Rows,
}

impl Client {
    pub(super) fn new(plan: ClientPlan, issued: &mut Vec<SiteToken>, now: i64) -> Self {
        let mut tokens = Vec::new();
        for (acs, terms) in &plan.tokens {
            let (secret, id) = (token::generate(TokenKind::Acs), id::new(now));
            let hash = hex_hash(&token::hash(&secret));
            let name = terms.name.as_ref().unwrap_or(acs);
            let limits = &terms.limits;
            tokens.push((
                hex(id),
                hash,
                acs,
                name,
                token::shown(&secret),
                yes_or_no(terms.personal),
                terms.expires_at,
                joined(&limits.scopes),
                joined(&limits.topics),
                joined(&limits.networks),
                limits.rate_limit,
                yes_or_no(limits.rate_limit_as_503),
                yes_or_no(limits.fit),
            ));
            issued.push(SiteToken {
                client: plan.slug.clone(),
                name: name.clone(),
                issued: IssuedToken {
                    id,
                    token: secret,
                    kind: TokenKind::Acs,
                    holder: acs.clone(),
                    expires_at: terms.expires_at.map(time::from_us),
                },
            });
        }
        // New people come first in the list, so that exactly they take the numbers.
        let people = plan.people_made.iter().chain(&plan.people_changed);
        let people: Vec<_> = people.map(|(no, person)| person_row(no, person)).collect();
        let topics: Vec<_> = plan
            .topics
            .iter()
            .map(|(slug, topic)| {
                let priority = topic.priority.map(Priority::rank);
                // A struct of strings, whose serialisation cannot fail.
                let recipients = topic.recipients.as_ref().and_then(|to| serde_json::to_string(to).ok());
                (slug, &topic.name, priority, recipients)
            })
            .collect();
        let grants: Vec<_> = plan
            .grants
            .iter()
            .map(|(topic, grantee, terms)| {
                let (employee, group) = match grantee {
                    Grantee::Everyone => (None, None),
                    Grantee::Group(slug) => (None, Some(slug)),
                    Grantee::Employee(no) => (Some(no), None),
                };
                let hours = terms.hours.as_ref().map(ToString::to_string);
                (hex(id::new(now)), topic, employee, group, terms.starts_at, terms.ends_at, hours)
            })
            .collect();
        let operators = plan.operators.iter();
        let operators: Vec<_> = operators.map(|(name, role)| (name, role.as_str())).collect();
        Self {
            no: plan.client_no.unwrap_or(ClientNo::NONE),
            operators: Rows::of(&operators),
            acs: Rows::of(&plan.acs),
            tokens: Rows::of(&tokens),
            groups: Rows::of(&plan.groups),
            people: Rows::of(&people),
            topics: Rows::of(&topics),
            grants: Rows::of(&grants),
            plan,
        }
    }
}

fn yes_or_no(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

fn person_row<'a>(no: &'a str, person: &'a Employee) -> PersonRow<'a> {
    let contacts = [&person.email, &person.phone, &person.locale, &person.timezone].map(Option::as_deref);
    PersonRow::new(no, &person.full_name, contacts, person.blocked)
}
