//! The phones that hold a stream at this instance.
//!
//! One task queries the database for all of them together: messages without a receipt that were not yet written to the
//! connection go out. Only the phone's receipt counts as delivery, not the socket write; so a connection may break at any
//! time without loss, and the next one starts with everything that has no receipt.

use std::{
    collections::{HashMap, HashSet},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream;
use simo_common::api::device::{DeviceMessage, OwnState};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    news,
    store::{DeviceNo, FeedPosition, MessageNo, Result, Store, StreamPhone},
};

/// Rounds are at least this far apart: 20 a second at most.
const PAUSE: Duration = Duration::from_millis(50);

/// After a slow round we pause this many times as long, to leave the database to others.
const PAUSE_FACTOR: u32 = 2;

/// A round is due after this long without a wake-up.
const POLL: Duration = Duration::from_secs(1);

/// Messages buffered for one slow reader; the rest stays in the database.
const BUFFER: usize = 32;

/// Messages that one round reads for all phones.
const ROUND: usize = 1024;

/// So many replacements of a device's connection in a row are not a phone that reconnects: two phones share one token.
const QUARREL: u32 = 5;

/// Replacing a connection that has lasted this long restarts the count.
const HELD: Duration = Duration::from_mins(10);

/// A connection whose reader takes nothing for this long is cut. The phone reconnects, and gets everything without a
/// receipt.
const PATIENCE: Duration = Duration::from_secs(30);

/// The phones that hold a stream at this instance.
#[derive(Debug)]
pub struct Streams {
    store: Arc<Store>,
    lines: Mutex<HashMap<DeviceNo, Line>>,
    /// Held for a whole round: two at once would send the same messages. Contains how far the feed was read; `None` without
    /// phones.
    turn: tokio::sync::Mutex<Option<FeedPosition>>,
    /// Wakes a round: a phone connected, or has room again.
    nudge: Notify,
    numbers: AtomicU64,
}

/// An event for a phone.
#[derive(Debug)]
pub enum StreamEvent {
    /// A message for it.
    Message(Box<DeviceMessage>),
    /// A delivery to its person changed state.
    State(OwnState),
}

/// The hub's end of a connection.
#[derive(Debug)]
struct Line {
    number: u64,
    phone: StreamPhone,
    sender: mpsc::Sender<StreamEvent>,
    flags: Arc<Flags>,
    /// Messages that went out on this connection and have no receipt yet, or must not go out.
    settled: HashSet<MessageNo>,
    full_since: Option<Instant>,
    since: Instant,
    /// How many times in a row a connection of this device has replaced the one before, this one included.
    replacements: u32,
}

#[derive(Debug, Default)]
struct Flags {
    /// Nothing more may be read, not even from the buffer.
    cut: AtomicBool,
    /// It was cut because the device opened another connection.
    replaced: AtomicBool,
    /// The buffer was too small for all messages: a round should follow when there is room.
    behind: AtomicBool,
}

/// The phone's end of a connection. It ends when it is cut, or when the phone opens another one.
#[derive(Debug)]
pub struct Connection {
    streams: Arc<Streams>,
    device_no: DeviceNo,
    number: u64,
    flags: Arc<Flags>,
    arrived: mpsc::Receiver<StreamEvent>,
}

/// Why a connection ended.
#[derive(Debug)]
pub(crate) struct Fate(Arc<Flags>);

impl Fate {
    /// Whether it ended because the device opened another connection.
    pub(crate) fn is_replaced(&self) -> bool {
        self.0.replaced.load(Ordering::Relaxed)
    }
}

/// A message to be sent on a connection.
struct Owed {
    place: usize,
    phone: StreamPhone,
    message: MessageNo,
}

impl Streams {
    /// Without phones.
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            lines: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            nudge: Notify::new(),
            numbers: AtomicU64::new(0),
        }
    }

    /// Connects a phone. An earlier connection of the same device ends, and learns why.
    pub fn open(self: &Arc<Self>, phone: StreamPhone) -> Connection {
        let (sender, arrived) = mpsc::channel(BUFFER);
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let flags = Arc::<Flags>::default();
        let mut lines = self.lines();
        let earlier = lines.remove(&phone.device_no);
        let replacements = earlier.as_ref().map_or(0, Line::next_replacement);
        let line = Line {
            number,
            phone,
            sender,
            flags: flags.clone(),
            settled: HashSet::new(),
            full_since: None,
            since: Instant::now(),
            replacements,
        };
        lines.insert(phone.device_no, line);
        drop(lines);
        if let Some(earlier) = earlier {
            earlier.flags.replaced.store(true, Ordering::Relaxed);
            earlier.cut();
        }
        if replacements == QUARREL {
            tracing::warn!(device_id = %phone.device_id,
                "connections of this device take each other's place again and again: its token was copied to a second phone; \
                 unpair the device and pair each phone by itself");
        }
        self.nudge.notify_one();
        Connection { streams: self.clone(), device_no: phone.device_no, number, flags, arrived }
    }

    /// Serves the phones until the shutdown.
    pub(crate) async fn serve(self: Arc<Self>, mut feed: watch::Receiver<u64>, shutdown: CancellationToken) {
        let rounds = async {
            loop {
                let begun = Instant::now();
                // Changes from here on are seen by this round, or wake the next.
                feed.mark_unchanged();
                let pause = match self.round().await {
                    Ok(()) => begun.elapsed() * PAUSE_FACTOR,
                    Err(error) => {
                        news::warn("streams could not be served; they are tried again", &error);
                        // However long the failed query took, the database was not at work.
                        Duration::ZERO
                    }
                };
                tokio::time::sleep(pause.max(PAUSE)).await;
                tokio::select! {
                    Ok(()) = feed.changed() => {}
                    () = self.nudge.notified() => {}
                    () = tokio::time::sleep(POLL) => {}
                }
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = rounds => {}
        }
    }

    /// Sends messages and states, and cuts connections whose phones may not hold a stream any more.
    async fn round(&self) -> Result<()> {
        let mut read_to = self.turn.lock().await;
        let watched: Vec<(u64, StreamPhone)> =
            self.lines().values().map(|line| (line.number, line.phone)).collect();
        if watched.is_empty() {
            *read_to = None;
            return Ok(());
        }
        let phones: Vec<StreamPhone> = watched.iter().map(|(_, phone)| *phone).collect();
        let open = self.store.open_stream_messages(&phones).await?;
        let owed = self.choose(&watched, &open);
        let messages = if owed.is_empty() {
            Vec::new()
        } else {
            let ask: Vec<_> = owed.iter().map(|owed| (owed.place, owed.phone, owed.message)).collect();
            let messages = self.store.stream_messages(&ask).await?;
            // A power failure must not undo messages that have gone out.
            self.store.messages_on_disk().await?;
            messages
        };
        let moved = self.moved(&phones, &mut read_to).await?;
        // Checked last, so that a phone locked out by then gets none of this.
        let lost = self.store.lost_streams(&phones).await?;
        let mut lines = self.lines();
        for place in lost {
            cut(&mut lines, watched[place]);
        }
        let messages =
            messages.into_iter().map(|(place, message)| (place, StreamEvent::Message(Box::new(message))));
        for (place, event) in messages.chain(moved) {
            if let Some(line) = current(&mut lines, watched[place]) {
                // There is room for messages, because only this task fills the buffer; but the phone may have gone this
                // moment. States are hints: a phone that misses one finds it in its list.
                let _gone = line.sender.try_send(event);
            }
        }
        // Also messages that were not returned, because they are canceled or have expired: we do not ask for them again.
        for owed in owed {
            if let Some(line) = current(&mut lines, watched[owed.place]) {
                line.settled.insert(owed.message);
            }
        }
        Ok(())
    }

    /// Changed states of the deliveries to these phones' people since the last round.
    async fn moved(
        &self,
        phones: &[StreamPhone],
        read_to: &mut Option<FeedPosition>,
    ) -> Result<impl Iterator<Item = (usize, StreamEvent)> + use<>> {
        let after = match *read_to {
            Some(after) => after,
            None => self.store.feed_end().await?,
        };
        // Changes that were deleted meanwhile are still in the phones' lists.
        let (moved, now) = self
            .store
            .states_after(phones, after)
            .await?
            .map_or_else(Default::default, |(moved, now)| (moved, Some(now)));
        *read_to = now;
        Ok(moved.into_iter().map(|(place, state)| (place, StreamEvent::State(state))))
    }

    /// Chooses the messages for this round, as far as buffers and the round have room.
    fn choose(&self, watched: &[(u64, StreamPhone)], open: &[(usize, MessageNo)]) -> Vec<Owed> {
        let mut lines = self.lines();
        let mut chosen = Vec::new();
        let mut starved = false;
        let mut open = open.chunk_by(|one, other| one.0 == other.0).peekable();
        for (place, who) in watched.iter().enumerate() {
            let mine = open.next_if(|chunk| chunk[0].0 == place).unwrap_or_default();
            let Some(line) = current(&mut lines, *who) else {
                continue;
            };
            let mine: HashSet<MessageNo> = mine.iter().map(|(_, message)| *message).collect();
            line.settled.retain(|message| mine.contains(message));
            let mut owed: Vec<MessageNo> = mine.difference(&line.settled).copied().collect();
            owed.sort_unstable();
            let room = line.sender.capacity().min(ROUND - chosen.len());
            starved |= owed.len() > room && line.sender.capacity() > 0;
            line.flags.behind.store(owed.len() > room, Ordering::Relaxed);
            if line.sender.capacity() > 0 || owed.is_empty() {
                line.full_since = None;
            } else if line.full_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                cut(&mut lines, *who);
                continue;
            }
            owed.truncate(room);
            chosen.extend(owed.into_iter().map(|message| Owed { place, phone: who.1, message }));
        }
        if starved {
            self.nudge.notify_one();
        }
        chosen
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<DeviceNo, Line>> {
        // Nothing panics between changes, so a poisoned map is still valid.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The watched connection, if it still exists.
fn current(lines: &mut HashMap<DeviceNo, Line>, (number, phone): (u64, StreamPhone)) -> Option<&mut Line> {
    lines.get_mut(&phone.device_no).filter(|line| line.number == number)
}

fn cut(lines: &mut HashMap<DeviceNo, Line>, who: (u64, StreamPhone)) {
    if current(lines, who).is_some()
        && let Some(line) = lines.remove(&who.1.device_no)
    {
        line.cut();
    }
}

impl Line {
    /// The count of replacements if another connection replaces this one now.
    fn next_replacement(&self) -> u32 {
        if self.since.elapsed() < HELD { self.replacements.saturating_add(1) } else { 1 }
    }

    /// Ends the connection at once; dropping the sender wakes its reader.
    fn cut(self) {
        self.flags.cut.store(true, Ordering::Relaxed);
    }
}

impl Connection {
    /// A handle that tells why the connection ended, once it has.
    pub(crate) fn fate(&self) -> Fate {
        Fate(self.flags.clone())
    }
}

impl Stream for Connection {
    type Item = StreamEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.arrived.poll_recv(context);
        if self.flags.cut.load(Ordering::Relaxed) {
            return Poll::Ready(None);
        }
        if next.is_ready() && self.arrived.is_empty() && self.flags.behind.load(Ordering::Relaxed) {
            self.streams.nudge.notify_one();
        }
        next
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut lines = self.streams.lines();
        if lines.get(&self.device_no).is_some_and(|line| line.number == self.number) {
            lines.remove(&self.device_no);
        }
    }
}

#[cfg(test)]
mod tests;
