//! The endpoints of declarative provisioning.

use std::time::Duration;

use http::Method;

use super::{Client, Result};
use crate::api::site::{AppliedSite, ApplySite, PlanSite, Site, SitePlan};

/// Timeout of calls with a large site.
const TIME: Duration = Duration::from_mins(10);

#[allow(missing_docs, reason = "each is named as its endpoint, which the OpenAPI document describes")]
impl Client {
    /// Everything that the caller may see, or only the client named.
    pub async fn site(&self) -> Result<Site> {
        self.send_within(TIME, self.request(Method::GET, "/site")).await
    }

    pub async fn plan_site(&self, plan: &PlanSite) -> Result<SitePlan> {
        let request = self.request(Method::POST, "/site/plan").json(plan);
        self.send_within(TIME, request).await
    }

    pub async fn apply_site(&self, apply: &ApplySite) -> Result<AppliedSite> {
        let request = self.request(Method::POST, "/site/apply").json(apply);
        self.send_within(TIME, request).await
    }
}
