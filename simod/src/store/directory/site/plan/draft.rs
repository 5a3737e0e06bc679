//! Shared by the parts of a plan: mistakes, changes, and the names of a list's entries.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use simo_common::{
    api::site::{SiteAction, SiteChange, SiteClient, SiteKind},
    lang::Text,
    spelling::{meant, nearest},
    text,
};

use super::{
    super::live::{Live, LiveClient, Settings},
    ClientPlan, Reach,
};

/// How many mistakes get the nearest name as a hint: comparing takes time.
const HINTS: usize = 100;

/// The time zone of a client that names none.
pub(super) use crate::store::directory::clients::DEFAULT_TIMEZONE;

#[derive(Debug, Default)]
pub(super) struct Out {
    pub(super) mistakes: Vec<(String, Text)>,
    pub(super) changes: Vec<SiteChange>,
}

impl Out {
    pub(super) fn wrong(&mut self, field: impl Into<String>, text: Text) {
        self.mistakes.push((field.into(), text));
    }

    /// The mistake of a name that does not exist. `noun` in English, and in Russian in the genitive.
    pub(super) fn missing<'n>(
        &mut self,
        field: String,
        (noun, russian): (&str, &str),
        name: &str,
        names: impl IntoIterator<Item = &'n String>,
    ) {
        let names = names.into_iter().map(String::as_str);
        let near = (self.mistakes.len() < HINTS).then(|| nearest(name, names)).flatten();
        let text = text!("there is no {noun} `{name}`", "нет {russian} «{name}»");
        self.wrong(field, meant(text, near));
    }

    /// Notes a change; for an object that stays, only the fields that differ.
    pub(super) fn change<T: Serialize>(
        &mut self,
        action: SiteAction,
        kind: SiteKind,
        client: Option<&str>,
        name: &str,
        before: Option<&T>,
        after: Option<&T>,
    ) {
        let (mut before, mut after) = differing(before.map(told), after.map(told));
        if action == SiteAction::Restore {
            // Otherwise nothing might differ.
            for (side, archived) in [(&mut before, true), (&mut after, false)] {
                if let Some(Value::Object(fields)) = side {
                    fields.insert("archived".to_owned(), archived.into());
                }
            }
        }
        self.changes.push(SiteChange {
            action,
            kind,
            client: client.map(str::to_owned),
            name: name.to_owned(),
            before,
            after,
        });
    }
}

/// An object as JSON: structs of strings and numbers always serialise.
fn told(what: &impl Serialize) -> Value {
    serde_json::to_value(what).unwrap_or_default()
}

fn differing(before: Option<Value>, after: Option<Value>) -> (Option<Value>, Option<Value>) {
    let says = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    match (before, after) {
        (Some(Value::Object(mut before)), Some(Value::Object(mut after))) => {
            let same: Vec<String> = before
                .iter()
                .filter(|(field, value)| after.get(*field) == Some(value))
                .map(|(field, _)| field.clone())
                .collect();
            for field in same {
                before.remove(&field);
                after.remove(&field);
            }
            (Some(Value::Object(before)), Some(Value::Object(after)))
        }
        (before, after) => {
            let briefly = |value: Option<Value>| match value? {
                Value::Object(mut fields) => {
                    fields.retain(|_, value| says(value));
                    Some(Value::Object(fields))
                }
                Value::Null => None,
                other => Some(other),
            };
            (briefly(before), briefly(after))
        }
    }
}

/// The entries of a list by name, with their indexes; a duplicate is a mistake.
pub(super) fn entries<'a, T>(
    out: &mut Out,
    path: &str,
    field: &str,
    list: &'a [T],
    name: impl Fn(&'a T) -> &'a str,
) -> BTreeMap<&'a str, (usize, &'a T)> {
    let mut by_name: BTreeMap<&str, (usize, &T)> = BTreeMap::new();
    for (place, entry) in list.iter().enumerate() {
        let name = name(entry);
        if let Some((first, _)) = by_name.get(name) {
            let first = format!("{path}[{first}]");
            out.wrong(
                format!("{path}[{place}]{field}"),
                text!("`{name}` is there already: {first}", "«{name}» уже есть: {first}"),
            );
        } else {
            by_name.insert(name, (place, entry));
        }
    }
    by_name
}

/// A client's part of a plan, being made.
pub(super) struct Draft<'a> {
    pub(super) slug: &'a str,
    pub(super) path: String,
    pub(super) wanted: &'a SiteClient,
    /// The client, if it exists.
    pub(super) live: Option<&'a LiveClient>,
    pub(super) all: &'a Live,
    pub(super) prune: bool,
    pub(super) may_set: bool,
    pub(super) out: &'a mut Out,
    pub(super) plan: ClientPlan,
    pub(super) settings: Settings,
}

impl<'a> Draft<'a> {
    pub(super) fn new(
        slug: &'a str,
        wanted: &'a SiteClient,
        all: &'a Live,
        reach: Reach,
        out: &'a mut Out,
    ) -> Self {
        let live = all.clients.get(slug);
        Self {
            slug,
            path: format!("clients.{slug}"),
            wanted,
            live,
            all,
            prune: reach.prune,
            may_set: reach.clients,
            out,
            plan: ClientPlan {
                slug: slug.to_owned(),
                client_no: live.map(|live| live.client_no),
                ..ClientPlan::default()
            },
            settings: Settings::of(slug, wanted, live.map(|live| &live.settings)),
        }
    }

    /// The client's changes; `None` when there are none.
    pub(super) fn plan(mut self, taken: &mut BTreeSet<String>) -> Option<ClientPlan> {
        let noted = self.out.changes.len();
        self.client();
        self.operators(taken);
        self.acs();
        let groups = self.groups();
        let employees = self.employees(&groups);
        self.topics(&groups, &employees);
        (self.out.changes.len() > noted).then_some(self.plan)
    }

    /// Notes a change of an object of this client.
    pub(super) fn note<T: Serialize>(
        &mut self,
        action: SiteAction,
        kind: SiteKind,
        name: &str,
        before: Option<&T>,
        after: Option<&T>,
    ) {
        self.out.change(action, kind, Some(self.slug), name, before, after);
    }

    fn client(&mut self) {
        let before = self.live.map(|live| (&live.settings, live.archived));
        let after = self.settings.clone();
        let action = match before {
            None => SiteAction::Create,
            Some((_, true)) => SiteAction::Restore,
            Some((before, false)) if *before != after => SiteAction::Change,
            Some(_) => return,
        };
        if !self.may_set {
            self.out.wrong(
                self.path.clone(),
                text!(
                    "the settings of a client are for owners, and differ here",
                    "настройки клиента меняют владельцы, а здесь они другие"
                ),
            );
        }
        let before = before.map(|(before, _)| before);
        self.note(action, SiteKind::Client, self.slug, before, Some(&after));
        self.plan.restore = action == SiteAction::Restore;
        self.plan.settings = Some(after);
    }
}
