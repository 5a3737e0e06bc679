//! The rows passed to the statements.

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
    db::engine::{
        Kind::{Bytes, Id, Text, Truth, Whole},
        Named, RowSet, Value,
    },
    directory::employees::{self, PERSON},
};

/// Numbers of existing rows.
pub(super) const NO: Named = ("no", Whole);

pub(super) const OPERATOR: [Named; 2] = [("name", Text), ("role", Text)];

/// The writes of one client.
pub(super) struct Client {
    /// [`ClientNo::NONE`] for a new client, until it is created.
    pub(super) no: ClientNo,
    pub(super) plan: ClientPlan,
    pub(super) operators: RowSet,
    pub(super) acs: RowSet,
    pub(super) tokens: RowSet,
    pub(super) groups: RowSet,
    pub(super) people: RowSet,
    pub(super) topics: RowSet,
    pub(super) grants: RowSet,
}

impl Client {
    pub(super) fn new(plan: ClientPlan, issued: &mut Vec<SiteToken>, now: i64) -> Self {
        let tokens = plan.tokens.iter().map(|(acs, terms)| {
            let (secret, id) = (token::generate(TokenKind::Acs), id::new(now));
            let name = terms.name.as_ref().unwrap_or(acs);
            let limits = &terms.limits;
            let row = [
                id.into(),
                token::hash(&secret).to_vec().into(),
                acs.into(),
                name.into(),
                token::shown(&secret).into(),
                terms.personal.into(),
                terms.expires_at.into(),
                joined(&limits.scopes).into(),
                joined(&limits.topics).into(),
                joined(&limits.networks).into(),
                limits.rate_limit.into(),
                limits.rate_limit_as_503.into(),
                limits.fit.into(),
            ];
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
            row
        });
        let tokens = RowSet::new(
            [
                ("id", Id),
                ("hash", Bytes),
                ("acs", Text),
                ("name", Text),
                ("shown", Text),
                ("personal", Truth),
                ("expires_at", Whole),
                ("scopes", Text),
                ("topics", Text),
                ("networks", Text),
                ("rate_limit", Whole),
                ("rate_limit_as_503", Truth),
                ("fit", Truth),
            ],
            tokens,
        );
        // New people come first in the list, so that exactly they take the numbers.
        let people = plan.people_made.iter().chain(&plan.people_changed);
        let topics = plan.topics.iter().map(|(slug, topic)| {
            let priority = topic.priority.map(Priority::rank);
            // A struct of strings always serialises.
            let recipients = topic.recipients.as_ref().and_then(|to| serde_json::to_string(to).ok());
            [slug.into(), (&topic.name).into(), priority.into(), recipients.into()]
        });
        let grants = plan.grants.iter().map(|(topic, grantee, terms)| {
            let (employee, group) = match grantee {
                Grantee::Everyone => (None, None),
                Grantee::Group(slug) => (None, Some(slug)),
                Grantee::Employee(no) => (Some(no), None),
            };
            let hours = terms.hours.as_ref().map(ToString::to_string);
            [
                id::new(now).into(),
                topic.into(),
                employee.into(),
                group.into(),
                terms.starts_at.into(),
                terms.ends_at.into(),
                hours.into(),
            ]
        });
        let operators = plan.operators.iter().map(|(name, role)| [name.into(), role.as_str().into()]);
        let groups = plan.groups.iter().map(|(slug, name)| [slug.into(), name.into()]);
        Self {
            no: plan.client_no.unwrap_or(ClientNo::NONE),
            operators: RowSet::new(OPERATOR, operators),
            acs: RowSet::of(("name", Text), &plan.acs),
            tokens,
            groups: RowSet::new([("slug", Text), ("name", Text)], groups),
            people: RowSet::new(PERSON, people.map(|(no, person)| person_row(no, person))),
            topics: RowSet::new(
                [("slug", Text), ("name", Text), ("priority", Whole), ("recipients", Text)],
                topics,
            ),
            grants: RowSet::new(
                [
                    ("id", Id),
                    ("topic", Text),
                    ("employee", Text),
                    ("group", Text),
                    ("starts_at", Whole),
                    ("ends_at", Whole),
                    ("hours", Text),
                ],
                grants,
            ),
            plan,
        }
    }
}

fn person_row<'a>(no: &'a str, person: &'a Employee) -> [Value<'a>; 9] {
    let contacts = [&person.email, &person.phone, &person.locale, &person.timezone].map(Option::as_deref);
    employees::person_row(no, &person.full_name, contacts, person.blocked)
}
