//! What is left of a request's body when its answer is ready.
//!
//! An answer over HTTP/2 that ends before the request does is followed by a reset of the stream, and some clients (curl before
//! 8.0) then lose the answer: a refusal that came before the body was read. So a small body is taken in first.

use std::{pin::Pin, time::Duration};

use hyper::body::{Body as _, Incoming};

/// Bytes that are taken in at most. Whoever sends more has his stream reset.
const MOST: u64 = 64 * 1024;

/// How long they may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes in what is left of a body, if that is little and comes soon.
pub(super) async fn take_in(mut body: Incoming) {
    if body.size_hint().lower() > MOST {
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
