//! The endpoints of topics and their grants.

use http::Method;
use uuid::Uuid;

use super::{Client, ListQuery, Result, part};
use crate::{
    api::access::{EditTopic, Grant, HeldGrant, NewGrant, NewTopic, Receiver, Topic},
    page::Page,
};

#[allow(missing_docs, reason = "each is named as its endpoint, which the OpenAPI document describes")]
impl Client {
    pub async fn topics(&self, list: &ListQuery) -> Result<Page<Topic>> {
        self.get("/topics", &list.pairs()).await
    }

    pub async fn add_topic(&self, topic: &NewTopic) -> Result<Topic> {
        self.with_body(Method::POST, "/topics", topic).await
    }

    pub async fn topic(&self, slug: &str) -> Result<Topic> {
        self.get(&format!("/topics/{}", part(slug)), &[]).await
    }

    pub async fn edit_topic(&self, slug: &str, changes: &EditTopic) -> Result<Topic> {
        self.with_body(Method::PATCH, &format!("/topics/{}", part(slug)), changes).await
    }

    pub async fn remove_topic(&self, slug: &str) -> Result<()> {
        self.nothing(Method::DELETE, &format!("/topics/{}", part(slug))).await
    }

    pub async fn grants(&self, topic: &str) -> Result<Page<Grant>> {
        self.get(&format!("/topics/{}/grants", part(topic)), &[]).await
    }

    pub async fn grant(&self, topic: &str, grant: &NewGrant) -> Result<Grant> {
        self.with_body(Method::POST, &format!("/topics/{}/grants", part(topic)), grant).await
    }

    pub async fn revoke_grant(&self, topic: &str, id: Uuid) -> Result<()> {
        self.nothing(Method::DELETE, &format!("/topics/{}/grants/{id}", part(topic))).await
    }

    pub async fn access_of(&self, personnel_no: &str) -> Result<Page<HeldGrant>> {
        self.get(&format!("/employees/{}/access", part(personnel_no)), &[]).await
    }

    pub async fn who_receives(&self, topic: &str, list: &ListQuery) -> Result<Page<Receiver>> {
        self.get(&format!("/topics/{}/who", part(topic)), &list.pairs()).await
    }
}
