//! The stored state as a site. Archived objects and secrets are left out.

use simo_common::{
    api::{
        access::Grantee,
        change::Change,
        site::{
            AcsToken, LimitedToken, Site, SiteAcs, SiteClient, SiteEmployee, SiteGrant, SiteGroup,
            SiteOperator, SiteTopic,
        },
    },
    time,
};

use super::{
    live::{Kept, Live, LiveClient},
    load::LoadScope,
};
use crate::store::{GrantTerms, TokenTerms};

pub(super) fn site(live: &Live, scope: &LoadScope) -> Site {
    let clients = live.clients.iter().filter(|(_, client)| !client.archived);
    Site {
        owners: scope.owners.then(|| names(&live.owners)),
        clients: clients.map(|(slug, it)| (slug.clone(), client(it))).collect(),
    }
}

fn names<N, T>(kept: &std::collections::BTreeMap<String, Kept<N, T>>) -> Vec<String> {
    here(kept).map(|(name, _)| name.clone()).collect()
}

/// Entries that are not archived.
fn here<N, T>(kept: &std::collections::BTreeMap<String, Kept<N, T>>) -> impl Iterator<Item = (&String, &T)> {
    kept.iter().filter(|(_, it)| !it.archived).map(|(name, it)| (name, &it.is))
}

fn client(it: &LiveClient) -> SiteClient {
    let is_here = |slug: &String| it.groups.get(slug).is_some_and(|group| !group.archived);
    let works_here = |no: &String| it.employees.get(no).is_some_and(|employee| !employee.archived);
    let acs = here(&it.acs).map(|(name, ())| {
        // A token that has a successor is exported as that one.
        let tokens = it.tokens.iter().filter(|token| token.acs == *name && token.heir.is_none());
        SiteAcs { name: name.clone(), tokens: Some(tokens.map(|it| token(&it.terms)).collect()) }
    });
    let operators = here(&it.operators).map(|(name, role)| SiteOperator { name: name.clone(), role: *role });
    let groups = here(&it.groups).map(|(slug, group)| SiteGroup {
        slug: slug.clone(),
        name: Some(group.name.clone()),
        includes: Some(group.includes.iter().cloned().collect()),
        members: None,
    });
    let employees = here(&it.employees).map(|(no, employee)| SiteEmployee {
        personnel_no: no.clone(),
        full_name: Some(employee.full_name.clone()),
        email: employee.email.clone(),
        phone: employee.phone.clone(),
        locale: employee.locale.clone(),
        timezone: employee.timezone.clone(),
        groups: Some(employee.groups.iter().cloned().collect()),
        blocked: employee.blocked.then_some(true),
        person: None,
    });
    let topics = here(&it.topics).map(|(slug, topic)| {
        let recipients = topic.recipients.clone().map(|mut to| {
            to.groups.retain(is_here);
            to.employees.retain(works_here);
            Change::from(Some(to).filter(|to| !to.is_empty()))
        });
        SiteTopic {
            slug: slug.clone(),
            name: Some(topic.name.clone()),
            priority: topic.priority.map_or(Change::Stay, Change::Set),
            recipients: recipients.unwrap_or_default(),
            grants: Some(topic.grants.iter().map(|(grantee, (_, terms))| grant(grantee, terms)).collect()),
        }
    });
    SiteClient {
        name: Some(it.settings.name.clone()),
        timezone: Some(it.settings.timezone.clone()),
        payload: Some(it.settings.payload),
        notification: Some(it.settings.notification),
        webpush: Some(it.settings.webpush),
        default_ttl: Some(it.settings.default_ttl),
        retention_days: Some(it.settings.retention_days.unwrap_or_default()),
        acs: Some(acs.collect()),
        operators: Some(operators.collect()),
        groups: Some(groups.collect()),
        employees: Some(employees.collect()),
        topics: Some(topics.collect()),
    }
}

fn token(terms: &TokenTerms) -> AcsToken {
    let name = terms.name.clone().unwrap_or_default();
    let texts = |texts: Vec<String>| (!texts.is_empty()).then_some(texts);
    let limits = &terms.limits;
    let limited = LimitedToken {
        personal: (terms.personal != limits.topics.is_empty()).then_some(terms.personal),
        scopes: texts(limits.scopes.iter().map(ToString::to_string).collect()),
        topics: texts(limits.topics.clone()),
        networks: texts(limits.networks.iter().map(ToString::to_string).collect()),
        rate_limit: limits.rate_limit,
        rate_limit_as_503: limits.rate_limit_as_503.then_some(true),
        fit: limits.fit.then_some(true),
        expires_at: terms.expires_at.map(|at| time::from_us(at).to_string()),
        ..LimitedToken::default()
    };
    if limited == LimitedToken::default() {
        AcsToken::Name(name)
    } else {
        AcsToken::Limited(LimitedToken { name, ..limited })
    }
}

fn grant(grantee: &Grantee, terms: &GrantTerms) -> SiteGrant {
    let mut grant = SiteGrant {
        from: terms.starts_at.map(|at| time::from_us(at).to_string()),
        until: terms.ends_at.map(|at| time::from_us(at).to_string()),
        hours: terms.hours.as_ref().map(ToString::to_string),
        ..SiteGrant::default()
    };
    match grantee {
        Grantee::Everyone => grant.everyone = true,
        Grantee::Group(slug) => grant.group = Some(slug.clone()),
        Grantee::Employee(no) => grant.employee = Some(no.clone()),
    }
    grant
}
