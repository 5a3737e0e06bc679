//! The phones that hold a stream at this instance.
//!
//! One task asks the database for all of them together: what has no receipt yet and was not written to this connection
//! goes out. A socket write is no delivery; the phone's receipt is, so that a connection may break at any time and
//! nothing is lost: the next one begins with everything that has no receipt.

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

/// A round that took long is followed by a pause so many times as long, so that it leaves the database to others.
const PAUSE_FACTOR: u32 = 2;

/// Without a wake-up, a round is due after this.
const POLL: Duration = Duration::from_secs(1);

/// Messages that wait for one slow reader; the others stay in the database.
const BUFFER: usize = 32;

/// Messages that one round reads for all phones.
const ROUND: usize = 1024;

/// Connections of a device that take each other's place so often are not a phone that comes back: two phones have one
/// identity.
const QUARREL: u32 = 5;

/// What replaces a connection that has held for so long begins the count anew.
const HELD: Duration = Duration::from_mins(10);

/// A reader that takes nothing for so long is cut off. He comes back, and gets what has no receipt.
const PATIENCE: Duration = Duration::from_secs(30);

/// The phones that hold a stream at this instance.
#[derive(Debug)]
pub struct Streams {
    store: Arc<Store>,
    lines: Mutex<HashMap<DeviceNo, Line>>,
    /// Held for a whole round: two at once would hand out the same messages. Up to where the feed was read; `None` while no
    /// phone is here.
    turn: tokio::sync::Mutex<Option<FeedPosition>>,
    /// Something happened here that a round should look at: a phone came, or has room again.
    nudge: Notify,
    numbers: AtomicU64,
}

/// What a phone is told.
#[derive(Debug)]
pub enum StreamEvent {
    /// It is owed a message.
    Message(Box<DeviceMessage>),
    /// A delivery to its person moved.
    State(OwnState),
}

/// The hub's end of a connection.
#[derive(Debug)]
struct Line {
    number: u64,
    phone: StreamPhone,
    sender: mpsc::Sender<StreamEvent>,
    flags: Arc<Flags>,
    /// What went out on this connection and has no receipt yet, or must not go out.
    settled: HashSet<MessageNo>,
    full_since: Option<Instant>,
    since: Instant,
    /// How often in a row this device's connections were replaced by the next one, this one included.
    replacements: u32,
}

#[derive(Debug, Default)]
struct Flags {
    /// Nothing more may be read, not even what waits in the buffer.
    cut: AtomicBool,
    /// It was cut because another connection of the same device took its place.
    replaced: AtomicBool,
    /// The buffer was too small for all that is owed: a round should follow when there is room.
    behind: AtomicBool,
}

/// The phone's end of a connection: ends when it is cut, or another one of the same phone takes its place.
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
    /// Whether another connection of the same device took its place.
    pub(crate) fn is_replaced(&self) -> bool {
        self.0.replaced.load(Ordering::Relaxed)
    }
}

/// A message that a connection is owed.
struct Owed {
    place: usize,
    phone: StreamPhone,
    message: MessageNo,
}

impl Streams {
    /// No phones yet.
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            lines: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            nudge: Notify::new(),
            numbers: AtomicU64::new(0),
        }
    }

    /// A phone came. An earlier connection of the same device ends, and knows why.
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
                // What happens from here on is seen by this round, or wakes the next.
                feed.mark_unchanged();
                let pause = match self.round().await {
                    Ok(()) => begun.elapsed() * PAUSE_FACTOR,
                    Err(error) => {
                        news::warn("streams could not be served; they are tried again", &error);
                        // However long it was waited for an answer: no database was at work.
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

    /// Hands out what is owed, and cuts off whoever may not hold a stream any more.
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
            // Nothing goes out that a power failure could still take away.
            self.store.messages_on_disk().await?;
            messages
        };
        let moved = self.moved(&phones, &mut read_to).await?;
        // Asked last: whoever was shut out before this gets none of it.
        let lost = self.store.lost_streams(&phones).await?;
        let mut lines = self.lines();
        for place in lost {
            cut(&mut lines, watched[place]);
        }
        let messages =
            messages.into_iter().map(|(place, message)| (place, StreamEvent::Message(Box::new(message))));
        for (place, event) in messages.chain(moved) {
            if let Some(line) = current(&mut lines, watched[place]) {
                // There is room for messages, because only this task fills the buffer; but the phone may be gone this moment.
                // What moved is a hint: a phone that takes nothing finds it in its list.
                let _gone = line.sender.try_send(event);
            }
        }
        // Also what did not come, because it was canceled or has expired: it is not asked for again.
        for owed in owed {
            if let Some(line) = current(&mut lines, watched[owed.place]) {
                line.settled.insert(owed.message);
            }
        }
        Ok(())
    }

    /// What moved of the deliveries to the people with these phones since the last round.
    async fn moved(
        &self,
        phones: &[StreamPhone],
        read_to: &mut Option<FeedPosition>,
    ) -> Result<impl Iterator<Item = (usize, StreamEvent)> + use<>> {
        let after = match *read_to {
            Some(after) => after,
            None => self.store.feed_end().await?,
        };
        // What was forgotten meanwhile is in their lists.
        let (moved, now) = self
            .store
            .states_after(phones, after)
            .await?
            .map_or_else(Default::default, |(moved, now)| (moved, Some(now)));
        *read_to = now;
        Ok(moved.into_iter().map(|(place, state)| (place, StreamEvent::State(state))))
    }

    /// Chooses what of the open pushes goes out in this round, as far as buffers and round have room.
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
        // Nothing panics between changes, and a poisoned map would still be a map.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection that was watched, if it is still there.
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
    /// Which replacement in a row it is when another connection takes this one's place now.
    fn next_replacement(&self) -> u32 {
        if self.since.elapsed() < HELD { self.replacements.saturating_add(1) } else { 1 }
    }

    /// Ends the connection at once; dropping the sender wakes its reader.
    fn cut(self) {
        self.flags.cut.store(true, Ordering::Relaxed);
    }
}

impl Connection {
    /// What may be asked why it ended, when it has.
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
