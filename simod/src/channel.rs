//! Channels: the ways to a phone. Each implements [`Channel`], and classifies every failure by what to do about it.

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

/// Where a channel's provider finds a phone: a text that only the channel reads; other code only compares it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address(String);

impl Address {
    /// An address as a channel has written it.
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
    /// The kind of channel.
    const KIND: ChannelKind;

    /// The name of an address's provider, where a channel has several: trouble at one holds up no phones of the others.
    /// There are few, because the channel refuses addresses of unknown providers.
    const PROVIDER_OF: Option<fn(&Address) -> &str> = None;

    /// How many pushes may be in progress at once.
    fn permits(&self) -> usize;

    /// How long a send takes at most.
    fn time_out(&self) -> Duration;

    /// Sends one push, and returns once the provider has answered or the time-out has passed.
    fn send(&self, push: &Outgoing) -> impl Future<Output = Result<Accepted, Failure>> + Send;
}

/// A push as channels need it.
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
    /// The ACS that posted it.
    pub acs: String,
    /// The client's name.
    pub client: String,
    /// How urgent it is.
    pub priority: Priority,
    /// Whether it must be acknowledged.
    pub require_ack: bool,
    /// When it was accepted: microseconds since 1970.
    pub accepted_at: i64,
    /// When it expires.
    pub expires_at: i64,
    /// The current time.
    pub now: i64,
    /// The language of the phone's user.
    pub lang: Lang,
    /// The platform that the phone has reported.
    pub platform: String,
    /// Only the id may leave; the phone fetches the text.
    pub doorbell: bool,
    /// The provider should show a notification itself.
    pub notification: bool,
}

/// The provider accepted a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The provider's answer.
    pub answer: String,
}

/// The provider did not accept a push, and what to do about it. `answer` is its reply, for history and log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Something broke on the way or at the provider: retry, not before `after` if the provider named a time.
    Retry {
        /// The provider's answer.
        answer: String,
        /// The pause that the provider asked for.
        after: Option<Duration>,
    },
    /// This push will never be accepted, and the fault is ours: give it up and raise an alarm.
    Permanent {
        /// The reason code.
        reason: Reason,
        /// The provider's answer.
        answer: String,
    },
    /// The phone's address is dead.
    DeadAddress {
        /// The provider's answer.
        answer: String,
    },
    /// A quota is used up: wait, without counting a try.
    Paused {
        /// The scope of the quota.
        scope: FailureScope,
        /// The pause that the provider asked for.
        after: Option<Duration>,
        /// The provider's answer.
        answer: String,
    },
    /// The provider cannot be reached at all: wait, without counting a try.
    Unreachable {
        /// The error.
        answer: String,
    },
    /// The configuration is wrong, here or at the provider: raise an alarm and hold the queue, without counting a try or
    /// touching any phone.
    Misconfigured {
        /// Whether it may concern this phone alone.
        scope: FailureScope,
        /// The provider's answer.
        answer: String,
    },
}

/// How much a failure concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureScope {
    /// This phone.
    Device,
    /// Everything that goes to the provider.
    Provider,
}
