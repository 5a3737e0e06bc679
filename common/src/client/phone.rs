//! The endpoints of a phone's side.

use futures_util::{Stream, StreamExt as _};
use http::Method;
use serde::de::IgnoredAny;
use uuid::Uuid;

use super::{Client, ListQuery, Result};
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

    /// Everything without a receipt, then live.
    pub async fn own_stream(
        &self,
    ) -> Result<impl Stream<Item = Result<DeviceMessage>> + Send + Unpin + use<>> {
        Ok(self.events("/device/stream", &[], None).await?.map(|event| event?.parsed()))
    }
}
