//! What can happen to the model, and what the model can ask of the world.

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

/// Something that happened: the only way into the model.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Time passed.
    Tick(Timestamp),
    /// The terminal has this many columns and lines.
    Resize(u16, u16),
    /// A key that means something where it was pressed.
    Command(Command),
    /// Text was pasted.
    Paste(String),
    /// The mouse was clicked.
    Click {
        /// From 0.
        column: u16,
        /// From 0.
        row: u16,
    },
    /// The wheel was turned, down if positive.
    Wheel {
        /// From 0.
        column: u16,
        /// From 0.
        row: u16,
        /// How far.
        lines: isize,
    },
    /// A page of history came, or did not.
    Loaded(u64, Result<Page<Delivery>, Failure>),
    /// A delivery's story came, or did not.
    Story(RowKey, Result<Box<Story>, Failure>),
    /// Who may receive what came, or did not.
    Answer(Question, Result<Answer, Failure>),
    /// Names for the completion came.
    Names(Names),
    /// The clients there are came, or did not.
    Clients(Result<Vec<Client>, Failure>),
    /// The live feed said something.
    Feed(Feed),
}

/// A client that the operator may look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client {
    /// Its slug.
    pub(crate) slug: String,
    /// Its name.
    pub(crate) name: String,
}

/// News of the live feed.
#[derive(Debug, Clone)]
pub(crate) enum Feed {
    /// It is open: events come from now on.
    Open,
    /// Something happened on the server.
    Event(Event),
    /// It broke off, or could not be opened.
    Lost {
        /// Why.
        failure: Failure,
        /// When it is tried again.
        retry_in: Duration,
    },
}

/// A delivery with everything that is known about it.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    /// Its way.
    pub(crate) explanation: Explanation,
    /// What it carried.
    pub(crate) message: Message,
}

/// What can be asked about a delivery beside its story: how things stand now, whatever they were then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// Who would receive this topic now.
    Receivers(String),
    /// What the employee with this personnel number may receive.
    Access(String),
}

/// What there is to say to a question.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A topic's receivers, the first page.
    Receivers(Page<Receiver>),
    /// An employee's grants.
    Access(Vec<HeldGrant>),
}

/// Why a request failed, as far as the screen cares.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The server will not answer this, and says why.
    Refused(Box<Problem>),
    /// No answer, or none of SiMO's.
    Away(String),
    /// The server ended what had begun.
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

/// The end of a chain of causes: what comes before it repeats the address and that there was an error.
fn cause(chain: &str) -> &str {
    chain.split_once("(Connect): ").map_or(chain, |(_, cause)| cause)
}

impl Failure {
    /// Whether the server must be told which client is meant.
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

    /// What to do about it, where that is known.
    pub(crate) fn hint(&self, lang: Lang) -> Option<&str> {
        match self {
            // The server speaks to programs there.
            Self::Refused(problem) if problem.status == 401 => Some(text::log_in(lang)),
            Self::Refused(problem) => problem.hint.as_deref(),
            Self::Away(_) | Self::Closed => None,
        }
    }
}

/// What the operator wants. What it does depends on where he is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// Leave the program.
    Quit,
    /// One line up.
    Up,
    /// One line down.
    Down,
    /// One screen up.
    PageUp,
    /// One screen down.
    PageDown,
    /// To the first line.
    Home,
    /// To the last line.
    End,
    /// The story of the delivery above.
    Previous,
    /// The story of the delivery below.
    Next,
    /// Who would receive the delivery's topic now; again: back to the story.
    Receivers,
    /// What the delivery's employee may receive; again: back to the story.
    Access,
    /// Open, choose, apply.
    Enter,
    /// Close, cancel; in the table: show everything again.
    Escape,
    /// Edit the query line.
    EditQuery,
    /// Change the query line.
    Edit(InputRequest),
    /// The next completion.
    Complete,
    /// The completion before.
    CompleteBack,
    /// Choose how to sort.
    ChooseSort,
    /// Sort by this; again: the other way round.
    SortBy(SortKey),
    /// Sort the other way round.
    FlipSort,
    /// Choose the client to look at.
    ChooseClient,
    /// Read history anew, and try an unreachable server at once.
    Reload,
    /// Show every key.
    Help,
    /// The other language.
    Language,
    /// Paint the whole screen anew.
    Repaint,
}

/// What the model asks of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Fetch a page of history.
    Load(Load),
    /// Fetch a delivery's story.
    Story(RowKey),
    /// Fetch what there is to say to a question.
    Ask(Question),
    /// Fetch names for the completion.
    Names,
    /// Fetch the clients there are.
    Clients,
    /// Look at this client from now on.
    LookAt(String),
    /// Do not wait for the next try of the feed.
    Reconnect,
    /// Ask the server for this language from now on.
    Speak(Lang),
    /// Paint the whole screen anew.
    Repaint,
    /// Leave.
    Quit,
}

/// Which page of history to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Load {
    /// Comes back with the answer.
    pub(crate) ticket: u64,
    /// Which deliveries.
    pub(crate) query: String,
    /// In which order.
    pub(crate) sort: Sort,
    /// Where to go on.
    pub(crate) cursor: Option<String>,
    /// Rows at most.
    pub(crate) limit: u32,
}
