//! The state that the screen is drawn from.

use jiff::{Timestamp, tz::TimeZone};
use simo_common::{
    api::history::{Delivery, Sort, SortKey},
    lang::Lang,
    page::Page,
};
use tui_input::Input;

use crate::{
    action::{Answer, Client, Failure, Question, Story},
    complete::{Completion, Names},
    history::{History, RowKey},
};

/// Rows per page.
pub(crate) const PAGE: u32 = 100;
/// Rows reloaded per request, at most.
pub(crate) const FRESH: u32 = 300;

/// The orders that history can be sorted in.
pub(crate) const SORTS: [Sort; 6] = [
    sort(SortKey::Date, true),
    sort(SortKey::Date, false),
    sort(SortKey::Employee, false),
    sort(SortKey::Employee, true),
    sort(SortKey::State, false),
    sort(SortKey::State, true),
];

const fn sort(key: SortKey, descending: bool) -> Sort {
    Sort { key, descending }
}

/// The part of the screen that gets the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Focus {
    Table,
    Query,
    Sort,
    Client,
    Detail,
    Help,
}

/// The deliveries to show, and their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) query: String,
    pub(crate) sort: Sort,
}

/// The state of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// The feed is not open yet.
    Connecting,
    /// Connected, but the operator must choose a client first; until then nothing is requested.
    ClientNeeded,
    /// Connected, and receiving events.
    Live,
    /// Not reachable, or refusing us.
    Away {
        since: Timestamp,
        /// When it will be retried.
        retry_at: Timestamp,
        /// The error of the server or the system.
        why: String,
        /// The server's advice, if any.
        hint: Option<String>,
        /// Whether the server answered with a refusal.
        refused: bool,
    },
}

/// The query line.
#[derive(Debug, Default)]
pub(crate) struct QueryLine {
    /// The text being edited.
    pub(crate) input: Input,
    /// The completion candidates at the cursor.
    pub(crate) completion: Completion,
    /// Earlier queries, the latest last.
    pub(crate) past: Vec<String>,
    /// The one shown, as an index into `past`.
    pub(crate) past_at: Option<usize>,
    /// The mistake to show.
    pub(crate) error: Option<QueryError>,
}

/// A mistake in a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueryError {
    /// Its position: a character, from 0.
    pub(crate) column: Option<usize>,
    /// The error message.
    pub(crate) detail: String,
}

/// The detail pane.
#[derive(Debug)]
pub(crate) struct Detail {
    /// The delivery whose story is shown.
    pub(crate) key: RowKey,
    /// The story, once loaded.
    pub(crate) story: Option<Box<Story>>,
    /// Why it could not be loaded.
    pub(crate) failure: Option<Failure>,
    /// Whether it is being loaded.
    pub(crate) asked: bool,
    /// Whether something has happened since it was requested.
    pub(crate) stale: bool,
    /// Lines scrolled out of view.
    pub(crate) scroll: usize,
    /// The answer shown over the story.
    pub(crate) aside: Option<Aside>,
}

/// An answer about the present state, in the detail pane in place of the story.
#[derive(Debug)]
pub(crate) struct Aside {
    pub(crate) question: Question,
    /// The answer; `None` while it is being loaded.
    pub(crate) answer: Option<Result<Answer, Failure>>,
    /// Scroll position of the story.
    pub(crate) story_scroll: usize,
}

impl Detail {
    /// The pane for a delivery whose story is being loaded.
    pub(crate) fn of(key: RowKey) -> Self {
        Self { key, story: None, failure: None, asked: true, stale: false, scroll: 0, aside: None }
    }
}

/// The list of clients, for operators who may see several.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    /// Whether to offer the choice as soon as the list is loaded.
    pub(crate) wanted: bool,
    /// Whether the list is being loaded.
    pub(crate) asked: bool,
    /// The clients, once loaded.
    pub(crate) known: Option<Vec<Client>>,
    /// Position of the bar in the choice.
    pub(crate) at: usize,
}

/// Tickets of the pages being loaded.
#[derive(Debug, Default)]
pub(crate) struct Loads {
    /// The last ticket issued.
    pub(crate) last: u64,
    /// The first page.
    pub(crate) first: Option<u64>,
    /// The next page.
    pub(crate) more: Option<u64>,
    /// A reload of the first rows.
    pub(crate) fresh: Option<u64>,
}

/// When to reload the rows.
#[derive(Debug, Default)]
pub(crate) struct Freshness {
    /// Something happened that may have changed the rows.
    pub(crate) stale: bool,
    /// Events were missed: any row may have changed.
    pub(crate) missed: bool,
    /// The rows reloaded so far, while more are needed.
    pub(crate) read: Option<Page<Delivery>>,
    /// The earliest time of the next reload, to space requests.
    pub(crate) not_before: Timestamp,
    /// Reload once more at this time: an accepted message's deliveries may follow it by a moment.
    pub(crate) again_at: Option<Timestamp>,
}

/// The program's whole state.
#[derive(Debug)]
pub(crate) struct Model {
    /// The operator's language.
    pub(crate) lang: Lang,
    /// The operator's time zone.
    pub(crate) zone: TimeZone,
    /// Whether the screen may have colours.
    pub(crate) colour: bool,
    /// The server, as the operator knows it.
    pub(crate) server: String,
    /// The client shown, if one is named.
    pub(crate) client: Option<String>,
    /// The list of clients.
    pub(crate) clients: Clients,
    /// The present time.
    pub(crate) now: Timestamp,
    /// Columns and lines of the terminal.
    pub(crate) size: (u16, u16),
    /// The part of the screen that gets the keys.
    pub(crate) focus: Focus,
    pub(crate) history: History,
    /// The selection that the rows belong to; `None` before the first page arrived.
    pub(crate) shown: Option<Selection>,
    /// The selection that the operator wants.
    pub(crate) wanted: Selection,
    pub(crate) line: QueryLine,
    /// Position of the bar in the choice of a sort.
    pub(crate) sort_at: usize,
    /// Lines of the help scrolled away.
    pub(crate) help_scroll: usize,
    /// The detail pane, if it is open.
    pub(crate) detail: Option<Detail>,
    /// The state of the connection.
    pub(crate) link: Link,
    /// Why the last request failed.
    pub(crate) notice: Option<String>,
    /// Why the last key did nothing; cleared by the next one.
    pub(crate) remark: Option<fn(Lang) -> &'static str>,
    /// The pages being loaded.
    pub(crate) loads: Loads,
    /// No requests before this time, after a failed one.
    pub(crate) paused_until: Timestamp,
    /// When to reload.
    pub(crate) freshness: Freshness,
    /// Names for completion.
    pub(crate) names: Names,
    /// Whether they were requested.
    pub(crate) names_asked: bool,
}

impl Model {
    /// The initial state.
    pub(crate) fn new(lang: Lang, zone: TimeZone, server: String, wanted: Selection, now: Timestamp) -> Self {
        Self {
            lang,
            zone,
            colour: true,
            server,
            client: None,
            clients: Clients::default(),
            now,
            size: (80, 24),
            focus: Focus::Table,
            history: History::default(),
            shown: None,
            wanted,
            line: QueryLine::default(),
            sort_at: 0,
            help_scroll: 0,
            detail: None,
            link: Link::Connecting,
            notice: None,
            remark: None,
            loads: Loads::default(),
            paused_until: Timestamp::UNIX_EPOCH,
            freshness: Freshness::default(),
            names: Names::default(),
            names_asked: false,
        }
    }

    /// Whether the rows shown are those wanted.
    pub(crate) fn is_current(&self) -> bool {
        self.shown.as_ref() == Some(&self.wanted)
    }

    /// The focus after an overlay is closed.
    pub(crate) fn base_focus(&self) -> Focus {
        if self.detail.is_some() { Focus::Detail } else { Focus::Table }
    }
}
