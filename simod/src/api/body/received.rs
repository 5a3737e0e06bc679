//! Receiving a request's body whole: a small one as it comes, a large one when there is room for it.

use std::time::Duration;

use axum::{
    RequestExt as _,
    body::{Body, Bytes, HttpBody as _},
    extract::Request,
};
use http::{HeaderMap, StatusCode, header, request::Parts};
use http_body_util::{BodyExt as _, LengthLimitError};
use simo_common::{text, token};
use tokio::time::{Instant, timeout_at};

use crate::{
    api::{ApiError, Peer, auth, due::Due},
    app::App,
    bodies::{Held, SMALL, Whose},
    serve::TooSlow,
    store::TokenHolder,
};

/// Room for a body of unannounced length, in bytes, and the factor by which it grows when that is full.
const FIRST_STEP: usize = 1024 * 1024;
const NEXT_STEP: usize = 4;

/// Time for a body that fills its room, and how much more its first bytes get.
const WHOLE_WITHIN: Duration = Duration::from_mins(5);
const FIRST_BYTES_WITHIN: Duration = Duration::from_secs(30);

/// The body's bytes, up to the route's limit. One announced as longer is refused before any of it is read; one larger
/// than [`SMALL`] waits unread for room, and holds it until the bytes are dropped.
///
/// # Errors
/// 413 and 415; 408 when it comes too slowly; 503 when there is no room for it in time; 401 when it is large and its
/// token is not valid.
pub(crate) async fn read(app: &App, request: Request, due: &mut Due) -> Result<Bytes, ApiError> {
    refuse_packed(request.headers())?;
    let announced = request.body().size_hint().lower();
    let request = request.with_limited_body();
    let most = request.body().size_hint().upper();
    if most.is_some_and(|most| most < announced) {
        return Err(ApiError::too_large());
    }
    if most.is_some_and(|most| most <= SMALL as u64) {
        let body = due.after(request.into_body().collect()).await;
        return Ok(body.map_err(|error| unread(&error))?.to_bytes());
    }
    // Boxed, or the future of every message would have room for it.
    Box::pin(read_large(app, request, due)).await
}

/// Reads a body that is announced as large, or that may become so. Without an announced length it takes room step by
/// step.
async fn read_large(app: &App, request: Request, due: &mut Due) -> Result<Bytes, ApiError> {
    let (parts, mut body) = request.into_parts();
    let size = body.size_hint();
    let most = usize::try_from(size.upper().unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let mut whole = match size.exact() {
        Some(_) => Whole::with_room(app, &parts, most, due).await?,
        None => Whole::default(),
    };
    let mut begun = Instant::now();
    while let Some(data) = due
        .after(timeout_at(whole.next_until(begun), next(&mut body)))
        .await
        .map_err(|_| ApiError::too_slow())??
    {
        let length = whole.bytes.len() + data.len();
        match &mut whole.held {
            None if length > SMALL => {
                let first = std::mem::take(&mut whole.bytes);
                whole = Whole::with_room(app, &parts, most.min(length.max(FIRST_STEP)), due).await?;
                whole.bytes.extend_from_slice(&first);
                begun = Instant::now();
            }
            Some(held) if length > held.bytes() => {
                let bytes = most.min(length.max(held.bytes() * NEXT_STEP));
                if !due.hold(app.bodies.grow(held, bytes)).await? {
                    return Err(ApiError::no_room());
                }
                begun = Instant::now();
                whole.bytes.reserve_exact(held.bytes() - whole.bytes.len());
            }
            _ => {}
        }
        whole.bytes.extend_from_slice(&data);
    }
    if let Some(held) = &mut whole.held {
        held.shrink(whole.bytes.len());
    }
    Ok(Bytes::from_owner(whole))
}

/// A body's next bytes.
async fn next(body: &mut Body) -> Result<Option<Bytes>, ApiError> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|error| unread(&error))?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// The part of a body received so far, and the room that it takes.
#[derive(Default)]
struct Whole {
    bytes: Vec<u8>,
    held: Option<Held>,
}

impl Whole {
    async fn with_room(app: &App, parts: &Parts, bytes: usize, due: &mut Due) -> Result<Self, ApiError> {
        let whose = due.hold(whose(app, parts)).await??;
        let held = due.hold(app.bodies.admit(whose, bytes)).await?.ok_or_else(ApiError::no_room)?;
        // Allocated once: moving it as it grows would take its room twice.
        Ok(Self { bytes: Vec::with_capacity(held.bytes()), held: Some(held) })
    }

    /// Deadline for the next bytes: a slow body must not hold room that others wait for.
    fn next_until(&self, begun: Instant) -> Instant {
        let Some(held) = &self.held else { return begun + Duration::from_hours(1) };
        let share = self.bytes.len() as f64 / held.bytes().max(1) as f64;
        begun + FIRST_BYTES_WITHIN + WHOLE_WITHIN.mul_f64(share)
    }
}

impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Whose room the body takes.
async fn whose(app: &App, parts: &Parts) -> Result<Whose, ApiError> {
    let Some(token) = auth::bearer(&parts.headers)? else {
        let is_owner = Peer::of(&parts.extensions).is_owner();
        return Ok(if is_owner { Whose::Owners } else { Whose::Strangers });
    };
    Ok(match app.store.token_holder(&token::hash(token)).await? {
        Some(TokenHolder::Acs(acs)) => Whose::Client(acs.client_no),
        Some(TokenHolder::Device(device)) => Whose::Client(device.client_no),
        Some(TokenHolder::Operator(operator)) => {
            operator.client.map_or(Whose::Owners, |(client_no, _)| Whose::Client(client_no))
        }
        None => return Err(auth::not_let_in()),
    })
}

/// Refuses compressed bodies.
fn refuse_packed(headers: &HeaderMap) -> Result<(), ApiError> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(packed) if !packed.as_bytes().eq_ignore_ascii_case(b"identity") => Err(ApiError {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            code: "unsupported",
            ..ApiError::field(
                "Content-Encoding",
                text!("must be left out: send the body unpacked", "нужно убрать: тело присылайте несжатым"),
            )
        }),
        _ => Ok(()),
    }
}

/// Why a body was given up.
fn unread(error: &axum::Error) -> ApiError {
    if is_a::<TooSlow>(error) {
        ApiError::too_slow()
    } else if is_a::<LengthLimitError>(error) {
        ApiError::too_large()
    } else {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "bad_request",
            text!("the request's body did not arrive whole", "тело запроса пришло не целиком"),
        )
    }
}

fn is_a<E: std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(<dyn std::error::Error>::is::<E>)
}
