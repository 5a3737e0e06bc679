//! Reads the stored state for a site.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    iter,
};

use simo_common::{
    api::{
        access::{Grantee, Payload, WebPush},
        site::Site,
    },
    message::Priority,
    people::Role,
};

use super::live::{Employee, Group, Kept, Live, LiveClient, LiveToken, Names, Settings, Topic};
use crate::store::{
    AcsNo, ClientNo, EmployeeNo, GrantTerms, GroupNo, Result, SERVER, TokenLimits, TokenNo, TokenTerms,
    Write,
    db::engine::{Column, Conn, Kind::Text, Row, query, query_as, query_scalar},
};

/// The name of the chain outside any client, which is no slug.
const SERVER_CHAIN: &str = "";

/// The part of the stored state that concerns a site.
#[derive(Debug, Clone)]
pub(super) struct LoadScope {
    /// Clients by slug, some of which may not exist; `None`: all.
    clients: Option<BTreeSet<String>>,
    pub(super) owners: bool,
}

impl LoadScope {
    /// The scope of a site.
    pub(super) fn of(site: &Site, all_clients: bool) -> Self {
        Self {
            clients: (!all_clients).then(|| site.clients.keys().cloned().collect()),
            owners: site.owners.is_some(),
        }
    }

    pub(super) fn client(slug: &str) -> Self {
        Self { clients: Some(BTreeSet::from([slug.to_owned()])), owners: false }
    }

    pub(super) fn everything() -> Self {
        Self { clients: None, owners: true }
    }
}

/// How often each chain that concerns a site was changed; `None` for a client that does not exist.
pub(super) async fn revisions(conn: &mut Conn, scope: &LoadScope) -> Result<BTreeMap<String, Option<i64>>> {
    let known: Vec<(String, i64)> = query_as(
        "select c.slug, coalesce((select h.revision from audit_head h where h.client_no = c.no), 0) from client c",
    )
    .fetch_all(conn)
    .await?;
    let mut revisions: BTreeMap<String, Option<i64>> = match &scope.clients {
        Some(slugs) => slugs.iter().map(|slug| (slug.clone(), None)).collect(),
        None => BTreeMap::new(),
    };
    for (slug, revision) in known {
        if scope.clients.as_ref().is_none_or(|slugs| slugs.contains(&slug)) {
            revisions.insert(slug, Some(revision));
        }
    }
    if scope.owners {
        let revision: Option<i64> = query_scalar("select revision from audit_head where client_no = $1")
            .bind(SERVER)
            .fetch_optional(conn)
            .await?;
        revisions.insert(SERVER_CHAIN.to_owned(), Some(revision.unwrap_or_default()));
    }
    Ok(revisions)
}

/// Locks the ends of the chains in `scope` until our transaction ends.
pub(super) async fn lock_chains(tx: &mut Write, scope: &LoadScope) -> Result<()> {
    let lock = tx.locked("audit_head");
    query(format!(
        "select client_no from audit_head where ($1 and client_no <> $2)
             or client_no in (select c.no from {{rows}} cross join client c where c.slug = {{slug}})
             or ($3 and client_no = $2)
         order by client_no{lock}"
    ))
    .bind(scope.clients.is_none())
    .bind(SERVER)
    .bind(scope.owners)
    .each(("slug", Text), scope.clients.iter().flatten())
    .fetch_all(tx)
    .await?;
    Ok(())
}

/// The stored state within `scope`, on a snapshot. References into or out of the archive are left out.
pub(super) async fn live(conn: &mut Conn, scope: &LoadScope, now: i64) -> Result<Live> {
    let mut live = Live { now, revisions: revisions(conn, scope).await?, ..Live::default() };
    for row in query("select * from client order by slug").fetch_all(conn).await? {
        let slug: String = row.try_get("slug")?;
        if live.revisions.contains_key(&slug) {
            let client = client(conn, &row, now).await?;
            live.clients.insert(slug, client);
        }
    }
    for row in query("select no, client_no, name, role, archived_at from operator").fetch_all(conn).await? {
        let name: String = row.try_get("name")?;
        let client_no: Option<ClientNo> = row.try_get("client_no")?;
        match client_no {
            None => drop(live.owners.insert(name.clone(), kept(&row, ())?)),
            Some(client_no) => {
                let role: String = row.try_get("role")?;
                let operator = kept(&row, role.parse().unwrap_or(Role::Viewer))?;
                if let Some(client) = live.clients.values_mut().find(|client| client.client_no == client_no) {
                    let archived = operator.archived || client.archived;
                    let operator = Kept { archived, ..operator };
                    client.operators.insert(name.clone(), operator);
                }
            }
        }
        live.operators.insert(name);
    }
    Ok(live)
}

fn kept<N: Column, T>(row: &Row, is: T) -> Result<Kept<N, T>> {
    Ok(Kept { no: row.try_get("no")?, archived: is_archived(row)?, is })
}

fn is_archived(row: &Row) -> Result<bool> {
    Ok(row.try_get::<Option<i64>, _>("archived_at")?.is_some())
}

async fn client(conn: &mut Conn, row: &Row, now: i64) -> Result<LiveClient> {
    let (payload, webpush): (String, String) = (row.try_get("payload")?, row.try_get("webpush")?);
    let mut client = LiveClient {
        client_no: row.try_get("no")?,
        archived: is_archived(row)?,
        settings: Settings {
            name: row.try_get("name")?,
            timezone: row.try_get("timezone")?,
            payload: Payload::from_name(&payload),
            notification: row.try_get("notification")?,
            webpush: WebPush::from_name(&webpush),
            default_ttl: row.try_get("default_ttl")?,
            retention_days: row.try_get("retention_days")?,
        },
        acs: BTreeMap::new(),
        tokens: Vec::new(),
        ended: Vec::new(),
        operators: BTreeMap::new(),
        groups: BTreeMap::new(),
        employees: BTreeMap::new(),
        topics: BTreeMap::new(),
    };
    acs(conn, &mut client, now).await?;
    if client.archived {
        // None is valid, nor will be when the client is restored.
        client.tokens.clear();
        client.ended.clear();
    }
    let groups = groups(conn, &mut client).await?;
    let employees = employees(conn, &mut client, &groups).await?;
    topics(conn, &mut client, &groups, &employees).await?;
    Ok(client)
}

async fn acs(conn: &mut Conn, client: &mut LiveClient, now: i64) -> Result<()> {
    let mut names: Names<AcsNo> = Names::new();
    let rows = query("select no, name, archived_at from acs where client_no = $1")
        .bind(client.client_no)
        .fetch_all(conn)
        .await?;
    for row in rows {
        let (acs, name) = (kept(&row, ())?, row.try_get::<String, _>("name")?);
        names.insert(acs.no, name.clone());
        client.acs.insert(name, acs);
    }
    let rows = query(
        "select t.*, s.no as successor_no from token t left join token s on s.id = t.successor_id
         where t.client_no = $1 and t.kind = 'acs' and (t.revoked_at is null or t.successor_id is not null)
         order by t.name, t.id",
    )
    .bind(client.client_no)
    .fetch_all(conn)
    .await?;
    let mut successors: HashMap<TokenNo, TokenNo> = HashMap::new();
    for row in rows {
        let token_no: TokenNo = row.try_get("no")?;
        if let Some(successor) = row.try_get("successor_no")? {
            successors.insert(token_no, successor);
        }
        let is_revoked = row.try_get::<Option<i64>, _>("revoked_at")?.is_some();
        let Some(acs) = names.get(&row.try_get("holder_no")?).filter(|_| !is_revoked) else {
            continue;
        };
        let token = LiveToken {
            token_no,
            acs: acs.clone(),
            terms: TokenTerms {
                name: row.try_get("name")?,
                expires_at: row.try_get("expires_at")?,
                personal: row.try_get("personal")?,
                limits: TokenLimits::read(&row)?,
            },
            heir: None,
        };
        if token.terms.expires_at.is_some_and(|end| end <= now) {
            client.ended.push(token);
        } else {
            client.tokens.push(token);
        }
    }
    let works: HashSet<TokenNo> = client.tokens.iter().map(|token| token.token_no).collect();
    for token in client.tokens.iter_mut().chain(&mut client.ended) {
        let line = iter::successors(successors.get(&token.token_no), |token_no| successors.get(token_no));
        token.heir = line.copied().filter(|token_no| works.contains(token_no)).last();
    }
    client.ended.retain(|token| token.heir.is_none());
    Ok(())
}

async fn groups(conn: &mut Conn, client: &mut LiveClient) -> Result<Names<GroupNo>> {
    let mut names = Names::new();
    let rows = query("select no, slug, name, archived_at from \"group\" where client_no = $1")
        .bind(client.client_no)
        .fetch_all(conn)
        .await?;
    for row in rows {
        let group = Group { name: row.try_get("name")?, ..Group::default() };
        let (group, slug) = (kept(&row, group)?, row.try_get::<String, _>("slug")?);
        names.insert(group.no, slug.clone());
        client.groups.insert(slug, group);
    }
    let inclusions: Vec<(GroupNo, GroupNo)> =
        query_as("select group_no, included_no from group_inclusion where client_no = $1")
            .bind(client.client_no)
            .fetch_all(conn)
            .await?;
    for (outer, inner) in inclusions {
        if let (Some(outer), Some(inner)) = (names.get(&outer), names.get(&inner))
            && client.groups.get(inner).is_some_and(|group| !group.archived)
            && let Some(group) = client.groups.get_mut(outer).filter(|group| !group.archived)
        {
            group.is.includes.insert(inner.clone());
        }
    }
    Ok(names)
}

async fn employees(
    conn: &mut Conn,
    client: &mut LiveClient,
    groups: &Names<GroupNo>,
) -> Result<Names<EmployeeNo>> {
    let mut numbers = Names::new();
    let rows = query(
        "select no, personnel_no, full_name, email, phone, locale, timezone, blocked_at, archived_at
         from employee where client_no = $1",
    )
    .bind(client.client_no)
    .fetch_all(conn)
    .await?;
    for row in rows {
        let employee = Employee {
            full_name: row.try_get("full_name")?,
            email: row.try_get("email")?,
            phone: row.try_get("phone")?,
            locale: row.try_get("locale")?,
            timezone: row.try_get("timezone")?,
            groups: BTreeSet::new(),
            blocked: row.try_get::<Option<i64>, _>("blocked_at")?.is_some(),
        };
        let (employee, no) = (kept(&row, employee)?, row.try_get::<String, _>("personnel_no")?);
        numbers.insert(employee.no, no.clone());
        client.employees.insert(no, employee);
    }
    let members: Vec<(EmployeeNo, GroupNo)> =
        query_as("select employee_no, group_no from group_member where client_no = $1")
            .bind(client.client_no)
            .fetch_all(conn)
            .await?;
    for (employee, group) in members {
        if let (Some(no), Some(slug)) = (numbers.get(&employee), groups.get(&group))
            && client.groups.get(slug).is_some_and(|group| !group.archived)
            && let Some(employee) = client.employees.get_mut(no)
        {
            employee.is.groups.insert(slug.clone());
        }
    }
    Ok(numbers)
}

async fn topics(
    conn: &mut Conn,
    client: &mut LiveClient,
    groups: &Names<GroupNo>,
    employees: &Names<EmployeeNo>,
) -> Result<()> {
    let mut names = Names::new();
    let rows =
        query("select no, slug, name, priority, recipients, archived_at from topic where client_no = $1")
            .bind(client.client_no)
            .fetch_all(conn)
            .await?;
    for row in rows {
        let topic = Topic {
            name: row.try_get("name")?,
            priority: row.try_get::<Option<i64>, _>("priority")?.map(Priority::from_rank),
            recipients: row.json("recipients")?,
            grants: BTreeMap::new(),
        };
        let (topic, slug) = (kept(&row, topic)?, row.try_get::<String, _>("slug")?);
        names.insert(topic.no, slug.clone());
        client.topics.insert(slug, topic);
    }
    let grants = query("select * from topic_grant where client_no = $1")
        .bind(client.client_no)
        .fetch_all(conn)
        .await?;
    for row in grants {
        let (employee, group): (Option<EmployeeNo>, Option<GroupNo>) =
            (row.try_get("employee_no")?, row.try_get("group_no")?);
        let grantee = match (employee, group) {
            (Some(no), _) => employees.get(&no).cloned().map(Grantee::Employee),
            (None, Some(no)) => groups.get(&no).cloned().map(Grantee::Group),
            (None, None) => Some(Grantee::Everyone),
        };
        let is_here = match &grantee {
            Some(Grantee::Group(slug)) => client.groups.get(slug).is_some_and(|group| !group.archived),
            Some(Grantee::Employee(no)) => {
                client.employees.get(no).is_some_and(|employee| !employee.archived)
            }
            _ => true,
        };
        let topic = names.get(&row.try_get("topic_no")?);
        if let (Some(grantee), Some(topic)) = (grantee.filter(|_| is_here), topic)
            && let Some(topic) = client.topics.get_mut(topic).filter(|topic| !topic.archived)
        {
            let grant = (row.try_get("no")?, GrantTerms::read(&row)?);
            topic.is.grants.insert(grantee, grant);
        }
    }
    Ok(())
}
