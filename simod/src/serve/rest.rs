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
const MOST_OF_CONNECTION: u64 = 16 * 1024 * 1024;

/// How long they may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much of a body may be left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    most: u64,
}

impl Left {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let most = match request.version() {
            Version::HTTP_2 => MOST_OF_STREAM,
            // He waits for us: to read would be to tell him to send.
            _ if request.headers().contains_key(header::EXPECT) => 0,
            _ => MOST_OF_CONNECTION,
        };
        Self { most }
    }

    /// Takes in what is left of a body, if that is not too much and comes soon.
    pub(super) async fn take_in(self, mut body: Incoming) {
        if body.size_hint().lower() > self.most || body.is_end_stream() || self.most == 0 {
            return;
        }
        let taken = async {
            let mut left = self.most;
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
}
