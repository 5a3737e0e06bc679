//! The audit's endpoints.

use http::Method;

use super::{Client, ListQuery, Result};
use crate::{
    api::audit::{AuditEntry, AuditHead, EraseAudit, ErasedAudit, RefusedAttempts},
    page::Page,
};

/// Filters for the audit's entries; all are optional.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// The server's own entries, not a client's.
    pub server: bool,
    /// About this employee.
    pub employee: Option<String>,
    /// With this action, or about this noun.
    pub action: Option<String>,
    /// At this time or later.
    pub after: Option<String>,
    /// Before this time.
    pub before: Option<String>,
    /// Starting with the first entry.
    pub oldest_first: bool,
}

impl AuditQuery {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let texts = [
            ("employee", &self.employee),
            ("action", &self.action),
            ("after", &self.after),
            ("before", &self.before),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.clone()?)));
        let flags = [("server", self.server), ("oldest_first", self.oldest_first)];
        let flags = flags.into_iter().filter(|(_, set)| *set);
        texts.chain(flags.map(|(name, _)| (name, "true".to_owned()))).collect()
    }
}

#[allow(missing_docs, reason = "each is named as its endpoint, which the OpenAPI document describes")]
impl Client {
    pub async fn audit(&self, list: &ListQuery, wanted: &AuditQuery) -> Result<Page<AuditEntry>> {
        let mut pairs = list.pairs();
        pairs.extend(wanted.pairs());
        self.get("/audit", &pairs).await
    }

    pub async fn audit_head(&self, server: bool) -> Result<AuditHead> {
        let pairs = server.then(|| ("server", "true".to_owned()));
        self.get("/audit/head", pairs.as_slice()).await
    }

    pub async fn refused_attempts(
        &self,
        list: &ListQuery,
        acs: Option<&str>,
    ) -> Result<Page<RefusedAttempts>> {
        let mut pairs = list.pairs();
        pairs.extend(acs.map(|acs| ("acs", acs.to_owned())));
        self.get("/audit/refused", &pairs).await
    }

    pub async fn erase_audit(&self, whose: &EraseAudit) -> Result<ErasedAudit> {
        self.with_body(Method::POST, "/audit/erase", whose).await
    }
}
