//! What is left of a request's body when its answer is ready.
//!
//! Not every client looks for an answer before he has sent all. Over HTTP/2 an answer that ends before the request does is followed
//! by a reset of the stream, and some clients (curl before 8.0) then lose the answer; over HTTP/1.1 the connection is closed,
//! and whoever is still sending is told of that and nothing else. So what comes soon is taken in before the answer leaves.

use std::{pin::Pin, time::Duration};

use http::{Request, Version, header};
use hyper::body::{Body as _, Incoming};

/// Bytes that are taken in at most. Whoever sends more has his stream reset, or his connection closed.
const MOST_OF_STREAM: u64 = 64 * 1024;
const MOST_OF_CONNECTION: u64 = 128 * 1024 * 1024;

/// How long they may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes that may be left of a request's body.
pub(super) fn allowed<B>(request: &Request<B>) -> u64 {
    match request.version() {
        Version::HTTP_2 => MOST_OF_STREAM,
        // He waits for us: to read would be to tell him to send.
        _ if request.headers().contains_key(header::EXPECT) => 0,
        _ => MOST_OF_CONNECTION,
    }
}

/// Takes in what is left of a body, if that is not more than allowed and comes soon.
pub(super) async fn take_in(mut body: Incoming, allowed: u64) {
    if allowed == 0 || body.is_end_stream() || body.size_hint().lower() > allowed {
        return;
    }
    let taken = async {
        let mut left = allowed;
        while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let bytes = frame.data_ref().map_or(0, bytes::Bytes::len) as u64;
            match left.checked_sub(bytes) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // In time or not, the answer leaves.
    let _in_time = tokio::time::timeout(PATIENCE, taken).await;
}
