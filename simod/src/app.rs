//! State shared by every part of a running simod.

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

/// How often a phone may change its way, per hour.
const WAYS_AN_HOUR: usize = 20;
/// How often a phone may send itself a trial message.
const TRIAL_EVERY: i64 = 30 * SECOND;

/// The result for one message: accepted, refused, or a database error.
pub type IngestResult = Result<Result<PostedMessage, Refusal>, Arc<Error>>;

/// State shared by every part of a running simod.
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
    /// Wake-ups for background tasks.
    pub wake: Arc<Wake>,
    /// Rate limits of tokens and addresses.
    pub guard: Guard,
    /// Limits how often a phone may change its way.
    pub(crate) ways: PerPhone,
    /// Limits how often a phone may send itself a trial.
    pub(crate) trials: PerPhone,
    /// Receives and parses large bodies.
    pub bodies: Bodies,
    /// Refused posts that are not written yet.
    pub(crate) refused_posts: Arc<Gathered>,
    /// Held while tokens' limits are read.
    learning: tokio::sync::Mutex<()>,
    /// Counters and gauges.
    pub metrics: Arc<Metrics>,
    /// The public half of the key with which browsers subscribe.
    vapid_key: OnceLock<String>,
    /// What TCP is encrypted with, if it is.
    pub tls: Option<Arc<Tls>>,
    /// Whether commits succeed.
    pub health: Arc<Health>,
    /// The state of the channels.
    pub channels: watch::Sender<Vec<ChannelHealth>>,
    /// Held while a strict batch is posted.
    pub(crate) strict: Arc<tokio::sync::Mutex<()>>,
    /// Canceled when simod is about to stop: it is not ready any more, and claims nothing. The shutdown cancels it too.
    pub leaving: CancellationToken,
    /// Canceled when simod has to stop: nothing new is accepted, streams end.
    pub shutdown: CancellationToken,
}

/// Wake-ups after a commit. Each is only a hint: waiting tasks also poll now and then.
#[derive(Debug)]
pub struct Wake {
    /// Pushes were queued.
    pub pushes: Notify,
    /// A large audience waits to be expanded.
    pub audiences: Notify,
    /// Messages wait to be indexed.
    pub words: Notify,
    /// There is news for streams and the live feed; the number only grows.
    pub feed: watch::Sender<u64>,
    /// The other instances have to be notified.
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
    /// Wakes everything: messages were accepted, or people and devices changed.
    pub fn all(&self) {
        self.here();
        self.others.notify_one();
    }

    /// Wakes everything at this instance: another one has signalled news.
    pub fn here(&self) {
        self.pushes.notify_one();
        self.audiences.notify_one();
        self.words.notify_one();
        self.feed.send_modify(|number| *number += 1);
    }

    /// Signals news for streams and the live feed.
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

    /// Called when the channel `webpush` is on.
    pub(crate) fn set_vapid_key(&self, public: &str) {
        // The key is set once.
        let _ = self.vapid_key.set(public.to_owned());
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        self.store.clock()
    }

    /// Reads which tokens have rate limits of their own. On return, tokens issued or revoked before count at this instance;
    /// other instances follow within a second.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn learn_limits(&self) -> store::Result<()> {
        // One at a time, so that an older result never replaces a newer one.
        let _turn = self.learning.lock().await;
        self.guard.set_on_sight(self.store.tokens_on_sight().await?);
        Ok(())
    }

    /// Writes the traces of refused posts. On failure they are kept and tried again.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn write_refused_posts(&self) -> store::Result<()> {
        let posts = self.refused_posts.take();
        let written = self.store.keep_refused_posts(&posts).await;
        if written.is_err() {
            self.metrics.refused_untraced.increment(self.refused_posts.give_back(posts));
        }
        written
    }

    /// How long a shutdown waits for work in progress.
    pub fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.config.shutdown_grace)
    }
}
