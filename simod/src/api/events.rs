//! The live feed as server-sent events: an ACS follows its own messages, an operator their client's.
//!
//! Resuming with `Last-Event-ID` skips nothing, and may repeat; a cursor that cannot be resumed from is answered with an
//! event `reset`.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{Response, sse},
};
use futures_util::{StreamExt as _, stream};
use http::HeaderMap;
use simo_common::{
    api::{
        event::{Event, EventKind},
        problem::Problem,
    },
    page::{decode_cursor, encode_cursor},
    people::Role,
    time::from_us,
};
use tokio::{sync::watch, time::Instant};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    ApiResult,
    auth::{OwnToken, Reader},
    sse::respond,
};
use crate::{
    app::App,
    news,
    store::{FeedPosition, FeedScope, Result, TokenHolder},
};

/// Reads are at least this far apart: 20 a second at most.
const PAUSE: Duration = Duration::from_millis(50);

/// Without a wake-up, the next read is due after this; a revoked token is served no longer than that.
const POLL: Duration = Duration::from_secs(1);

/// Routes inside the versioned API.
pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(events))
}

/// Follow what happens
///
/// Without `Last-Event-ID` from now on: an id without an event comes at once, to resume from. With it from there on, nothing
/// skipped, repeats possible. A cursor that is too
/// old (events are kept for a day) or not one of ours is answered with an event `reset`: read the history anew, and
/// follow from here.
#[utoipa::path(
    get,
    path = "/events",
    tag = "history",
    operation_id = "follow_events",
    params(
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was read"),
    ),
    responses(
        (status = 200, description = "Events `accepted`, `delivery`, `canceled`, `reset`; each one's data is this",
            body = Event, content_type = "text/event-stream"),
        (status = 401, description = "No token, or a dead one", body = Problem),
        (status = 403, description = "A phone's token", body = Problem),
    )
)]
async fn events(
    State(app): State<Arc<App>>,
    reader: Reader,
    OwnToken(token_hash): OwnToken,
    headers: HeaderMap,
) -> ApiResult<Response> {
    // Before the cursor is read, so that nothing is missed between the two.
    let feed = app.wake.feed.subscribe();
    let resumed =
        headers.get("last-event-id").map(|id| id.to_str().ok().and_then(decode_cursor::<FeedPosition>));
    let (cursor, reset) = match resumed {
        Some(Some(cursor)) => (cursor, false),
        lost => (app.store.feed_end().await?, lost.is_some()),
    };
    let shutdown = app.shutdown.clone();
    let mut follower = Follower {
        scope: FeedScope { client_no: reader.client_no(), acs_no: reader.acs_no() },
        app,
        token_hash,
        cursor,
        feed,
        ready: VecDeque::new(),
        more: true,
        looked: None,
        checked: None,
    };
    if reset {
        follower.reset_to(cursor);
    } else if resumed.is_none() {
        // Clients ignore an event without data but remember its id: a connection lost before the first event can be
        // resumed.
        let begin = sse::Event::default().id(encode_cursor(&cursor));
        follower.ready.push_back(begin);
    }
    let events = stream::unfold(follower, Follower::next).take_until(shutdown.cancelled_owned());
    Ok(respond(events))
}

/// One reader of the feed.
struct Follower {
    app: Arc<App>,
    scope: FeedScope,
    token_hash: Option<[u8; 32]>,
    cursor: FeedPosition,
    feed: watch::Receiver<u64>,
    /// Events read but not yet written.
    ready: VecDeque<sse::Event>,
    /// Whether the last read left events behind.
    more: bool,
    /// When the feed was last read.
    looked: Option<Instant>,
    /// When the token was last checked.
    checked: Option<Instant>,
}

impl Follower {
    /// The next event; `None` when the reader's token is not valid any more.
    async fn next(mut self) -> Option<(sse::Event, Self)> {
        loop {
            // A slow reader may take events long after they were read; then its token is checked again.
            let stale = self.checked.is_none_or(|at| at.elapsed() >= POLL);
            if stale && !self.may_go_on().await {
                return None;
            }
            if let Some(event) = self.ready.pop_front() {
                return Some((event, self));
            }
            self.wait().await;
            self.feed.mark_unchanged();
            if let Err(error) = self.read().await {
                news::warn("the live feed could not be read; it is tried again", &error);
                self.more = false;
            }
            self.looked = Some(Instant::now());
            // After the read: a token revoked before it gets none of these events.
            self.checked = None;
        }
    }

    /// Sleeps until something may have happened, and the last read is long enough ago.
    async fn wait(&mut self) {
        let Some(looked) = self.looked else { return };
        if !self.more {
            tokio::select! {
                // The sender lives as long as the app, which we hold.
                _ = self.feed.changed() => {}
                () = tokio::time::sleep_until(looked + POLL) => {}
            }
            tokio::time::sleep_until(looked + PAUSE).await;
        }
    }

    async fn read(&mut self) -> Result<()> {
        if let Some(piece) = self.app.store.feed_after(self.scope, self.cursor).await? {
            self.cursor = piece.read_to;
            self.more = piece.more;
            self.ready.extend(piece.events.iter().map(|(position, event)| written(*position, event)));
        } else {
            let end = self.app.store.feed_end().await?;
            self.reset_to(end);
        }
        Ok(())
    }

    /// Tells the reader to start over, and continues from `position`.
    fn reset_to(&mut self, position: FeedPosition) {
        self.cursor = position;
        self.more = false;
        let event = Event {
            kind: EventKind::Reset,
            at: from_us(self.app.clock().now()),
            client: String::new(),
            message_id: Uuid::nil(),
            acs: String::new(),
            external_id: None,
            personnel_no: None,
            state: None,
        };
        self.ready.push_back(written(position, &event));
    }

    /// Whether the token is still valid, and for the same client. When the database cannot say, nothing is written.
    async fn may_go_on(&mut self) -> bool {
        self.checked = Some(Instant::now());
        let Some(hash) = &self.token_hash else {
            return true;
        };
        let client_no = self.scope.client_no;
        match self.app.store.token_holder(hash).await {
            Ok(Some(TokenHolder::Acs(acs))) => acs.client_no == client_no,
            Ok(Some(TokenHolder::Operator(operator))) => match operator.client {
                Some((id, _)) => id == client_no,
                None => operator.role == Role::Owner,
            },
            Ok(Some(TokenHolder::Device(_)) | None) => false,
            Err(error) => {
                tracing::warn!(%error, "a reader of the live feed could not be checked, and is cut off");
                false
            }
        }
    }
}

fn written(position: FeedPosition, event: &Event) -> sse::Event {
    let line = sse::Event::default().id(encode_cursor(&position)).event(event.kind.as_str());
    // An event is plain data, which always serialises.
    line.json_data(event).unwrap_or_default()
}

#[cfg(test)]
mod tests;
