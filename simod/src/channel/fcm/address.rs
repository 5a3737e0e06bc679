//! Where FCM finds a phone.

use simo_common::{api::device::ChannelAddress, lang::Text, text};

use crate::channel::Address;

/// FCM has no longer addresses.
const ADDRESS_BYTES: usize = 4096;

/// The kind of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressKind {
    Token,
    Installation,
}

const KINDS: [(&str, AddressKind); 2] =
    [("token", AddressKind::Token), ("installation", AddressKind::Installation)];

/// Reads the address that a phone has sent.
pub(crate) fn address(said: &ChannelAddress) -> Result<Address, Vec<(&'static str, Text)>> {
    let mut errors = Vec::new();
    let address = said.address.as_deref();
    let is_address =
        |text: &str| (1..=ADDRESS_BYTES).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
    if address.is_none() {
        let text = text!(
            "the channel `fcm` needs an address: the FCM registration token",
            "каналу `fcm` нужен адрес: токен регистрации FCM"
        );
        errors.push(("address", text));
    } else if !address.is_some_and(is_address) {
        let text = text!(
            "an FCM registration token or installation id: 1 to {ADDRESS_BYTES} bytes, no spaces",
            "токен регистрации или идентификатор установки FCM: от 1 до {ADDRESS_BYTES} байт без пробелов"
        );
        errors.push(("address", text));
    }
    let kind = said.address_kind.as_deref().unwrap_or("token");
    errors.extend(wrong_kind(said));
    if errors.is_empty() {
        // Neither kinds nor addresses contain spaces.
        Ok(Address::new(format!("{kind} {}", address.unwrap_or_default())))
    } else {
        Err(errors)
    }
}

/// The error in the kind that a phone has sent, if any.
fn wrong_kind(said: &ChannelAddress) -> Option<(&'static str, Text)> {
    let kind = said.address_kind.as_deref()?;
    KINDS.iter().all(|(name, _)| *name != kind).then(|| {
        ("address_kind", text!("expected `token` or `installation`", "ожидается `token` или `installation`"))
    })
}

/// Splits an address made by [`address`].
pub(super) fn parts(address: &Address) -> (AddressKind, &str) {
    let (kind, text) = address.as_str().split_once(' ').unwrap_or(("token", address.as_str()));
    let kind = KINDS.into_iter().find(|(name, _)| *name == kind);
    (kind.map_or(AddressKind::Token, |(_, kind)| kind), text)
}
