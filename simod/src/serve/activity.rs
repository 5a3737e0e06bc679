//! Tracks activity on a connection, and how long its peer has been idle.
//!
//! An HTTP/2 peer that sends no request, or opens no window for the answers, keeps its connection for as long as it answers
//! pings: none of hyper's time limits ends that.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, sleep};

/// Bytes written for pings and the like on an idle connection; more than this belong to an answer.
const CHATTER: usize = 1024;

/// Activity on a connection.
#[derive(Debug)]
pub(super) struct Activity {
    began: Instant,
    /// When there was last activity, in microseconds after the beginning.
    last: AtomicU64,
    /// Bytes written since then, not yet more than chatter.
    written: AtomicUsize,
    /// Requests that wait for us: they are in progress, or their answer has no data right now.
    ours: AtomicUsize,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            last: AtomicU64::default(),
            written: AtomicUsize::default(),
            ours: AtomicUsize::default(),
        }
    }

    /// Records activity.
    pub(super) fn stir(&self) {
        self.last.store(self.began.elapsed().as_micros() as u64, Ordering::Relaxed);
    }

    /// The peer has read some bytes.
    pub(super) fn wrote(&self, bytes: usize) {
        if self.written.fetch_add(bytes, Ordering::Relaxed) + bytes > CHATTER {
            self.written.store(0, Ordering::Relaxed);
            self.stir();
        }
    }

    /// Waits until the peer has neither sent a request nor read anything for this long.
    pub(super) async fn quiet(&self, patience: Duration) {
        loop {
            let left = patience.saturating_sub(self.quiet_for());
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }

    fn quiet_for(&self) -> Duration {
        if self.ours.load(Ordering::Relaxed) > 0 {
            return Duration::ZERO;
        }
        let last = Duration::from_micros(self.last.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(last)
    }
}

/// Whether a request in progress waits for us or for the peer.
#[derive(Debug)]
pub(super) struct Turn {
    activity: Arc<Activity>,
    is_ours: bool,
}

impl Turn {
    /// A new request waits for us.
    pub(super) fn ours(activity: Arc<Activity>) -> Self {
        let mut turn = Self { activity, is_ours: false };
        turn.pass(true);
        turn
    }

    fn pass(&mut self, is_ours: bool) {
        match (self.is_ours, is_ours) {
            (false, true) => self.activity.ours.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.activity.ours.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
        self.is_ours = is_ours;
        self.activity.stir();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.pass(false);
    }
}

/// An answer's body: while it has data, it is the peer's turn to read.
pub(super) struct Answer {
    body: axum::body::Body,
    turn: Turn,
}

impl Answer {
    pub(super) fn new(body: axum::body::Body, mut turn: Turn) -> Self {
        turn.pass(false);
        Self { body, turn }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.turn.pass(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(5);

    /// Whether the peer counts as idle after a moment.
    async fn may_be_quiet(activity: &Activity) -> bool {
        sleep(MOMENT).await;
        activity.quiet_for() >= MOMENT
    }

    #[tokio::test]
    async fn pings_are_nothing_and_parts_of_an_answer_are_something() {
        let activity = Activity::new();
        let last = || activity.last.load(Ordering::Relaxed);
        activity.quiet(MOMENT).await;
        activity.wrote(17);
        assert_eq!(last(), 0);
        assert!(activity.quiet_for() >= MOMENT);
        activity.wrote(4 * CHATTER);
        assert!(last() >= MOMENT.as_micros() as u64);
    }

    #[tokio::test]
    async fn it_is_not_quiet_while_we_work_or_have_nothing_to_say() {
        let activity = Arc::new(Activity::new());
        let turn = Turn::ours(activity.clone());
        assert!(!may_be_quiet(&activity).await, "the request is worked on");

        let (says, said) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
        let said = futures_util::stream::unfold(said, |mut said| async { Some((said.recv().await?, said)) });
        let mut answer = Answer::new(axum::body::Body::from_stream(said), turn);
        assert!(may_be_quiet(&activity).await, "nobody takes the answer");
        {
            let mut frame = std::pin::pin!(answer.frame());
            assert!(futures_util::poll!(frame.as_mut()).is_pending());
            assert!(!may_be_quiet(&activity).await, "there is nothing to take");
            says.send(Ok(Bytes::from_static(b"x"))).await.unwrap();
            assert!(frame.await.is_some());
        }
        assert!(may_be_quiet(&activity).await, "nobody takes the next part");
        drop(answer);
        assert_eq!(activity.ours.load(Ordering::Relaxed), 0);
    }
}
