//! What is left of a request's body when its answer is ready.
//!
//! Not every client looks for an answer before he has sent all. Over HTTP/2 an answer that ends before the request does is followed
//! by a reset of the stream, and some clients (curl before 8.0) then lose the answer; over HTTP/1.1 the connection is closed,
//! and whoever is still sending is told of that and nothing else. So what comes soon is taken in before the answer leaves.

use std::{pin::Pin, time::Duration};

use http::{Request, Version, header};
use hyper::body::{Body as _, Incoming};

/// Bytes that are taken in at most. Whoever sends more has his stream reset, or his connection closed.
const MOST: u64 = 128 * 1024 * 1024;

/// How long they may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether a body is on its way: not if its sender waits for us, whom to read would be to tell to send.
pub(super) fn is_on_its_way<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_2 || !request.headers().contains_key(header::EXPECT)
}

/// Takes in what is left of a body, if that is not too much and comes soon.
pub(super) async fn take_in(mut body: Incoming) {
    if body.is_end_stream() || body.size_hint().lower() > MOST {
        return;
    }
    let taken = async {
        let mut left = MOST;
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
