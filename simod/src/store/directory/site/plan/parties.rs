//! Operators, ACS and their tokens.

use std::collections::BTreeSet;

use serde::Serialize;
use simo_common::{
    api::{
        access::{Payload, WebPush},
        site::{SiteAction, SiteClient, SiteKind},
    },
    message::limits,
    people::Role,
    text,
};

use super::{
    super::live::Settings,
    draft::{DEFAULT_TIMEZONE, Draft, entries},
    name_taken,
};
use crate::store::directory::operators::last_admin;

impl Settings {
    /// A client's wanted settings.
    pub(super) fn of(slug: &str, wanted: &SiteClient, before: Option<&Self>) -> Self {
        let mut settings = before.cloned().unwrap_or_else(|| Self {
            name: slug.to_owned(),
            timezone: DEFAULT_TIMEZONE.to_owned(),
            payload: Payload::default(),
            notification: false,
            webpush: WebPush::default(),
            default_ttl: limits::DEFAULT_TTL_SECONDS,
            retention_days: None,
        });
        if let Some(name) = &wanted.name {
            settings.name.clone_from(name);
        }
        if let Some(timezone) = &wanted.timezone {
            settings.timezone.clone_from(timezone);
        }
        settings.payload = wanted.payload.unwrap_or(settings.payload);
        settings.notification = wanted.notification.unwrap_or(settings.notification);
        settings.webpush = wanted.webpush.unwrap_or(settings.webpush);
        settings.default_ttl = wanted.default_ttl.unwrap_or(settings.default_ttl);
        if let Some(days) = wanted.retention_days {
            settings.retention_days = (days > 0).then_some(days);
        }
        settings
    }
}

/// An operator as the audit records it.
#[derive(Serialize)]
struct HasRole {
    role: Role,
}

impl Draft<'_> {
    pub(super) fn operators(&mut self, taken: &mut BTreeSet<String>) {
        let Some(operators) = &self.wanted.operators else {
            return;
        };
        let path = format!("{}.operators", self.path);
        let wanted = entries(self.out, &path, ".name", operators, |operator| &operator.name);
        for (name, (place, operator)) in &wanted {
            if operator.role == Role::Owner {
                self.out.wrong(
                    format!("{path}[{place}].role"),
                    text!(
                        "an owner belongs to no client: name them in `owners` at the top",
                        "владелец не относится к клиенту: укажите его в `owners` на верхнем уровне"
                    ),
                );
                continue;
            }
            let live = self.live.and_then(|live| live.operators.get(*name));
            let after = HasRole { role: operator.role };
            let action = match live {
                Some(live) if live.archived => SiteAction::Restore,
                Some(live) if live.is == operator.role => continue,
                Some(_) => SiteAction::Change,
                None if self.all.operators.contains(*name) || !taken.insert((*name).to_owned()) => {
                    self.out.wrong(format!("{path}[{place}].name"), name_taken(name));
                    continue;
                }
                None => SiteAction::Create,
            };
            let before = live.map(|live| HasRole { role: live.is });
            self.note(action, SiteKind::Operator, name, before.as_ref(), Some(&after));
            self.plan.operators.push(((*name).to_owned(), operator.role));
        }
        for (name, operator) in self.live.into_iter().flat_map(|live| &live.operators) {
            if self.prune && !operator.archived && !wanted.contains_key(name.as_str()) {
                self.plan.operators_gone.push(operator.no);
                let before = HasRole { role: operator.is };
                self.note(SiteAction::Archive, SiteKind::Operator, name, Some(&before), None);
            }
        }
        if !self.keeps_an_admin() {
            self.out.wrong(path, last_admin());
        }
    }

    /// Whether the client has an administrator afterwards; only an owner may leave it without one.
    fn keeps_an_admin(&self) -> bool {
        let changed = |name: &String| self.plan.operators.iter().find(|(other, _)| other == name);
        let stays = self.live.into_iter().flat_map(|live| &live.operators).any(|(name, operator)| {
            let is_here = !operator.archived && !self.plan.operators_gone.contains(&operator.no);
            is_here
                && operator.is == Role::Admin
                && changed(name).is_none_or(|(_, role)| *role == Role::Admin)
        });
        self.may_set || stays || self.plan.operators.iter().any(|(_, role)| *role == Role::Admin)
    }

    pub(super) fn acs(&mut self) {
        let Some(list) = &self.wanted.acs else {
            return;
        };
        let path = format!("{}.acs", self.path);
        let wanted = entries(self.out, &path, ".name", list, |acs| &acs.name);
        for (name, (place, acs)) in &wanted {
            let live = self.live.and_then(|live| live.acs.get(*name));
            let action = match live {
                None => Some(SiteAction::Create),
                Some(live) if live.archived => Some(SiteAction::Restore),
                Some(_) => None,
            };
            if let Some(action) = action {
                self.plan.acs.push((*name).to_owned());
                self.note::<()>(action, SiteKind::Acs, name, None, None);
            }
            if let Some(tokens) = &acs.tokens {
                self.tokens(name, &format!("{path}[{place}].tokens"), tokens);
            }
        }
        let Some(live) = self.live else {
            return;
        };
        for (name, acs) in &live.acs {
            if self.prune && !acs.archived && !wanted.contains_key(name.as_str()) {
                self.plan.acs_gone.push(acs.no);
                self.note::<()>(SiteAction::Archive, SiteKind::Acs, name, None, None);
            }
        }
    }
}
