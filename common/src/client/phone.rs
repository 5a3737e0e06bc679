//! The endpoints that a phone calls.

use std::future::ready;

use futures_util::{Stream, StreamExt as _};
use http::Method;
use serde::de::IgnoredAny;
use uuid::Uuid;

use super::{Client, Error, ListQuery, Result};
use crate::{
    api::device::{
        ChannelAddress, DeviceMessage, OwnDevice, Pair, Paired, PersonsDevices, Preview, Previewed, Receipt,
        ReceiptsAnswer, Trial,
    },
    page::Page,
};

#[allow(missing_docs, reason = "each is named as its endpoint, which the OpenAPI document describes")]
impl Client {
    pub async fn preview_pairing(&self, code: &str) -> Result<Previewed> {
        self.with_body(Method::POST, "/device/pair/preview", &Preview { code: code.to_owned() }).await
    }

    pub async fn pair(&self, pair: &Pair) -> Result<Paired> {
        self.with_body(Method::POST, "/device/pair", pair).await
    }

    pub async fn change_channel(&self, channel: &ChannelAddress) -> Result<()> {
        self.send::<IgnoredAny>(self.request(Method::PUT, "/device/channel").json(channel)).await.map(|_| ())
    }

    pub async fn own_device(&self) -> Result<OwnDevice> {
        self.get("/device", &[]).await
    }

    pub async fn persons_devices(&self) -> Result<PersonsDevices> {
        self.get("/device/devices", &[]).await
    }

    pub async fn unpair(&self, id: Uuid) -> Result<()> {
        self.nothing(Method::DELETE, &format!("/device/devices/{id}")).await
    }

    pub async fn send_trial(&self) -> Result<Trial> {
        self.call(Method::POST, "/device/test").await
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

    /// All messages without a receipt, then live ones; [`Error::Replaced`] when another connection takes over the stream.
    pub async fn own_stream(
        &self,
    ) -> Result<impl Stream<Item = Result<DeviceMessage>> + Send + Unpin + use<>> {
        let events = self.events("/device/stream", &[], None).await?;
        Ok(events.filter_map(|event| {
            ready(match event {
                Ok(event) if event.event == "message" => Some(event.parsed()),
                Ok(event) if event.event == "replaced" => Some(Err(Error::Replaced)),
                // A newer server may send other events.
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            })
        }))
    }
}
