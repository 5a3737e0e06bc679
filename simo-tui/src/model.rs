//! Everything the screen is made from.

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
/// Rows that are read again at once, at most.
pub(crate) const FRESH: u32 = 300;

/// The orders that history comes in.
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

/// Where keys go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Focus {
    /// The table.
    Table,
    /// The query line.
    Query,
    /// The choice of a sort.
    Sort,
    /// The choice of a client.
    Client,
    /// The detail pane.
    Detail,
    /// The list of keys.
    Help,
}

/// Which deliveries, in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// The query.
    pub(crate) query: String,
    /// The order.
    pub(crate) sort: Sort,
}

/// How the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// Not known yet.
    Connecting,
    /// There, and waiting for the operator to choose a client; until then it is asked for nothing.
    ClientNeeded,
    /// There, and telling what happens.
    Live,
    /// Not there, or it will not have us.
    Away {
        /// Since when.
        since: Timestamp,
        /// When it is tried again.
        retry_at: Timestamp,
        /// What the server or the system says.
        why: String,
        /// What the server says to do about it.
        hint: Option<String>,
        /// Whether the server answered, and refused.
        refused: bool,
    },
}

/// The query line.
#[derive(Debug, Default)]
pub(crate) struct QueryLine {
    /// What is being typed.
    pub(crate) input: Input,
    /// What could stand at the cursor.
    pub(crate) completion: Completion,
    /// What was asked before, the latest last.
    pub(crate) past: Vec<String>,
    /// Which of them is shown.
    pub(crate) past_at: Option<usize>,
    /// What is wrong with it.
    pub(crate) error: Option<QueryError>,
}

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueryError {
    /// Where: a character, from 0.
    pub(crate) column: Option<usize>,
    /// What.
    pub(crate) detail: String,
}

/// The detail pane.
#[derive(Debug)]
pub(crate) struct Detail {
    /// Whose story it tells.
    pub(crate) key: RowKey,
    /// The story, once it is here.
    pub(crate) story: Option<Box<Story>>,
    /// Why it is not here.
    pub(crate) failure: Option<Failure>,
    /// Whether it is on its way.
    pub(crate) asked: bool,
    /// Whether something has happened since it was asked for.
    pub(crate) stale: bool,
    /// Lines scrolled away.
    pub(crate) scroll: usize,
    /// What covers the story.
    pub(crate) aside: Option<Aside>,
}

/// How things stand now, in the detail pane in place of the story.
#[derive(Debug)]
pub(crate) struct Aside {
    /// What was asked.
    pub(crate) question: Question,
    /// What there is to say; nothing while it is on its way.
    pub(crate) answer: Option<Result<Answer, Failure>>,
    /// Lines of the story that were scrolled away.
    pub(crate) story_scroll: usize,
}

impl Detail {
    /// The pane for a delivery whose story is on its way.
    pub(crate) fn of(key: RowKey) -> Self {
        Self { key, story: None, failure: None, asked: true, stale: false, scroll: 0, aside: None }
    }
}

/// The clients there are, for who may see several.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    /// Whether the operator is to choose one as soon as they are known.
    pub(crate) wanted: bool,
    /// Whether they are on their way.
    pub(crate) asked: bool,
    /// Those there are, once known.
    pub(crate) known: Option<Vec<Client>>,
    /// The bar in the choice.
    pub(crate) at: usize,
}

/// Pages that are on their way, by ticket.
#[derive(Debug, Default)]
pub(crate) struct Loads {
    /// The last ticket that was given out.
    pub(crate) last: u64,
    /// A first page.
    pub(crate) first: Option<u64>,
    /// A further page.
    pub(crate) more: Option<u64>,
    /// The first rows again.
    pub(crate) fresh: Option<u64>,
}

/// When the rows are to be made fresh.
#[derive(Debug, Default)]
pub(crate) struct Freshness {
    /// Something has happened that may have changed them.
    pub(crate) stale: bool,
    /// Events were missed: any row may have changed.
    pub(crate) missed: bool,
    /// What was read again so far, while there is more to read.
    pub(crate) read: Option<Page<Delivery>>,
    /// Not before this: requests are spaced.
    pub(crate) not_before: Timestamp,
    /// Once more at this time: an accepted message's deliveries may follow it by a moment.
    pub(crate) again_at: Option<Timestamp>,
}

/// The whole state of the program.
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
    /// The client that is looked at, if one is named.
    pub(crate) client: Option<String>,
    /// The clients there are.
    pub(crate) clients: Clients,
    /// What time it is.
    pub(crate) now: Timestamp,
    /// Columns and lines of the terminal.
    pub(crate) size: (u16, u16),
    /// Where keys go.
    pub(crate) focus: Focus,
    /// The rows.
    pub(crate) history: History,
    /// What the rows are; nothing before the first page came.
    pub(crate) shown: Option<Selection>,
    /// What the operator wants to see.
    pub(crate) wanted: Selection,
    /// The query line.
    pub(crate) line: QueryLine,
    /// The bar in the choice of a sort.
    pub(crate) sort_at: usize,
    /// Lines of the help that are scrolled away.
    pub(crate) help_scroll: usize,
    /// The detail pane, if it is open.
    pub(crate) detail: Option<Detail>,
    /// How the server is.
    pub(crate) link: Link,
    /// Why the last request failed.
    pub(crate) notice: Option<String>,
    /// Why the last key did nothing; until the next one.
    pub(crate) remark: Option<fn(Lang) -> &'static str>,
    /// Pages on their way.
    pub(crate) loads: Loads,
    /// Nothing is asked for before this, after a request that failed.
    pub(crate) paused_until: Timestamp,
    /// When to read again.
    pub(crate) freshness: Freshness,
    /// Names to complete with.
    pub(crate) names: Names,
    /// Whether they were asked for.
    pub(crate) names_asked: bool,
}

impl Model {
    /// The state at the start, before anything is known.
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

    /// Whether the rows are those that the operator wants.
    pub(crate) fn is_current(&self) -> bool {
        self.shown.as_ref() == Some(&self.wanted)
    }

    /// Where keys go when an overlay is closed.
    pub(crate) fn base_focus(&self) -> Focus {
        if self.detail.is_some() { Focus::Detail } else { Focus::Table }
    }
}
