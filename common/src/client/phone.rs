//! The endpoints of a phone's side.

use std::future::ready;

use futures_util::{Stream, StreamExt as _};
use http::Method;
use serde::de::IgnoredAny;
use uuid::Uuid;

use super::{Client, Error, ListQuery, Result};
use crate::{
    api::device::{ChannelAddress, DeviceMessage, Pair, Paired, Receipt, ReceiptsAnswer},
    page::Page,
};

#[allow(missing_docs, reason = "each is named as its endpoint, which the OpenAPI document describes")]
impl Client {
    pub async fn pair(&self, pair: &Pair) -> Result<Paired> {
        self.with_body(Method::POST, "/device/pair", pair).await
    }

    pub async fn change_channel(&self, channel: &ChannelAddress) -> Result<()> {
        self.send::<IgnoredAny>(self.request(Method::PUT, "/device/channel").json(channel)).await.map(|_| ())
    }

    pub async fn leave(&self) -> Result<()> {
        self.nothing(Method::DELETE, "/device").await
    }

    pub async fn own_messages(&self, list: &ListQuery) -> Result<Page<DeviceMessage>> {
        self.get("/device/messages", &list.pairs()).await
    }

    pub async fn own_message(&self, id: Uuid) -> Result<DeviceMessage> {
        self.get(&format!("/device/messages/{id}"), &[]).await
    }

    pub async fn send_receipts(&self, receipts: &[Receipt]) -> Result<ReceiptsAnswer> {
        self.with_body(Method::POST, "/device/receipts", receipts).await
    }

    /// Everything without a receipt, then live; [`Error::Replaced`] when another connection took the place of this one.
    pub async fn own_stream(
        &self,
    ) -> Result<impl Stream<Item = Result<DeviceMessage>> + Send + Unpin + use<>> {
        let events = self.events("/device/stream", &[], None).await?;
        Ok(events.filter_map(|event| {
            ready(match event {
                Ok(event) if event.event == "message" => Some(event.parsed()),
                Ok(event) if event.event == "replaced" => Some(Err(Error::Replaced)),
                // A newer server may have more of them.
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            })
        }))
    }
}
