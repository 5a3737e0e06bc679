//! The list of all channels.

use std::fmt;

use simo_common::{api::device::ChannelAddress, lang::Text, text};

use super::{
    Address, fcm,
    webpush::{self, Listed},
};

/// A channel. The numbers are stored in the database: positive for channels that are pushed to, negative for those whose
/// phones fetch their messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i64)]
pub enum ChannelKind {
    /// The phone holds a stream.
    Stream = -1,
    /// Firebase Cloud Messaging.
    Fcm = 1,
    /// Web Push, by the push service of a browser.
    WebPush = 2,
}

/// A phone's way, as read from its request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Where the provider finds the phone, on channels with addresses.
    pub address: Option<Address>,
    /// The part that no other phone of any client may share.
    pub endpoint: Option<String>,
}

/// The wrong fields, with their errors.
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

    /// Whether its phones fetch their messages.
    pub fn is_pulled(self) -> bool {
        self.number() < 0
    }

    /// Reads the way that a phone has sent; pushes may go to `allowed_hosts` besides the known push services.
    ///
    /// # Errors
    /// The wrong fields.
    pub fn found(self, said: &ChannelAddress, allowed_hosts: &[String]) -> Result<Found, Errors> {
        let mut errors = self.not_of_it(said);
        let found = match self {
            Self::Stream => Ok(Found::default()),
            Self::Fcm => fcm::address(said).map(|address| Found { address: Some(address), endpoint: None }),
            // Entries that are not hosts were refused at the start.
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

    /// Errors for fields of other channels.
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
