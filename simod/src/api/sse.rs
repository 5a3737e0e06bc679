//! Server-sent events: the common part of both streams.

use std::{convert::Infallible, time::Duration};

use axum::response::{
    IntoResponse as _, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderName, HeaderValue};

/// A comment is sent after this long without an event, so that both sides notice a dead connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a client waits before it reconnects, unless it knows better.
const RETRY: Duration = Duration::from_secs(3);

/// Answers with a stream of events. It begins with a comment, which proves that the connection works.
pub(super) fn respond(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let hello = Event::default().comment("simo").retry(RETRY);
    let events = stream::iter([hello]).chain(events).map(Ok::<_, Infallible>);
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    // Otherwise nginx holds events back.
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}
