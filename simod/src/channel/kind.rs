//! The channels that there are: the one list of them.

use std::fmt;

use simo_common::{api::device::ChannelAddress, lang::Text, text};

use super::{Address, fcm};

/// A channel. The numbers are what the database stores: those of pushed ones are positive, those of pulled ones, whose
/// phones fetch what waits for them, negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i64)]
pub enum ChannelKind {
    /// The phone holds a stream of ours.
    Stream = -1,
    /// Firebase Cloud Messaging.
    Fcm = 1,
}

/// The fields that are wrong, and how.
type Errors = Vec<(&'static str, Text)>;

impl ChannelKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Fcm, Self::Stream];

    /// Its name in API and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Fcm => "fcm",
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

    /// The address that a phone has said; `None` where the channel has none.
    ///
    /// # Errors
    /// The fields that are wrong.
    pub fn address(self, said: &ChannelAddress) -> Result<Option<Address>, Errors> {
        match self {
            Self::Fcm => fcm::address(said).map(Some),
            Self::Stream => {
                let none = text!("the channel `stream` has no address", "у канала `stream` нет адреса");
                let wrong = said.address.is_some().then_some(("address", none));
                let errors: Errors = wrong.into_iter().chain(fcm::wrong_kind(said)).collect();
                if errors.is_empty() { Ok(None) } else { Err(errors) }
            }
        }
    }
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
