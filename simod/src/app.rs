//! What every part of a running simod shares.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use simo_common::{
    api::{message::PostedMessage, service::ChannelHealth},
    time::{HOUR, SECOND},
};
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    background::keep_up,
    batch::Batcher,
    bodies::Bodies,
    clock::Clock,
    config::Config,
    group_commit::{self, Parts},
    guard::{Guard, per_phone::PerPhone},
    health::{self, Health},
    metrics::Metrics,
    refused_posts::Gathered,
    store::{self, Error, Incoming, Recorded, Refusal, Reported, Store},
    streams::Streams,
    tls::Tls,
};

/// How often a phone may say which way leads to it, in an hour.
const WAYS_AN_HOUR: usize = 20;
/// How often a phone may send itself a trial message.
const TRIAL_EVERY: i64 = 30 * SECOND;

/// The answer to one message: taken, refused, or the database could not.
pub type IngestResult = Result<Result<PostedMessage, Refusal>, Arc<Error>>;

/// What every part of a running simod shares.
#[derive(Debug)]
pub struct App {
    /// The configuration.
    pub config: Config,
    /// The database.
    pub store: Arc<Store>,
    /// Group commit for messages.
    pub ingest: Batcher<Incoming, IngestResult>,
    /// Group commit for receipts.
    pub receipts: Batcher<Reported, Result<Recorded, Arc<Error>>>,
    /// The phones that hold a stream.
    pub streams: Arc<Streams>,
    /// Who waits for what.
    pub wake: Arc<Wake>,
    /// Who has asked too often.
    pub guard: Guard,
    /// Phones that said which way leads to them.
    pub(crate) ways: PerPhone,
    /// Phones that tried themselves.
    pub(crate) trials: PerPhone,
    /// Who reads and parses large bodies.
    pub bodies: Bodies,
    /// Posts that were refused, until they are written.
    pub(crate) refused_posts: Arc<Gathered>,
    /// Held by whoever learns limits of tokens.
    learning: tokio::sync::Mutex<()>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The public half of the key with which browsers subscribe.
    vapid_key: OnceLock<String>,
    /// What TCP is encrypted with.
    pub tls: Option<Arc<Tls>>,
    /// Whether commits succeed.
    pub health: Arc<Health>,
    /// How the channels are.
    pub channels: watch::Sender<Vec<ChannelHealth>>,
    /// Held by the strict batch that is being taken in.
    pub(crate) strict: Arc<tokio::sync::Mutex<()>>,
    /// Canceled when simod is about to stop: it is not ready any more, and claims nothing. The shutdown cancels it at the
    /// latest.
    pub leaving: CancellationToken,
    /// Canceled when simod is to stop: nothing new is accepted, streams end.
    pub shutdown: CancellationToken,
}

/// Wake-ups after a commit. Each is a hint: whoever waits also looks by himself now and then.
#[derive(Debug)]
pub struct Wake {
    /// Pushes were queued.
    pub pushes: Notify,
    /// A large audience waits to be expanded.
    pub audiences: Notify,
    /// Messages wait to be indexed.
    pub words: Notify,
    /// Something is new for streams and the live feed; the number only grows.
    pub feed: watch::Sender<u64>,
    /// The other instances are to be told.
    pub others: Notify,
}

impl Default for Wake {
    fn default() -> Self {
        Self {
            pushes: Notify::new(),
            audiences: Notify::new(),
            words: Notify::new(),
            feed: watch::Sender::new(0),
            others: Notify::new(),
        }
    }
}

impl Wake {
    /// Wakes all: messages were accepted, or people and devices changed.
    pub fn all(&self) {
        self.here();
        self.others.notify_one();
    }

    /// Wakes all at this instance: another one has said that something happened.
    pub fn here(&self) {
        self.pushes.notify_one();
        self.audiences.notify_one();
        self.words.notify_one();
        self.feed.send_modify(|number| *number += 1);
    }

    /// Something happened that streams and the live feed show.
    pub fn feed(&self) {
        self.feed.send_modify(|number| *number += 1);
        self.others.notify_one();
    }
}

impl App {
    /// Puts the parts together. Background work is spawned on `tracker` and ends after `shutdown`.
    pub fn new(
        config: Config,
        store: Arc<Store>,
        tls: Option<Arc<Tls>>,
        tracker: &TaskTracker,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        let guard = Guard::new(config.rate_limit_per_token, config.failures_per_minute);
        let wake = Arc::new(Wake::default());
        let metrics = Arc::new(Metrics::default());
        let health = Arc::new(Health::new(&metrics));
        let parts = Parts {
            store: store.clone(),
            wake: wake.clone(),
            metrics: metrics.clone(),
            health: health.clone(),
        };
        let ingest = group_commit::ingest(&parts, tracker);
        let receipts = group_commit::receipts(&parts, tracker);
        let streams = Arc::new(Streams::new(store.clone()));
        let (served, feed, until) = (streams.clone(), wake.clone(), shutdown.clone());
        keep_up(tracker, "streams", move || served.clone().serve(feed.feed.subscribe(), until.clone()));
        let app = Arc::new(Self {
            config,
            store,
            ingest,
            receipts,
            streams,
            wake,
            guard,
            ways: PerPhone::new(WAYS_AN_HOUR, HOUR),
            trials: PerPhone::new(1, TRIAL_EVERY),
            bodies: Bodies::default(),
            refused_posts: Arc::default(),
            learning: tokio::sync::Mutex::default(),
            metrics,
            vapid_key: OnceLock::new(),
            tls,
            health,
            channels: watch::Sender::new(Vec::new()),
            leaving: shutdown.child_token(),
            shutdown,
            strict: Arc::default(),
        });
        health::start(&app, tracker);
        app
    }

    /// The public half of the key with which browsers subscribe; `None` while the channel `webpush` is off.
    pub fn vapid_key(&self) -> Option<String> {
        self.vapid_key.get().cloned()
    }

    /// The channel `webpush` is on.
    pub(crate) fn set_vapid_key(&self, public: &str) {
        // It is set up once.
        let _ = self.vapid_key.set(public.to_owned());
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        self.store.clock()
    }

    /// Learns which tokens have rate limits of their own. What was issued or revoked before counts at this instance when it
    /// returns; at the others when they next look, within a second.
    ///
    /// # Errors
    /// When the database cannot say.
    pub async fn learn_limits(&self) -> store::Result<()> {
        // One at a time, so that what was read before never replaces what was read after it.
        let _turn = self.learning.lock().await;
        self.guard.set_on_sight(self.store.tokens_on_sight().await?);
        Ok(())
    }

    /// Writes down which posts were refused. What cannot be written is tried again.
    ///
    /// # Errors
    /// When the database cannot do it.
    pub(crate) async fn write_refused_posts(&self) -> store::Result<()> {
        let posts = self.refused_posts.take();
        let written = self.store.keep_refused_posts(&posts).await;
        if written.is_err() {
            self.metrics.refused_untraced.increment(self.refused_posts.give_back(posts));
        }
        written
    }

    /// How long a shutdown waits for what is in flight.
    pub fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.config.shutdown_grace)
    }
}
