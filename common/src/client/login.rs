//! The endpoints of logins and sessions.

use http::Method;
use uuid::Uuid;

use super::{Client, ListQuery, Result, part};
use crate::{
    api::{
        access::IssuedToken,
        login::{EndedSessions, LogIn, LoginCode, NewLoginCode, Session},
    },
    page::Page,
};

#[allow(missing_docs, reason = "each is named as its endpoint, which the OpenAPI document describes")]
impl Client {
    pub async fn log_in(&self, login: &LogIn) -> Result<IssuedToken> {
        self.with_body(Method::POST, "/login", login).await
    }

    pub async fn login_code(&self, operator: &str, new: &NewLoginCode) -> Result<LoginCode> {
        self.with_body(Method::POST, &format!("/operators/{}/code", part(operator)), new).await
    }

    /// The caller's own sessions.
    pub async fn sessions(&self, list: &ListQuery) -> Result<Page<Session>> {
        self.get("/sessions", &list.pairs()).await
    }

    /// Ends one of the caller's own sessions.
    pub async fn end_session(&self, id: Uuid) -> Result<()> {
        self.nothing(Method::DELETE, &format!("/sessions/{id}")).await
    }

    /// Ends the calling session.
    pub async fn log_out(&self) -> Result<()> {
        self.nothing(Method::DELETE, "/sessions/current").await
    }

    /// Ends all of the caller's own sessions except the calling one.
    pub async fn end_other_sessions(&self) -> Result<EndedSessions> {
        self.call(Method::DELETE, "/sessions").await
    }

    pub async fn sessions_of(&self, operator: &str, list: &ListQuery) -> Result<Page<Session>> {
        self.get(&format!("/operators/{}/sessions", part(operator)), &list.pairs()).await
    }

    pub async fn end_session_of(&self, operator: &str, id: Uuid) -> Result<()> {
        let path = format!("/operators/{}/sessions/{id}", part(operator));
        self.nothing(Method::DELETE, &path).await
    }

    pub async fn end_sessions_of(&self, operator: &str) -> Result<EndedSessions> {
        self.call(Method::DELETE, &format!("/operators/{}/sessions", part(operator))).await
    }
}
