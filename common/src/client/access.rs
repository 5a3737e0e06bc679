//! The endpoints of clients, ACS, operators and tokens.

use http::Method;
use uuid::Uuid;

use super::{Client, ListQuery, Result, part};
use crate::{
    api::access::{
        Acs, Client as ClientView, ClientSpec, EditAcs, IssuedToken, MadeClient, Named, NewOperator,
        NewToken, Operator, Token,
    },
    page::Page,
};

#[allow(missing_docs, reason = "each is named as its endpoint, which the OpenAPI document describes")]
impl Client {
    pub async fn clients(&self, list: &ListQuery) -> Result<Page<ClientView>> {
        self.get("/clients", &list.pairs()).await
    }

    pub async fn add_client(&self, spec: &ClientSpec) -> Result<MadeClient> {
        self.with_body(Method::POST, "/clients", spec).await
    }

    pub async fn client(&self, slug: &str) -> Result<ClientView> {
        self.get(&format!("/clients/{}", part(slug)), &[]).await
    }

    pub async fn edit_client(&self, slug: &str, spec: &ClientSpec) -> Result<ClientView> {
        self.with_body(Method::PATCH, &format!("/clients/{}", part(slug)), spec).await
    }

    pub async fn remove_client(&self, slug: &str) -> Result<()> {
        self.nothing(Method::DELETE, &format!("/clients/{}", part(slug))).await
    }

    pub async fn acs_list(&self, list: &ListQuery) -> Result<Page<Acs>> {
        self.get("/acs", &list.pairs()).await
    }

    pub async fn add_acs(&self, acs: &Named) -> Result<Acs> {
        self.with_body(Method::POST, "/acs", acs).await
    }

    pub async fn acs(&self, name: &str) -> Result<Acs> {
        self.get(&format!("/acs/{}", part(name)), &[]).await
    }

    pub async fn edit_acs(&self, name: &str, edit: &EditAcs) -> Result<Acs> {
        self.with_body(Method::PATCH, &format!("/acs/{}", part(name)), edit).await
    }

    pub async fn remove_acs(&self, name: &str) -> Result<()> {
        self.nothing(Method::DELETE, &format!("/acs/{}", part(name))).await
    }

    pub async fn operators(&self, list: &ListQuery) -> Result<Page<Operator>> {
        self.get("/operators", &list.pairs()).await
    }

    pub async fn add_operator(&self, operator: &NewOperator) -> Result<Operator> {
        self.with_body(Method::POST, "/operators", operator).await
    }

    pub async fn operator(&self, name: &str) -> Result<Operator> {
        self.get(&format!("/operators/{}", part(name)), &[]).await
    }

    pub async fn edit_operator(&self, name: &str, operator: &NewOperator) -> Result<Operator> {
        self.with_body(Method::PATCH, &format!("/operators/{}", part(name)), operator).await
    }

    pub async fn remove_operator(&self, name: &str) -> Result<()> {
        self.nothing(Method::DELETE, &format!("/operators/{}", part(name))).await
    }

    pub async fn tokens(&self, list: &ListQuery) -> Result<Page<Token>> {
        self.get("/tokens", &list.pairs()).await
    }

    pub async fn issue_token(&self, token: &NewToken) -> Result<IssuedToken> {
        self.with_body(Method::POST, "/tokens", token).await
    }

    pub async fn token(&self, id: Uuid) -> Result<Token> {
        self.get(&format!("/tokens/{id}"), &[]).await
    }

    /// Issues a successor. The old token works for `grace` more seconds, or is revoked at once without `grace`.
    pub async fn rotate_token(&self, id: Uuid, grace: Option<i64>) -> Result<IssuedToken> {
        let grace = grace.map(|seconds| ("grace", seconds.to_string()));
        let request = self.request(Method::POST, &format!("/tokens/{id}/rotate"));
        self.send(request.query(grace.as_slice())).await
    }

    pub async fn revoke_token(&self, id: Uuid) -> Result<()> {
        self.nothing(Method::DELETE, &format!("/tokens/{id}")).await
    }
}
