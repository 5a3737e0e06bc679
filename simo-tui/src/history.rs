//! The rows on the screen: loaded page by page, refreshed from the top, without jumping under the operator's eyes.

use std::collections::{HashMap, HashSet};

use simo_common::{
    api::{event::Event, history::Delivery},
    page::Page,
};
use uuid::Uuid;

/// A row's identity: the message and the employee.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RowKey {
    pub(crate) message_id: Uuid,
    pub(crate) personnel_no: String,
}

impl RowKey {
    pub(crate) fn of(row: &Delivery) -> Self {
        Self { message_id: row.message_id, personnel_no: row.personnel_no.clone() }
    }
}

type DeliveryOf<'a> = (Uuid, &'a str);

fn key(row: &Delivery) -> DeliveryOf<'_> {
    (row.message_id, &row.personnel_no)
}

/// The loaded rows, the cursor bar and the visible window.
///
/// While following, the bar stays on the first row and the newest rows stay visible; once the operator has moved, bar and window
/// stay on their rows, and new rows above are only counted.
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
    /// The loaded rows.
    pub(crate) fn rows(&self) -> &[Delivery] {
        &self.rows
    }

    /// Where the next page begins, if there is one.
    pub(crate) fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// Index of the row under the bar.
    pub(crate) fn selected(&self) -> usize {
        self.selected
    }

    /// Index of the first visible row.
    pub(crate) fn top(&self) -> usize {
        self.top
    }

    /// Whether the bar stays on the first row as new rows arrive.
    pub(crate) fn following(&self) -> bool {
        self.following
    }

    /// New rows above that the operator has not seen.
    pub(crate) fn unseen(&self) -> usize {
        self.unseen
    }

    /// Whether more rows are new than were fetched, so that the top must be reloaded.
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

    /// Replaces the rows, and goes to the top.
    pub(crate) fn replace(&mut self, page: Page<Delivery>) {
        *self = Self { next: page.next, rows: distinct(page.items, &HashSet::new()), ..Self::default() };
    }

    /// Replaces the rows; the bar stays on its row if that is among them.
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

    /// Appends the next page; rows may move between pages meanwhile, so duplicates are dropped.
    pub(crate) fn append(&mut self, page: Page<Delivery>) {
        let known: HashSet<DeliveryOf<'_>> = self.rows.iter().map(key).collect();
        let fresh = distinct(page.items, &known);
        self.rows.extend(fresh);
        self.next = page.next;
    }

    /// Merges the first rows as they are now; with `all` they replace all loaded rows.
    pub(crate) fn refresh(&mut self, page: Page<Delivery>, all: bool) {
        let items = distinct(page.items, &HashSet::new());
        let old: HashMap<DeliveryOf<'_>, usize> =
            self.rows.iter().enumerate().map(|(i, r)| (key(r), i)).collect();
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
                let fresh: HashSet<DeliveryOf<'_>> = items.iter().map(key).collect();
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
            let places: HashMap<DeliveryOf<'_>, usize> =
                rows.iter().enumerate().map(|(i, r)| (key(r), i)).collect();
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

    /// The new place of the row at `index`; if it is gone, of its nearest neighbour, preferring the one below.
    fn place_of(&self, index: usize, places: &HashMap<DeliveryOf<'_>, usize>) -> usize {
        let index = index.min(self.rows.len());
        let (above, below) = self.rows.split_at(index);
        below.iter().chain(above.iter().rev()).find_map(|row| places.get(&key(row)).copied()).unwrap_or(0)
    }

    /// Updates the row that an event is about, without asking the server.
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

    /// Moves the bar to a row; on the first row it follows new ones.
    pub(crate) fn select(&mut self, index: usize, height: usize) {
        self.selected = index.min(self.rows.len().saturating_sub(1));
        self.release();
        self.fit(height);
    }

    /// Keeps the bar on its row, even on the first.
    pub(crate) fn hold(&mut self) {
        self.following = false;
    }

    /// Ends `hold`: on the first row, the bar follows new ones again.
    pub(crate) fn release(&mut self) {
        self.following = self.selected == 0;
    }

    /// Moves the bar by this many rows.
    pub(crate) fn move_by(&mut self, rows: isize, height: usize) {
        self.select(self.selected.saturating_add_signed(rows), height);
    }

    /// Scrolls the window by this many rows; at its edge the bar moves along.
    pub(crate) fn scroll_by(&mut self, rows: isize, height: usize) {
        let last_top = self.rows.len().saturating_sub(height);
        self.top = self.top.saturating_add_signed(rows).min(last_top);
        let last = (self.top + height.max(1) - 1).min(self.rows.len().saturating_sub(1));
        let selected = self.selected.clamp(self.top, last.max(self.top));
        self.select(selected, height);
    }

    /// Moves the window to contain the bar, and as many rows as possible.
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

    /// Whether the window is close enough to the end to load the next page.
    pub(crate) fn wants_more(&self, height: usize) -> bool {
        self.next.is_some() && self.top + 3 * height.max(1) >= self.rows.len()
    }
}

/// The rows without duplicates, among themselves or with `known`.
fn distinct(items: Vec<Delivery>, known: &HashSet<DeliveryOf<'_>>) -> Vec<Delivery> {
    let mut seen = HashSet::with_capacity(items.len());
    let keep: Vec<bool> =
        items.iter().map(|row| !known.contains(&key(row)) && seen.insert(key(row))).collect();
    items.into_iter().zip(keep).filter_map(|(row, keep)| keep.then_some(row)).collect()
}
