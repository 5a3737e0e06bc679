//! Writes a plan, in one or two statements per table.

mod rows;
mod statements;

use simo_common::api::site::{AppliedSite, SiteAction, SiteChange, SiteKind, SiteToken};

use self::{
    rows::{Client, NO, OPERATOR},
    statements::{archive_operators, put_operators},
};
use super::{
    Left,
    plan::{ClientPlan, Plan},
};
use crate::store::{
    Result, SERVER, Write,
    audit::AuditChange,
    db::engine::RowSet,
    directory::{ends::sweep, succession::free_numbers},
    queue::duty::{self, Duty},
};

/// A plan with the parameters of its statements.
pub(super) struct Prepared {
    owners: RowSet,
    owners_gone: RowSet,
    clients: Vec<Client>,
    changes: Vec<SiteChange>,
    tokens: Vec<SiteToken>,
}

impl Prepared {
    pub(super) fn new(plan: Plan, now: i64) -> Self {
        let owners = plan.owners.iter().map(|name| [name.into(), "owner".into()]);
        let mut tokens = Vec::new();
        let clients = plan.clients.into_iter();
        Self {
            owners: RowSet::new(OPERATOR, owners),
            owners_gone: RowSet::of(NO, &plan.owners_gone),
            clients: clients.map(|plan| Client::new(plan, &mut tokens, now)).collect(),
            changes: plan.changes,
            tokens,
        }
    }

    /// Writes everything; returns the people who are blocked, unblocked or archived by it.
    pub(super) async fn write(&mut self, tx: &mut Write, now: i64) -> Result<Vec<Left>> {
        put_operators(tx, None, &self.owners, now).await?;
        archive_operators(tx, None, &self.owners_gone, now).await?;
        for client in &mut self.clients {
            client.put(tx, now).await?;
        }
        let mut left = Vec::new();
        for client in &self.clients {
            sweep(tx, client.no, now).await?;
            client.put_parties(tx, now).await?;
            client.put_groups(tx, now).await?;
            let numbers: Vec<&str> = client.plan.succeeded.iter().map(String::as_str).collect();
            let mut gone = free_numbers(tx, client.no, &numbers, now).await?;
            gone.extend(&client.plan.people_gone);
            client.put_people(tx, now).await?;
            client.put_topics(tx, now).await?;
            sweep(tx, client.no, now).await?;
            let ClientPlan { people_blocked: blocked, people_unblocked: unblocked, .. } = &client.plan;
            let out = blocked.iter().chain(&gone).map(|no| Duty::Deny(*no));
            let duties = out.chain(unblocked.iter().map(|no| Duty::GiveBack(*no)));
            duty::begin(tx, client.no, duties, now).await?;
            left.push(Left {
                client_no: client.no,
                blocked: blocked.clone(),
                unblocked: unblocked.clone(),
                gone,
            });
        }
        Ok(left)
    }

    /// Records the changes in the audit, and returns the result.
    pub(super) fn record(self, tx: &mut Write) -> AppliedSite {
        for change in &self.changes {
            let chain = change.client.as_ref().and_then(|slug| {
                let client = self.clients.iter().find(|client| client.plan.slug == *slug);
                client.map(|client| client.no)
            });
            tx.record(chain.unwrap_or(SERVER), audited(change));
        }
        AppliedSite { changes: self.changes, tokens: self.tokens }
    }
}

fn audited(change: &SiteChange) -> AuditChange {
    let action = match (change.kind, change.action) {
        (SiteKind::Client, SiteAction::Create) => "client.add",
        (SiteKind::Client, SiteAction::Restore) => "client.restore",
        (SiteKind::Client, SiteAction::Archive) => "client.remove",
        (SiteKind::Client, _) => "client.edit",
        (SiteKind::Operator, SiteAction::Create | SiteAction::Restore) => "operator.add",
        (SiteKind::Operator, SiteAction::Archive) => "operator.remove",
        (SiteKind::Operator, _) => "operator.edit",
        (SiteKind::Acs, SiteAction::Archive) => "acs.remove",
        (SiteKind::Acs, _) => "acs.add",
        (SiteKind::Token, SiteAction::Revoke) => "token.revoke",
        (SiteKind::Token, _) => "token.issue",
        (SiteKind::Group, SiteAction::Create | SiteAction::Restore) => "group.add",
        (SiteKind::Group, SiteAction::Archive) => "group.remove",
        (SiteKind::Group, _) => "group.edit",
        (SiteKind::Employee, SiteAction::Archive) => "employee.remove",
        (SiteKind::Employee, SiteAction::Change) => "employee.edit",
        (SiteKind::Employee, _) => "employee.add",
        (SiteKind::Topic, SiteAction::Create | SiteAction::Restore) => "topic.add",
        (SiteKind::Topic, SiteAction::Archive) => "topic.remove",
        (SiteKind::Topic, _) => "topic.edit",
        (SiteKind::Grant, SiteAction::Revoke) => "topic.revoke",
        (SiteKind::Grant, _) => "topic.grant",
    };
    let told = AuditChange::new(action, &*change.name).before(&change.before).after(&change.after);
    let employee = match change.kind {
        SiteKind::Employee => Some(&*change.name),
        SiteKind::Grant => change.name.split_once("/employee:").map(|(_, no)| no),
        _ => None,
    };
    match employee {
        // A predecessor's fields are about them.
        Some(no) if change.action == SiteAction::Succeed => {
            AuditChange::new(action, &*change.name).after(&change.after).about(no)
        }
        Some(no) => told.about(no),
        None => told,
    }
}
