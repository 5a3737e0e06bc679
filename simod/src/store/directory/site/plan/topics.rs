//! Topics and their grants.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::Serialize;
use simo_common::{
    api::{
        access::Grantee,
        change::Change,
        message::Recipients,
        site::{SiteAction, SiteGrant, SiteKind, SiteTopic},
    },
    text,
    time::{self, Moment},
};

use super::{
    super::live::Topic,
    draft::{Draft, entries},
    people::{Employees, Groups},
};
use crate::store::{GrantNo, GrantTerms};

/// A grant as the audit records it.
#[derive(Serialize)]
struct Times {
    from: Option<jiff::Timestamp>,
    until: Option<jiff::Timestamp>,
    hours: Option<String>,
}

impl From<&GrantTerms> for Times {
    fn from(terms: &GrantTerms) -> Self {
        Self {
            from: terms.starts_at.map(time::from_us),
            until: terms.ends_at.map(time::from_us),
            hours: terms.hours.as_ref().map(ToString::to_string),
        }
    }
}

/// A grantee's name in the plan.
pub(in crate::store::directory::site) fn grantee_name(grantee: &Grantee) -> String {
    match grantee {
        Grantee::Everyone => "everyone".to_owned(),
        Grantee::Group(slug) => format!("group:{slug}"),
        Grantee::Employee(no) => format!("employee:{no}"),
    }
}

impl Draft<'_> {
    pub(super) fn topics(&mut self, groups: &Groups, employees: &Employees) {
        if let Some(list) = &self.wanted.topics {
            self.listed(list, groups, employees);
        }
        self.left(groups, employees);
    }

    fn listed(&mut self, list: &[SiteTopic], groups: &Groups, employees: &Employees) {
        let live = self.live.map(|live| &live.topics);
        let path = format!("{}.topics", self.path);
        let wanted = entries(self.out, &path, ".slug", list, |topic| &topic.slug);
        for (slug, topic) in live.into_iter().flatten() {
            if self.prune && !topic.archived && !wanted.contains_key(slug.as_str()) {
                self.plan.topics_gone.push(topic.no);
                self.note(SiteAction::Archive, SiteKind::Topic, slug, Some(&topic.is), None);
            }
        }
        for (slug, (place, topic)) in &wanted {
            let path = format!("{path}[{place}]");
            let before = live.and_then(|live| live.get(*slug));
            let is = self.topic(&path, topic, before.map(|before| &before.is), groups, employees);
            let action = match before {
                None => Some(SiteAction::Create),
                Some(before) if before.archived => Some(SiteAction::Restore),
                Some(before) if before.is != is => Some(SiteAction::Change),
                Some(_) => None,
            };
            if let Some(action) = action {
                let before = before.map(|before| &before.is);
                self.note(action, SiteKind::Topic, slug, before, Some(&is));
                self.plan.topics.push(((*slug).to_owned(), is));
            }
            if let Some(grants) = &topic.grants {
                let none = BTreeMap::new();
                let held = before.map_or(&none, |before| &before.is.grants);
                self.grants(slug, &format!("{path}.grants"), grants, held, groups, employees);
            }
        }
    }

    /// Removes the grants of removed topics, groups and employees. A topic's default recipients must not be removed.
    fn left(&mut self, groups: &Groups, employees: &Employees) {
        for (slug, topic) in self.live.into_iter().flat_map(|live| &live.topics) {
            let goes = self.plan.topics_gone.contains(&topic.no);
            for (grantee, (grant_no, terms)) in &topic.is.grants {
                let is_there = match grantee {
                    Grantee::Everyone => true,
                    Grantee::Group(slug) => groups.contains_key(slug),
                    Grantee::Employee(no) => employees.contains_key(no),
                };
                if goes || !is_there {
                    self.revoke(slug, grantee, *grant_no, terms);
                }
            }
            let listed = self.wanted.topics.iter().flatten().any(|wanted| wanted.slug == *slug);
            if let Some(recipients) =
                topic.is.recipients.as_ref().filter(|_| !goes && !listed && !topic.archived)
            {
                self.keeps(slug, None, recipients, groups, employees);
            }
        }
    }

    fn revoke(&mut self, topic: &str, grantee: &Grantee, grant_no: GrantNo, terms: &GrantTerms) {
        self.plan.grants_gone.push(grant_no);
        let name = format!("{topic}/{}", grantee_name(grantee));
        let before = Times::from(terms);
        self.note(SiteAction::Revoke, SiteKind::Grant, &name, Some(&before), None);
    }

    /// Refuses to remove default recipients: messages that name none would reach no one. The mistake is at `field`, or
    /// at the list that leaves them out.
    fn keeps(
        &mut self,
        topic: &str,
        field: Option<&str>,
        recipients: &Recipients,
        groups: &Groups,
        employees: &Employees,
    ) {
        let gone = recipients.groups.iter().filter(|slug| !groups.contains_key(*slug));
        for slug in gone {
            let field = field.map_or_else(|| format!("{}.groups", self.path), str::to_owned);
            self.out.wrong(
                field,
                text!(
                    "the group `{slug}` would not be there, which the `recipients` of the topic `{topic}` name",
                    "группы «{slug}» не станет, а её называют `recipients` темы «{topic}»"
                ),
            );
        }
        let gone = recipients.employees.iter().filter(|no| !employees.contains_key(*no));
        for no in gone {
            let field = field.map_or_else(|| format!("{}.employees", self.path), str::to_owned);
            self.out.wrong(
                field,
                text!(
                    "the employee `{no}` would not be there, whom the `recipients` of the topic `{topic}` name",
                    "сотрудника «{no}» не станет, а его называют `recipients` темы «{topic}»"
                ),
            );
        }
    }

    fn topic(
        &mut self,
        path: &str,
        wanted: &SiteTopic,
        before: Option<&Topic>,
        groups: &Groups,
        employees: &Employees,
    ) -> Topic {
        let mut topic =
            before.cloned().unwrap_or_else(|| Topic { name: wanted.slug.clone(), ..Topic::default() });
        if let Some(name) = &wanted.name {
            topic.name.clone_from(name);
        }
        match wanted.priority {
            Change::Stay => {}
            Change::Clear => topic.priority = None,
            Change::Set(priority) => topic.priority = Some(priority),
        }
        match &wanted.recipients {
            Change::Stay => {
                if let Some(recipients) = &topic.recipients {
                    let field = format!("{path}.slug");
                    self.keeps(&wanted.slug, Some(&field), recipients, groups, employees);
                }
            }
            Change::Clear => topic.recipients = None,
            Change::Set(recipients) => {
                self.recipients(&format!("{path}.recipients"), recipients, groups, employees);
                topic.recipients = Some(recipients.clone());
            }
        }
        topic
    }

    fn recipients(&mut self, path: &str, recipients: &Recipients, groups: &Groups, employees: &Employees) {
        for (place, no) in recipients.employees.iter().enumerate() {
            self.there(
                format!("{path}.employees[{place}]"),
                &Grantee::Employee(no.clone()),
                groups,
                employees,
            );
        }
        for (place, slug) in recipients.groups.iter().enumerate() {
            self.there(format!("{path}.groups[{place}]"), &Grantee::Group(slug.clone()), groups, employees);
        }
    }

    /// Whether the named grantee will exist; if not, that is a mistake.
    fn there(&mut self, field: String, who: &Grantee, groups: &Groups, employees: &Employees) -> bool {
        match who {
            Grantee::Group(slug) if !groups.contains_key(slug) => {
                self.out.missing(field, ("group", "группы"), slug, groups.keys());
                false
            }
            Grantee::Employee(no) if !employees.contains_key(no) => {
                self.out.missing(field, ("employee", "сотрудника"), no, employees.keys());
                false
            }
            _ => true,
        }
    }

    fn grants(
        &mut self,
        topic: &str,
        path: &str,
        list: &[SiteGrant],
        held: &BTreeMap<Grantee, (GrantNo, GrantTerms)>,
        groups: &Groups,
        employees: &Employees,
    ) {
        let mut wanted: BTreeMap<Grantee, usize> = BTreeMap::new();
        for (place, grant) in list.iter().enumerate() {
            let path = format!("{path}[{place}]");
            let terms = self.terms(&path, grant);
            let Some(grantee) = grant.grantee() else {
                self.out.wrong(
                    path,
                    text!(
                        "name one of `everyone: true`, `group`, `employee`",
                        "укажите одно из: `everyone: true`, `group`, `employee`"
                    ),
                );
                continue;
            };
            let field = match grantee {
                Grantee::Everyone => "everyone",
                Grantee::Group(_) => "group",
                Grantee::Employee(_) => "employee",
            };
            let field = format!("{path}.{field}");
            if !self.there(field.clone(), &grantee, groups, employees) {
                continue;
            }
            if let Some(first) = wanted.get(&grantee) {
                let (name, first) = (grantee_name(&grantee), first + 1);
                self.out.wrong(
                    field,
                    text!(
                        "`{name}` has grant {first} of this topic already",
                        "«{name}» уже есть: доступ {first} этой темы"
                    ),
                );
                continue;
            }
            wanted.insert(grantee.clone(), place);
            // The predecessor's grants do not pass on.
            let before = held
                .get(&grantee)
                .filter(|_| !matches!(&grantee, Grantee::Employee(no) if self.plan.succeeded.contains(no)));
            let Some(terms) = terms else {
                continue;
            };
            let action = match before {
                None => SiteAction::Create,
                Some((_, before)) if *before != terms => SiteAction::Change,
                Some(_) => continue,
            };
            let name = format!("{topic}/{}", grantee_name(&grantee));
            let before = before.map(|(_, before)| Times::from(before));
            self.note(action, SiteKind::Grant, &name, before.as_ref(), Some(&Times::from(&terms)));
            self.plan.grants.push((topic.to_owned(), grantee, terms));
        }
        for (grantee, (grant_no, terms)) in held {
            // Grants to a removed grantee end with them.
            let is_there = match grantee {
                Grantee::Everyone => true,
                Grantee::Group(slug) => groups.contains_key(slug),
                Grantee::Employee(no) => employees.contains_key(no) && !self.plan.succeeded.contains(no),
            };
            if self.prune && is_there && !wanted.contains_key(grantee) {
                self.revoke(topic, grantee, *grant_no, terms);
            }
        }
    }

    /// When a grant is to be in effect. A grant that ended in the past may stay in the file.
    fn terms(&mut self, path: &str, grant: &SiteGrant) -> Option<GrantTerms> {
        let zone = TimeZone::get(&self.settings.timezone).unwrap_or(TimeZone::UTC);
        let noted = self.out.mistakes.len();
        let mut moment = |field: &str, text: &Option<String>| {
            let at = Moment::read(text.as_deref()?, &zone);
            at.map_err(|mistake| self.out.wrong(format!("{path}.{field}"), mistake)).ok()
        };
        let starts_at = moment("from", &grant.from);
        let ends_at = moment("until", &grant.until);
        if starts_at.zip(ends_at).is_some_and(|(start, end)| end <= start) {
            let text = text!("must be after from", "должно быть позже from");
            self.out.wrong(format!("{path}.until"), text);
        }
        let hours = match grant.hours.as_deref().map(str::parse).transpose() {
            Ok(hours) => hours,
            Err(error) => {
                self.out.wrong(format!("{path}.hours"), error);
                None
            }
        };
        (self.out.mistakes.len() == noted).then_some(GrantTerms { starts_at, ends_at, hours })
    }
}
