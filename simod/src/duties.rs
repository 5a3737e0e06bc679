//! Periodic duties, each a loop of small steps: no step holds the writer for long.

mod share_rates;

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::{
    app::App,
    background::keep_up_until_shutdown,
    channel::ChannelKind,
    news,
    store::{Result, StreamCursor, Stride},
};

/// A periodic duty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Duty {
    /// Expands large audiences into deliveries.
    Expand,
    /// Releases scheduled messages that are due.
    Release,
    /// Expires deliveries.
    Expire,
    /// Continues a commit's follow-up work, in many steps.
    Follow,
    /// Closes expired pushes of streams.
    CloseStreams,
    /// Deletes old keys, events, failed pairings and invitations.
    ForgetOld,
    /// Deletes old history.
    ForgetHistory,
    /// Shrinks the database file.
    Vacuum,
    /// Copies commits from the write-ahead log into the database file.
    Checkpoint,
    /// Shares the counts in memory, and writes refused attempts and posts.
    Share,
    /// Deletes counts of past minutes.
    ForgetCounts,
    /// Sums up histograms.
    SumUp,
    /// Writes when tokens were last used.
    WriteUses,
    /// Logs tokens and certificates that expire soon.
    WarnOfExpiry,
    /// Adds up changes of messages.
    AddUpSums,
    /// Records when messages were accepted, by their numbers.
    NoteSpans,
    /// Records how much of the disk is free.
    NoteDisk,
    /// Records in a missing channel's pushes why they wait.
    NoteMissing(ChannelKind),
}

/// What a duty keeps between steps.
#[derive(Debug, Default)]
struct Memory {
    stride: Stride,
    cursor: Option<StreamCursor>,
}

/// The duties, and how often each looks whether there is something to do.
const DUTIES: &[(Duty, Duration)] = &[
    (Duty::Release, Duration::from_millis(250)),
    (Duty::Expand, Duration::from_millis(500)),
    (Duty::Checkpoint, Duration::from_millis(500)),
    (Duty::Expire, Duration::from_secs(1)),
    (Duty::Follow, Duration::from_secs(1)),
    (Duty::AddUpSums, Duration::from_secs(1)),
    (Duty::Share, Duration::from_secs(1)),
    (Duty::CloseStreams, Duration::from_secs(5)),
    (Duty::SumUp, Duration::from_secs(5)),
    (Duty::NoteSpans, Duration::from_secs(5)),
    (Duty::ForgetCounts, Duration::from_mins(1)),
    (Duty::ForgetOld, Duration::from_mins(1)),
    (Duty::ForgetHistory, Duration::from_mins(1)),
    (Duty::Vacuum, Duration::from_mins(1)),
    (Duty::WriteUses, Duration::from_mins(1)),
    (Duty::NoteDisk, Duration::from_hours(1)),
    (Duty::WarnOfExpiry, Duration::from_hours(24)),
];

/// The same for each channel that is missing.
const NOTE_MISSING_EVERY: Duration = Duration::from_secs(5);

/// Pause after a database error.
const AFTER_FAULT: Duration = Duration::from_secs(2);

/// Starts all duties on `tracker`; they end after the shutdown, and unfinished work continues after the next start.
pub(crate) fn start(app: &Arc<App>, tracker: &TaskTracker) {
    for &(duty, every) in DUTIES {
        spawn(app, tracker, duty, every);
    }
}

/// Records in the pushes of a missing channel why they wait.
pub(crate) fn note_missing(app: &Arc<App>, tracker: &TaskTracker, channel: ChannelKind) {
    spawn(app, tracker, Duty::NoteMissing(channel), NOTE_MISSING_EVERY);
}

fn spawn(app: &Arc<App>, tracker: &TaskTracker, duty: Duty, every: Duration) {
    keep_up_until_shutdown(&app.shutdown, app, tracker, duty, move |app| async move {
        duty.perform(&app, every).await;
    });
}

impl Duty {
    async fn perform(self, app: &App, every: Duration) {
        let mut memory = Memory::default();
        loop {
            let began = Instant::now();
            match self.step(app, &mut memory).await {
                Ok(true) => tokio::time::sleep(self.rest(began.elapsed())).await,
                Ok(false) => self.wait(app, every).await,
                Err(error) => {
                    news::warn(&format!("the duty {self:?} is put off"), &error);
                    tokio::time::sleep(AFTER_FAULT).await;
                }
            }
        }
    }

    /// One step. Returns whether there is more to do at once.
    async fn step(self, app: &App, memory: &mut Memory) -> Result<bool> {
        let store = &app.store;
        match self {
            Self::Expand => {
                let expanded = store.expand_step(&mut memory.stride).await?;
                if expanded {
                    app.wake.pushes.notify_one();
                    app.wake.feed();
                }
                Ok(expanded)
            }
            Self::Release => {
                let released = store.release_due().await? > 0;
                if released {
                    app.wake.all();
                }
                Ok(released)
            }
            Self::Expire => {
                let expired = store.expire_deliveries().await? > 0;
                if expired {
                    app.wake.feed();
                }
                Ok(expired)
            }
            Self::Follow => store.do_duties().await.map(|()| false),
            Self::CloseStreams => {
                memory.cursor = store.close_stream_pushes(memory.cursor).await?;
                Ok(memory.cursor.is_some())
            }
            Self::ForgetOld => store.forget_old().await,
            Self::ForgetHistory => store.forget_history().await,
            Self::Vacuum => store.vacuum().await,
            Self::Checkpoint => store.checkpoint().await,
            Self::Share => share_rates::step(app).await.map(|()| false),
            Self::ForgetCounts => store.forget_counts().await.map(|()| false),
            Self::SumUp => {
                app.metrics.sum_up();
                Ok(false)
            }
            Self::WriteUses => store.write_uses().await.map(|_| false),
            Self::WarnOfExpiry => {
                for token in store.expiring_tokens().await? {
                    let (id, acs) = (token.id, token.holder);
                    let expires = token.expires_at.map(tracing::field::display);
                    tracing::warn!(%id, acs, expires, "a token stops working soon; rotate it: simoctl token rotate");
                }
                if let Some(tls) = &app.tls {
                    tls.warn_of_expiry(app.clock().now());
                }
                Ok(false)
            }
            Self::AddUpSums => store.add_up_sums().await,
            Self::NoteSpans => store.note_message_spans().await,
            Self::NoteDisk => store.note_disk().await.map(|()| false),
            Self::NoteMissing(channel) => Ok(store.note_missing_channel(channel).await? > 0),
        }
    }

    /// Sleeps until woken or until the next poll.
    async fn wait(self, app: &App, every: Duration) {
        let looked = tokio::time::sleep(every);
        match self {
            Self::Expand => tokio::select! {
                () = app.wake.audiences.notified() => {}
                () = looked => {}
            },
            _ => looked.await,
        }
    }

    /// Pause after a step that took so long, so that others can use the database in between.
    fn rest(self, took: Duration) -> Duration {
        match self {
            // The writer is fair: waiting writers come first anyway.
            Self::Expand | Self::Release | Self::Expire => Duration::ZERO,
            // It scans everything that phones have not fetched yet, nearly always in vain.
            Self::CloseStreams => (took * 19).max(Duration::from_millis(50)),
            // A page that changes again before the next step is copied only once, and the disk is free for the log in
            // between.
            Self::Checkpoint => took.max(Duration::from_millis(100)),
            _ => Duration::from_millis(50),
        }
    }
}
