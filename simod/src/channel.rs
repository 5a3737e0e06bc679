//! Channels: the ways to a phone. Each is one implementation of [`Channel`], and says of every failure what to do.

mod cut;
pub mod fcm;
mod kind;
mod over_http;
pub mod webpush;

use std::{future::Future, time::Duration};

use simo_common::{delivery::Reason, lang::Lang, message::Priority};
use uuid::Uuid;

pub use self::{
    kind::{ChannelKind, Found},
    over_http::SetupError,
};

/// Where a channel's provider finds a phone: a text that only the channel reads, and that others compare.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address(String);

impl Address {
    /// As a channel has written it.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A way to phones that simod pushes through.
pub trait Channel: Send + Sync + 'static {
    /// Which it is.
    const KIND: ChannelKind;

    /// Which provider an address belongs to, where there are several: what goes wrong with one holds up no other's phones.
    /// There are few of them, because the channel takes no address of any other.
    const PROVIDER_OF: Option<fn(&Address) -> &str> = None;

    /// How many pushes may be under way at once.
    fn permits(&self) -> usize;

    /// How long a send takes at most.
    fn time_out(&self) -> Duration;

    /// Sends one push, and returns once the provider has answered or the time-out has passed.
    fn send(&self, push: &Outgoing) -> impl Future<Output = Result<Accepted, Failure>> + Send;
}

/// What a channel needs to know of a push.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The message, by which phones recognise repeats.
    pub message_id: Uuid,
    /// The provider's address of the phone.
    pub address: Address,
    /// The message's title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Its JSON object.
    pub data: Option<String>,
    /// The topic's slug.
    pub topic: Option<String>,
    /// The topic's name for people.
    pub topic_name: Option<String>,
    /// Who posted it.
    pub acs: String,
    /// The client's name.
    pub client: String,
    /// How urgent it is.
    pub priority: Priority,
    /// Whether it must be acknowledged.
    pub require_ack: bool,
    /// When it was accepted: microseconds since 1970.
    pub accepted_at: i64,
    /// When it is given up.
    pub expires_at: i64,
    /// What the time is now.
    pub now: i64,
    /// What the person reads.
    pub lang: Lang,
    /// What the phone says that it is.
    pub platform: String,
    /// Only the id may leave; the phone fetches the text.
    pub doorbell: bool,
    /// The provider is to show a notification of its own.
    pub notification: bool,
}

/// The provider took a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What it said.
    pub answer: String,
}

/// The provider did not take a push, and what to do about it. `answer` is what it said, for history and log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Something broke on the way or at the provider: try again, not before `after` if it said so.
    Retry {
        /// What it said.
        answer: String,
        /// When it wants to be asked again.
        after: Option<Duration>,
    },
    /// This push will never be taken, and the fault is ours: give it up and raise an alarm.
    Permanent {
        /// The reason code.
        reason: Reason,
        /// What it said.
        answer: String,
    },
    /// The phone's address is dead.
    DeadAddress {
        /// What it said.
        answer: String,
    },
    /// A quota is used up: wait, without counting a try.
    Paused {
        /// Whose quota.
        scope: Scope,
        /// How long, if it said so.
        after: Option<Duration>,
        /// What it said.
        answer: String,
    },
    /// There is no way to the provider for anybody: wait, without counting a try.
    Unreachable {
        /// What went wrong.
        answer: String,
    },
    /// The configuration is wrong, here or at the provider: raise an alarm and hold what is queued, without counting a
    /// try or touching any phone.
    Misconfigured {
        /// Whether it may concern this phone alone.
        scope: Scope,
        /// What it said.
        answer: String,
    },
}

/// How much a failure concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// This phone.
    Device,
    /// Everything that goes to the provider.
    Provider,
}
