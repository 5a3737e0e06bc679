//! The channels' health, for `/readyz` and the log.

use simo_common::api::service::ChannelHealth;

use crate::{app::App, channel::ChannelKind};

/// Publishes a channel's health, and logs changes.
pub(super) fn show(app: &App, channel: ChannelKind, state: &str, detail: Option<String>) {
    let health = ChannelHealth { channel: channel.to_string(), state: state.to_owned(), detail };
    let mut before = None;
    app.channels.send_if_modified(|all| {
        match all.iter_mut().find(|known| known.channel == health.channel) {
            Some(known) if *known == health => return false,
            Some(known) => before = Some(std::mem::replace(known, health.clone())),
            None => all.push(health.clone()),
        }
        true
    });
    if before.is_some_and(|before| before.state != health.state) {
        let detail = health.detail.as_deref().unwrap_or_default();
        match state {
            "alarm" => tracing::error!(%channel, detail, "channel: alarm"),
            "ok" => tracing::info!(%channel, "channel: ok"),
            _ => tracing::warn!(%channel, detail, "channel: {state}"),
        }
    }
}
