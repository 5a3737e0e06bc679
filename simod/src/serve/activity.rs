//! What goes on on a connection, and how long its peer has let nothing go on.
//!
//! An HTTP/2 peer who asks nothing, or opens no window for what he has asked, keeps his connection for as long as he answers
//! pings: none of hyper's patience ends there.

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

/// Bytes that are written for pings and their like while nothing goes on; so many more are part of an answer.
const CHATTER: usize = 1024;

/// What goes on on a connection.
#[derive(Debug)]
pub(super) struct Activity {
    began: Instant,
    /// When something last went on, in microseconds after the beginning.
    last: AtomicU64,
    /// Bytes written since that are no more than chatter yet.
    written: AtomicUsize,
    /// Requests that wait for us: they are worked on, or their answer has nothing to say for now.
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

    /// Something goes on.
    pub(super) fn stir(&self) {
        self.last.store(self.began.elapsed().as_micros() as u64, Ordering::Relaxed);
    }

    /// The peer has taken some bytes.
    pub(super) fn wrote(&self, bytes: usize) {
        if self.written.fetch_add(bytes, Ordering::Relaxed) + bytes > CHATTER {
            self.written.store(0, Ordering::Relaxed);
            self.stir();
        }
    }

    /// Waits until the peer has neither asked nor taken anything for so long.
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

/// Whose turn it is with a request that is under way.
#[derive(Debug)]
pub(super) struct Turn {
    activity: Arc<Activity>,
    is_ours: bool,
}

impl Turn {
    /// A request has come: ours.
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

/// An answer's body: while it has something to say, it is the peer's turn to take it.
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

    /// Whether the peer may be found quiet, after a moment.
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
