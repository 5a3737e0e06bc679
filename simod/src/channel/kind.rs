//! The channels that there are: the one list of them.

use std::fmt;

use simo_common::{api::device::ChannelAddress, lang::Text, text};

use super::{
    Address, fcm,
    webpush::{self, Listed},
};

/// A channel. The numbers are what the database stores: those of pushed ones are positive, those of pulled ones, whose
/// phones fetch what waits for them, negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i64)]
pub enum ChannelKind {
    /// The phone holds a stream of ours.
    Stream = -1,
    /// Firebase Cloud Messaging.
    Fcm = 1,
    /// Web Push, by the push service of a browser.
    WebPush = 2,
}

/// The way that a phone has said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Where the provider finds it, where the channel has addresses.
    pub address: Option<Address>,
    /// What of it no other phone may have, whose client it may be.
    pub endpoint: Option<String>,
}

/// The fields that are wrong, and how.
type Errors = Vec<(&'static str, Text)>;

impl ChannelKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fcm, Self::WebPush, Self::Stream];

    /// Its name in API and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Fcm => "fcm",
            Self::WebPush => "webpush",
        }
    }

    /// The channel with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The number that the database stores.
    pub fn number(self) -> i64 {
        self as i64
    }

    /// The channel stored as `number`.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Whether its phones fetch what waits for them.
    pub fn is_pulled(self) -> bool {
        self.number() < 0
    }

    /// The way that a phone has said; `allowed_hosts` may be sent to besides the known push services.
    ///
    /// # Errors
    /// The fields that are wrong.
    pub fn found(self, said: &ChannelAddress, allowed_hosts: &[String]) -> Result<Found, Errors> {
        let mut errors = self.not_of_it(said);
        let found = match self {
            Self::Stream => Ok(Found::default()),
            Self::Fcm => fcm::address(said).map(|address| Found { address: Some(address), endpoint: None }),
            // Entries that are no hosts were refused at the start.
            Self::WebPush => webpush::read(said, &Listed::new(allowed_hosts).unwrap_or_default()),
        };
        match found {
            Ok(found) if errors.is_empty() => Ok(found),
            found => {
                errors.extend(found.err().unwrap_or_default());
                Err(errors)
            }
        }
    }

    /// Fields that are another channel's.
    fn not_of_it(self, said: &ChannelAddress) -> Errors {
        let of_fcm = [("address", said.address.is_some()), ("address_kind", said.address_kind.is_some())];
        let of_webpush = [("endpoint", said.endpoint.is_some()), ("keys", said.keys.is_some())];
        let fields = of_fcm
            .into_iter()
            .filter(|_| self != Self::Fcm)
            .chain(of_webpush.into_iter().filter(|_| self != Self::WebPush));
        let text = || text!("the channel `{self}` has no such field", "у канала `{self}` нет такого поля");
        fields.filter(|(_, is_said)| *is_said).map(|(field, _)| (field, text())).collect()
    }
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
