//! The rows on the screen: loaded page by page, kept fresh from above, never jumping under the operator's eyes.

use std::collections::{HashMap, HashSet};

use simo_common::{
    api::{event::Event, history::Delivery},
    page::Page,
};
use uuid::Uuid;

/// What makes a row one and the same: the message and the person.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RowKey {
    /// The message.
    pub(crate) message_id: Uuid,
    /// The person.
    pub(crate) personnel_no: String,
}

impl RowKey {
    /// The key of this row.
    pub(crate) fn of(row: &Delivery) -> Self {
        Self { message_id: row.message_id, personnel_no: row.personnel_no.clone() }
    }
}

type Key<'a> = (Uuid, &'a str);

fn key(row: &Delivery) -> Key<'_> {
    (row.message_id, &row.personnel_no)
}

/// The loaded rows, the cursor bar and the window that the screen shows of them.
///
/// While it follows, the bar stays on the first row and the newest is always in sight; once the operator has moved,
/// bar and window stay on their rows, and what comes in above is only counted.
#[derive(Debug)]
pub(crate) struct History {
    rows: Vec<Delivery>,
    next: Option<String>,
    selected: usize,
    top: usize,
    following: bool,
    unseen: usize,
    gap: bool,
}

impl Default for History {
    fn default() -> Self {
        Self { rows: Vec::new(), next: None, selected: 0, top: 0, following: true, unseen: 0, gap: false }
    }
}

impl History {
    /// All rows that are loaded.
    pub(crate) fn rows(&self) -> &[Delivery] {
        &self.rows
    }

    /// Where the next page begins, if there is one.
    pub(crate) fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// The bar's place.
    pub(crate) fn selected(&self) -> usize {
        self.selected
    }

    /// The first row in sight.
    pub(crate) fn top(&self) -> usize {
        self.top
    }

    /// Whether the bar stays on the first row.
    pub(crate) fn following(&self) -> bool {
        self.following
    }

    /// Rows that came in above since the operator looked there.
    pub(crate) fn unseen(&self) -> usize {
        self.unseen
    }

    /// Whether more came in above than was fetched, so that the top must be read anew.
    pub(crate) fn gap(&self) -> bool {
        self.gap
    }

    /// The row with this key, if it is loaded.
    pub(crate) fn find(&self, wanted: &RowKey) -> Option<&Delivery> {
        let wanted = (wanted.message_id, wanted.personnel_no.as_str());
        self.rows.iter().find(|row| key(row) == wanted)
    }

    /// The row under the bar.
    pub(crate) fn current(&self) -> Option<&Delivery> {
        self.rows.get(self.selected)
    }

    /// Shows these rows instead, from the top.
    pub(crate) fn replace(&mut self, page: Page<Delivery>) {
        *self = Self { next: page.next, rows: distinct(page.items, &HashSet::new()), ..Self::default() };
    }

    /// Shows these rows instead; the bar stays on its row if it is among them.
    pub(crate) fn reread(&mut self, page: Page<Delivery>) {
        let kept = self.current().filter(|_| !self.following).map(RowKey::of);
        let above = self.selected.saturating_sub(self.top);
        self.replace(page);
        let place = kept.and_then(|kept| self.rows.iter().position(|row| RowKey::of(row) == kept));
        if let Some(place) = place {
            self.selected = place;
            self.top = place.saturating_sub(above);
            self.following = false;
        }
    }

    /// Adds the page that follows; states move while one pages, so rows that are here already are dropped.
    pub(crate) fn append(&mut self, page: Page<Delivery>) {
        let known: HashSet<Key<'_>> = self.rows.iter().map(key).collect();
        let fresh = distinct(page.items, &known);
        self.rows.extend(fresh);
        self.next = page.next;
    }

    /// Takes in the first rows as they are now; with `all`, as many as there are here, so that the others are gone.
    pub(crate) fn refresh(&mut self, page: Page<Delivery>, all: bool) {
        let items = distinct(page.items, &HashSet::new());
        let old: HashMap<Key<'_>, usize> = self.rows.iter().enumerate().map(|(i, r)| (key(r), i)).collect();
        let joint = items.iter().rev().find_map(|row| old.get(&key(row)).copied());
        let (rows, next) = match (page.next, joint) {
            (None, _) => (items, None),
            (next, None) if self.following || self.rows.is_empty() => (items, next),
            (next, Some(_)) if all => (items, next),
            (Some(_), None) => {
                self.unseen = items.len();
                self.gap = true;
                return;
            }
            (next, Some(joint)) => {
                let fresh: HashSet<Key<'_>> = items.iter().map(key).collect();
                let tail: Vec<Delivery> =
                    self.rows[joint + 1..].iter().filter(|row| !fresh.contains(&key(row))).cloned().collect();
                let next = if tail.is_empty() { next } else { self.next.clone() };
                (items.into_iter().chain(tail).collect(), next)
            }
        };
        if self.following {
            self.top = 0;
            self.selected = 0;
        } else {
            let places: HashMap<Key<'_>, usize> = rows.iter().enumerate().map(|(i, r)| (key(r), i)).collect();
            let top = self.place_of(self.top, &places);
            let selected = self.place_of(self.selected, &places);
            let came = rows[..top.min(rows.len())].iter().filter(|row| !old.contains_key(&key(row))).count();
            (self.top, self.selected) = (top, selected);
            self.unseen += came;
        }
        self.gap = false;
        self.rows = rows;
        self.next = next;
    }

    /// Where the row at `index` is now; if it is gone, its nearest neighbour, the lower one first.
    fn place_of(&self, index: usize, places: &HashMap<Key<'_>, usize>) -> usize {
        let index = index.min(self.rows.len());
        let (above, below) = self.rows.split_at(index);
        below.iter().chain(above.iter().rev()).find_map(|row| places.get(&key(row)).copied()).unwrap_or(0)
    }

    /// Brings the row that an event is about up to date, at once and without asking the server.
    pub(crate) fn patch(&mut self, event: &Event) {
        let (Some(personnel_no), Some(state)) = (&event.personnel_no, event.state) else {
            return;
        };
        let found = self
            .rows
            .iter_mut()
            .find(|row| row.message_id == event.message_id && &row.personnel_no == personnel_no);
        if let Some(row) = found
            && row.state != state
        {
            row.state = state;
            row.reason = None;
        }
    }

    /// Moves the bar to a row; on the first one it follows what comes in.
    pub(crate) fn select(&mut self, index: usize, height: usize) {
        self.selected = index.min(self.rows.len().saturating_sub(1));
        self.release();
        self.fit(height);
    }

    /// Keeps the bar on its row, also on the first one.
    pub(crate) fn hold(&mut self) {
        self.following = false;
    }

    /// The bar may leave its row again: on the first one it follows what comes in.
    pub(crate) fn release(&mut self) {
        self.following = self.selected == 0;
    }

    /// Moves the bar by so many rows.
    pub(crate) fn move_by(&mut self, rows: isize, height: usize) {
        self.select(self.selected.saturating_add_signed(rows), height);
    }

    /// Moves the window by so many rows and takes the bar along at its edge.
    pub(crate) fn scroll_by(&mut self, rows: isize, height: usize) {
        let last_top = self.rows.len().saturating_sub(height);
        self.top = self.top.saturating_add_signed(rows).min(last_top);
        let last = (self.top + height.max(1) - 1).min(self.rows.len().saturating_sub(1));
        let selected = self.selected.clamp(self.top, last.max(self.top));
        self.select(selected, height);
    }

    /// Makes the window hold the bar, and as many rows as there are.
    pub(crate) fn fit(&mut self, height: usize) {
        let height = height.max(1);
        self.selected = self.selected.min(self.rows.len().saturating_sub(1));
        self.top = self
            .top
            .min(self.rows.len().saturating_sub(height))
            .min(self.selected)
            .max((self.selected + 1).saturating_sub(height));
        if self.top == 0 && !self.gap {
            self.unseen = 0;
        }
    }

    /// Whether the window is so near the end that the next page should be on its way.
    pub(crate) fn wants_more(&self, height: usize) -> bool {
        self.next.is_some() && self.top + 3 * height.max(1) >= self.rows.len()
    }
}

/// The rows without repeats, among themselves or of what is known.
fn distinct(items: Vec<Delivery>, known: &HashSet<Key<'_>>) -> Vec<Delivery> {
    let mut seen = HashSet::with_capacity(items.len());
    let keep: Vec<bool> =
        items.iter().map(|row| !known.contains(&key(row)) && seen.insert(key(row))).collect();
    items.into_iter().zip(keep).filter_map(|(row, keep)| keep.then_some(row)).collect()
}
