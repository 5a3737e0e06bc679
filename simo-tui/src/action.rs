//! Inputs to the model, and the effects that it requests.

use std::time::Duration;

use jiff::Timestamp;
use simo_common::{
    api::{
        access::{HeldGrant, Receiver},
        event::Event,
        history::{Delivery, Explanation, Sort, SortKey},
        message::Message,
        problem::Problem,
    },
    client,
    lang::Lang,
    page::Page,
};
use tui_input::InputRequest;

use crate::{complete::Names, history::RowKey, text};

/// An input: the only way to change the model.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Tick(Timestamp),
    /// The terminal's new size: columns and lines.
    Resize(u16, u16),
    /// A key with a meaning in the present focus.
    Command(Command),
    Paste(String),
    Click {
        /// From 0.
        column: u16,
        /// From 0.
        row: u16,
    },
    /// The wheel was turned; positive `lines` mean down.
    Wheel {
        /// From 0.
        column: u16,
        /// From 0.
        row: u16,
        lines: isize,
    },
    /// A page of history arrived, or failed.
    Loaded(u64, Result<Page<Delivery>, Failure>),
    /// A delivery's story arrived, or failed.
    Story(RowKey, Result<Box<Story>, Failure>),
    /// The answer to a question arrived, or failed.
    Answer(Question, Result<Answer, Failure>),
    /// Names for completion arrived.
    Names(Names),
    /// The list of clients arrived, or failed.
    Clients(Result<Vec<Client>, Failure>),
    /// News from the live feed.
    Feed(Feed),
}

/// A client that the operator may look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) slug: String,
    pub(crate) name: String,
}

/// News from the live feed.
#[derive(Debug, Clone)]
pub(crate) enum Feed {
    /// It is open: events follow.
    Open,
    Event(Event),
    /// It broke, or could not be opened.
    Lost {
        failure: Failure,
        /// When it will be retried.
        retry_in: Duration,
    },
}

/// A delivery with all that is known about it.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) explanation: Explanation,
    pub(crate) message: Message,
}

/// A question about a delivery besides its story: the present state, whatever it was then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// Who would receive this topic now.
    Receivers(String),
    /// What the employee with this personnel number may receive.
    Access(String),
}

/// The answer to a question.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A topic's receivers, the first page.
    Receivers(Page<Receiver>),
    /// An employee's grants.
    Access(Vec<HeldGrant>),
}

/// Why a request failed, in the distinctions that the screen needs.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The server refused, with its explanation.
    Refused(Box<Problem>),
    /// No answer, or not one from SiMO.
    Away(String),
    /// The server closed the stream.
    Closed,
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        match error {
            client::Error::Problem(problem) if problem.status < 500 => Self::Refused(problem),
            client::Error::Unreachable(why) => Self::Away(cause(&why).to_owned()),
            other => Self::Away(other.to_string()),
        }
    }
}

/// The end of a chain of causes; the part before it only repeats the address and that there was an error.
fn cause(chain: &str) -> &str {
    chain.split_once("(Connect): ").map_or(chain, |(_, cause)| cause)
}

impl Failure {
    /// Whether the server needs to know the client.
    pub(crate) fn wants_client(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.errors.iter().any(|error| error.field == "client"))
    }

    /// What happened, for people.
    pub(crate) fn detail(&self, lang: Lang) -> &str {
        match self {
            Self::Refused(problem) => &problem.detail,
            Self::Away(why) => why,
            Self::Closed => text::closed(lang),
        }
    }

    /// What to do about it, if known.
    pub(crate) fn hint(&self, lang: Lang) -> Option<&str> {
        match self {
            // The server's hint is for programs.
            Self::Refused(problem) if problem.status == 401 => Some(text::log_in(lang)),
            Self::Refused(problem) => problem.hint.as_deref(),
            Self::Away(_) | Self::Closed => None,
        }
    }
}

/// A command of the operator. Its effect depends on the focus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Quit,
    Up,
    Down,
    PageUp,
    PageDown,
    /// To the first line.
    Home,
    /// To the last line.
    End,
    /// The story of the delivery above.
    Previous,
    /// The story of the delivery below.
    Next,
    /// Who would receive the delivery's topic now; a second time: back to the story.
    Receivers,
    /// What the delivery's employee may receive; a second time: back to the story.
    Access,
    /// Open, choose, apply.
    Enter,
    /// Close, cancel; in the table: show everything again.
    Escape,
    EditQuery,
    /// Change the query line.
    Edit(InputRequest),
    /// The next completion.
    Complete,
    /// The previous completion.
    CompleteBack,
    /// Choose how to sort.
    ChooseSort,
    /// Sort by this key; a second time: in reverse.
    SortBy(SortKey),
    /// Reverse the order.
    FlipSort,
    /// Choose the client to look at.
    ChooseClient,
    /// Reload the history, and retry an unreachable server at once.
    Reload,
    /// Show the list of keys.
    Help,
    /// Switch to the other language.
    Language,
    /// Repaint the whole screen.
    Repaint,
}

/// An effect that the model requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    Load(Load),
    Story(RowKey),
    /// Fetch the answer to a question.
    Ask(Question),
    /// Fetch names for completion.
    Names,
    /// Fetch the list of clients.
    Clients,
    /// Switch to this client.
    LookAt(String),
    /// Retry the feed at once.
    Reconnect,
    /// Use this language with the server from now on.
    Speak(Lang),
    /// Repaint the whole screen.
    Repaint,
    Quit,
}

/// The page of history to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Load {
    /// Returned with the answer.
    pub(crate) ticket: u64,
    pub(crate) query: String,
    pub(crate) sort: Sort,
    /// Where the page begins.
    pub(crate) cursor: Option<String>,
    /// Maximum number of rows.
    pub(crate) limit: u32,
}
