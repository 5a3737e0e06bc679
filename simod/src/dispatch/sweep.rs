//! Periodic duties, each a loop of small steps that others of its kind may interrupt: no step holds the writer long.

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

/// What is done again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Duty {
    /// Large audiences become deliveries.
    Expand,
    /// Scheduled messages come due.
    Release,
    /// Deliveries run out.
    Expire,
    /// What follows from a commit in many steps goes on.
    Follow,
    /// Pushes of streams run out.
    CloseStreams,
    /// Keys, events, failed pairings and invitations are forgotten.
    ForgetOld,
    /// History is forgotten.
    ForgetHistory,
    /// The file becomes smaller.
    Vacuum,
    /// What was committed moves from the log into the file.
    Checkpoint,
    /// What is counted in memory is shared, and what was refused is kept.
    Share,
    /// Counts of minutes that are over are forgotten.
    ForgetCounts,
    /// Histograms are summed up.
    SumUp,
    /// It is written down when tokens were used.
    WriteUses,
    /// Tokens and certificates that stop working soon are logged.
    WarnOfExpiry,
    /// What changed of messages is added up.
    AddUpSums,
    /// It is noted when messages were accepted, by their numbers.
    NoteSpans,
    /// It is noted how much of the disk is free.
    NoteDisk,
    /// Pushes of a channel that is not set up are told why they wait.
    NoteMissing(ChannelKind),
}

/// What a duty keeps from step to step.
#[derive(Debug, Default)]
struct Memory {
    stride: Stride,
    cursor: Option<StreamCursor>,
}

const DUTIES: &[Duty] = &[
    Duty::Expand,
    Duty::Release,
    Duty::Expire,
    Duty::Follow,
    Duty::CloseStreams,
    Duty::ForgetOld,
    Duty::ForgetHistory,
    Duty::Vacuum,
    Duty::Checkpoint,
    Duty::Share,
    Duty::ForgetCounts,
    Duty::SumUp,
    Duty::WriteUses,
    Duty::WarnOfExpiry,
    Duty::AddUpSums,
    Duty::NoteSpans,
    Duty::NoteDisk,
];

/// After a fault of the database.
const AFTER_FAULT: Duration = Duration::from_secs(2);

/// Starts all duties on `tracker`; they end after the shutdown, and what they leave is done after the next start.
pub(super) fn start(app: &Arc<App>, tracker: &TaskTracker) {
    for &duty in DUTIES {
        spawn(app, tracker, duty);
    }
}

/// Tells the pushes of a channel that is not set up why they wait.
pub(super) fn note_missing(app: &Arc<App>, tracker: &TaskTracker, channel: ChannelKind) {
    spawn(app, tracker, Duty::NoteMissing(channel));
}

fn spawn(app: &Arc<App>, tracker: &TaskTracker, duty: Duty) {
    keep_up_until_shutdown(
        &app.shutdown,
        app,
        tracker,
        duty,
        move |app| async move { duty.perform(&app).await },
    );
}

impl Duty {
    async fn perform(self, app: &App) {
        let mut memory = Memory::default();
        loop {
            let began = Instant::now();
            match self.step(app, &mut memory).await {
                Ok(true) => tokio::time::sleep(self.rest(began.elapsed())).await,
                Ok(false) => self.wait(app).await,
                Err(error) => {
                    news::warn(&format!("the duty {self:?} is put off"), &error);
                    tokio::time::sleep(AFTER_FAULT).await;
                }
            }
        }
    }

    /// One step; whether there is more to do at once.
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
            Self::Share => super::share_rates::step(app).await.map(|()| false),
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

    /// Until there may be something to do again: a wake-up, or the time after which to look without one.
    async fn wait(self, app: &App) {
        let looked = tokio::time::sleep(self.every());
        match self {
            Self::Expand => tokio::select! {
                () = app.wake.audiences.notified() => {}
                () = looked => {}
            },
            _ => looked.await,
        }
    }

    /// How often to look.
    fn every(self) -> Duration {
        match self {
            Self::Release => Duration::from_millis(250),
            Self::Expand | Self::Checkpoint => Duration::from_millis(500),
            Self::Expire | Self::Follow | Self::AddUpSums | Self::Share => Duration::from_secs(1),
            Self::CloseStreams | Self::SumUp | Self::NoteSpans | Self::NoteMissing(_) => {
                Duration::from_secs(5)
            }
            Self::ForgetCounts | Self::ForgetOld | Self::ForgetHistory | Self::Vacuum | Self::WriteUses => {
                Duration::from_mins(1)
            }
            Self::NoteDisk => Duration::from_hours(1),
            Self::WarnOfExpiry => Duration::from_hours(24),
        }
    }

    /// After a step that took so long, so that the database is there for others in between.
    fn rest(self, took: Duration) -> Duration {
        match self {
            // The writer is fair: whoever waits for it comes first anyway.
            Self::Expand | Self::Release | Self::Expire => Duration::ZERO,
            // It looks at everything that phones have not fetched yet, which nearly always is in vain.
            Self::CloseStreams => (took * 19).max(Duration::from_millis(50)),
            // A page that is changed again before the next one is copied once, and the disk is there for the log in between.
            Self::Checkpoint => took.max(Duration::from_millis(100)),
            _ => Duration::from_millis(50),
        }
    }
}
