//! A site: the wanted state, compared with the stored one, and applied all or nothing.
//!
//! The comparison is made on a reader's snapshot. The writer is held for the rows that change only, in a handful of
//! statements per table, and only if the compared state has not changed meanwhile.

mod export;
mod live;
mod load;
mod plan;
mod write;

use std::sync::Arc;

use simo_common::{
    api::site::{AppliedSite, Site, SitePlan},
    delivery::Reason,
};

pub use self::plan::Reach;
use self::{
    live::Live,
    load::{LoadScope, live, lock_chains, revisions},
    plan::Plan,
    write::Prepared,
};
use crate::store::{
    ClientNo, DeviceNo, EmployeeNo, Error, Races, Result, Store,
    db::engine::{Kind::Whole, query_scalar},
    phones::retire_device::retire,
    queue::duty::Duty,
};

/// Phones that are retired in one transaction, so that the writer is not held for long.
const PHONES_AT_ONCE: i64 = 50;

/// People whom a site blocks, unblocks or archives.
#[derive(Debug, Default)]
struct Left {
    client_no: ClientNo,
    blocked: Vec<EmployeeNo>,
    unblocked: Vec<EmployeeNo>,
    gone: Vec<EmployeeNo>,
}

impl Store {
    /// The changes that a site would make.
    ///
    /// # Errors
    /// [`Error::Invalid`] with all mistakes of the site.
    pub async fn plan_site(&self, site: Arc<Site>, reach: Reach) -> Result<SitePlan> {
        let (plan, live) = self.planned(site, reach).await?;
        Ok(SitePlan { revision: live.revision(), changes: plan.changes })
    }

    /// Applies a site, if its plan was made from the current revision.
    ///
    /// # Errors
    /// [`Error::ChangedMeanwhile`] when something was changed since the plan was made; [`Error::Invalid`] with all
    /// mistakes of the site.
    pub async fn apply_site(&self, site: Arc<Site>, reach: Reach, planned: &str) -> Result<AppliedSite> {
        let mut races = Races::default();
        loop {
            let applied = self.try_apply(&site, reach, planned).await;
            if !races.lost(&applied) {
                return applied;
            }
        }
    }

    async fn try_apply(&self, site: &Arc<Site>, reach: Reach, planned: &str) -> Result<AppliedSite> {
        let (plan, live) = self.planned(site.clone(), reach).await?;
        if live.revision() != planned {
            return Err(Error::ChangedMeanwhile);
        }
        if plan.changes.is_empty() {
            return Ok(AppliedSite::default());
        }
        let now = self.clock.now();
        // Rows and secrets are made before the writer is taken.
        let mut prepared = tokio::task::spawn_blocking(move || Prepared::new(plan, now)).await?;
        let scope = LoadScope::of(site, reach.prune_clients);
        let mut tx = self.write().await?;
        let moved = |revisions| live.has_moved(&revisions);
        if moved(revisions(&mut tx, &scope).await?) {
            return Err(Error::ChangedMeanwhile);
        }
        let left = prepared.write(&mut tx, now).await?;
        // Concurrent changes that have committed are seen now; others come after us, because they wait for the end of
        // the chain.
        lock_chains(&mut tx, &scope).await?;
        if moved(revisions(&mut tx, &scope).await?) {
            return Err(Error::ChangedMeanwhile);
        }
        let applied = prepared.record(&mut tx);
        tx.commit().await?;
        for left in left {
            self.end(left).await?;
        }
        Ok(applied)
    }

    /// Everything, or everything of a client, as a site.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such client.
    pub async fn site(&self, client: Option<&str>) -> Result<Site> {
        let scope = client.map_or_else(LoadScope::everything, LoadScope::client);
        let mut snapshot = self.snapshot().await?;
        let live = live(&mut snapshot, &scope, self.clock.now()).await?;
        drop(snapshot);
        if let Some(slug) = client
            && live.clients.get(slug).is_none_or(|client| client.archived)
        {
            return Err(Error::not_found("client", slug));
        }
        Ok(tokio::task::spawn_blocking(move || export::site(&live, &scope)).await?)
    }

    async fn planned(&self, site: Arc<Site>, reach: Reach) -> Result<(Plan, Live)> {
        let scope = LoadScope::of(&site, reach.prune_clients);
        let mut snapshot = self.snapshot().await?;
        let live = live(&mut snapshot, &scope, self.clock.now()).await?;
        drop(snapshot);
        // Thousands of rows to compare: not on an async thread.
        tokio::task::spawn_blocking(move || {
            let plan = Plan::new(&site, &live, reach).map_err(Error::Invalid)?;
            Ok((plan, live))
        })
        .await?
    }

    /// Denies deliveries and retires phones of people who are now blocked or archived. Claims, streams and tokens check
    /// the employee already, so this may follow in small steps.
    async fn end(&self, left: Left) -> Result<()> {
        let client_no = left.client_no;
        self.deny_to(client_no, &left.blocked).await?;
        for employee_no in left.unblocked {
            self.do_duty(client_no, Duty::GiveBack(employee_no)).await?;
        }
        loop {
            let now = self.clock.now();
            let mut tx = self.write().await?;
            let phones: Vec<DeviceNo> = query_scalar(
                "select d.no from {rows} cross join device d
                 where d.client_no = $1 and d.employee_no = {employee} and d.retired_at is null limit $2",
            )
            .bind(client_no)
            .bind(PHONES_AT_ONCE)
            .each(("employee", Whole), &left.gone)
            .fetch_all(&mut tx)
            .await?;
            for phone in &phones {
                retire(&mut tx, client_no, *phone, Reason::DeviceGone, now).await?;
            }
            tx.commit().await?;
            if phones.is_empty() {
                break;
            }
        }
        self.deny_to(client_no, &left.gone).await
    }
}
