//! Request bodies with a minimum pace.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// The minimum pace of a body in bytes a second: slower than any network that phones meet, but fast enough that a client
/// cannot keep a connection busy with a byte a minute.
const LEAST_PACE: u64 = 4 * 1024;

/// The body took too long.
#[derive(Debug, thiserror::Error)]
#[error("the body arrived too slowly")]
pub(crate) struct TooSlow;

/// A body in progress, shared with the task that answers the request, which reads what the handler leaves.
pub(super) type Shared = Arc<Mutex<Incoming>>;

/// A body in progress, as a handler reads it.
pub(super) struct Paced {
    body: Shared,
    patience: Duration,
    received: u64,
    /// When the handler first waited for it; a body received before it is asked for is never timed.
    started: Option<Instant>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    pub(super) fn new(body: Shared, patience: Duration) -> Self {
        Self { body, patience, received: 0, started: None, deadline: None }
    }

    fn body(&self) -> MutexGuard<'_, Incoming> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut *this.body()).poll_frame(cx);
        if let Poll::Ready(frame) = polled {
            if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
                this.received += data.len() as u64;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let started = *this.started.get_or_insert_with(Instant::now);
        let until = started + this.patience + Duration::from_secs(this.received / LEAST_PACE);
        let deadline = this.deadline.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if deadline.deadline() != until {
            deadline.as_mut().reset(until);
        }
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Some(Err(Box::new(TooSlow))))
    }

    fn is_end_stream(&self) -> bool {
        self.body().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body().size_hint()
    }
}
