//! The endpoints of messages and of history.

use futures_util::{Stream, StreamExt as _};
use http::Method;
use uuid::Uuid;

use super::{Client, ListQuery, Result};
use crate::{
    api::{
        event::Event,
        history::{Delivery, Explanation, Sort},
        message::{BatchAnswer, Canceled, Message, PostMessage, PostedMessage},
    },
    page::Page,
};

#[allow(missing_docs, reason = "each is named as its endpoint, which the OpenAPI document describes")]
impl Client {
    pub async fn post_message(&self, message: &PostMessage, dry_run: bool) -> Result<PostedMessage> {
        let mut request = self.request(Method::POST, "/messages");
        if dry_run {
            request = request.query(&[("dry_run", "true")]);
        }
        self.send(request.json(message)).await
    }

    pub async fn post_batch(&self, messages: &[PostMessage]) -> Result<BatchAnswer> {
        self.with_body(Method::POST, "/messages/batch", messages).await
    }

    pub async fn messages(&self, list: &ListQuery) -> Result<Page<Message>> {
        self.get("/messages", &list.pairs()).await
    }

    pub async fn scheduled_messages(&self, list: &ListQuery) -> Result<Page<Message>> {
        let mut pairs = list.pairs();
        pairs.push(("scheduled", "true".to_owned()));
        self.get("/messages", &pairs).await
    }

    pub async fn message_by_external_id(&self, external_id: &str) -> Result<Page<Message>> {
        self.get("/messages", &[("external_id", external_id.to_owned())]).await
    }

    pub async fn message(&self, id: Uuid) -> Result<Message> {
        self.get(&format!("/messages/{id}"), &[]).await
    }

    pub async fn message_deliveries(&self, id: Uuid, list: &ListQuery) -> Result<Page<Delivery>> {
        self.get(&format!("/messages/{id}/deliveries"), &list.pairs()).await
    }

    pub async fn cancel_message(&self, id: Uuid) -> Result<Canceled> {
        self.call(Method::POST, &format!("/messages/{id}/cancel")).await
    }

    pub async fn explain(&self, id: Uuid, personnel_no: &str) -> Result<Explanation> {
        self.get(&format!("/messages/{id}/explain"), &[("employee", personnel_no.to_owned())]).await
    }

    pub async fn deliveries(&self, list: &ListQuery, sort: Sort) -> Result<Page<Delivery>> {
        let mut pairs = list.pairs();
        pairs.push(("sort", sort.to_string()));
        self.get("/deliveries", &pairs).await
    }

    /// The live feed; each event comes with the id that resumes after it.
    pub async fn follow_events(
        &self,
        last_id: Option<&str>,
    ) -> Result<impl Stream<Item = Result<(String, Event)>> + Send + Unpin + use<>> {
        Ok(self.events("/events", &[], last_id).await?.map(|event| {
            let event = event?;
            Ok((event.id.clone().unwrap_or_default(), event.parsed()?))
        }))
    }
}
