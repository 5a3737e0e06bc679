//! Reads the rest of a request's body before the answer leaves.
//!
//! Not every client looks for an answer before it has sent everything. Over HTTP/2 an answer that ends before its request
//! is followed by a reset of the stream, and some clients (curl before 8.0) then lose the answer; over HTTP/1.1 the
//! connection is closed, and a client that is still sending sees only that. So the rest is read first if it comes soon.

use std::{pin::Pin, time::Duration};

use http::{Request, Version, header};
use hyper::body::{Body as _, Incoming};

/// The most bytes read. Beyond that the stream is reset, or the connection closed.
const MOST: u64 = 128 * 1024 * 1024;

/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the body is coming. Not if the client waits for our `100 Continue`: reading would send it.
pub(super) fn is_on_its_way<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_2 || !request.headers().contains_key(header::EXPECT)
}

/// Reads the rest of a body, if it is not too long and comes soon.
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
