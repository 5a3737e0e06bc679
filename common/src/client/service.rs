//! The endpoints of the service itself.

use http::Method;

use super::{Client, Error, Result};
use crate::api::{
    clock::ClockState,
    service::{Health, Readiness, WhoAmI},
};

#[allow(missing_docs, reason = "each is named as its endpoint, which the OpenAPI document describes")]
impl Client {
    pub async fn whoami(&self) -> Result<WhoAmI> {
        self.get("/whoami", &[]).await
    }

    pub async fn health(&self) -> Result<Health> {
        self.get("/health", &[]).await
    }

    pub async fn clock(&self) -> Result<ClockState> {
        self.get("/clock", &[]).await
    }

    pub async fn accept_clock(&self) -> Result<ClockState> {
        self.call(Method::POST, "/clock/accept").await
    }

    /// `/readyz`, outside the versioned API; a 503 is an answer, not an error.
    pub async fn readiness(&self) -> Result<Readiness> {
        let url = format!("{}/readyz", self.base.trim_end_matches(crate::api::PREFIX));
        let lang = self.lang.code();
        let answer = self
            .http
            .get(url)
            .header(http::header::ACCEPT_LANGUAGE, lang)
            .send()
            .await
            .map_err(|e| Error::Unreachable(super::chain(&e)))?;
        answer.json().await.map_err(|e| Error::Unreachable(super::chain(&e)))
    }
}
