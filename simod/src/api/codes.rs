//! One-time codes, for pairing and for logging in: how they are looked up, and the answers to codes that are not valid.

use std::time::Duration;

use http::StatusCode;
use simo_common::{lang::Text, text, time::SECOND};

use super::{ApiResult, Peer, error::ApiError};
use crate::app::App;

/// How long the answer to a wrong code is held, after the address had too many failures in this minute.
const HELD: Duration = Duration::from_secs(1);

/// Looks a code up when its turn comes. `attempt` returns `None` when this second's lookups are used up.
pub(super) async fn look_up<T, Attempt>(app: &App, peer: Peer, attempt: impl Fn() -> Attempt) -> ApiResult<T>
where
    Attempt: Future<Output = ApiResult<Option<T>>>,
{
    // Nobody guesses on the local socket.
    let address = peer.network();
    let (_place, is_held) = match &address {
        Some(address) => {
            let is_held = app.guard.may_try(address, app.clock().now()).is_err();
            let place = app.guard.codes.place(address, is_held).await.ok_or_else(too_many_at_once)?;
            (Some(place), is_held)
        }
        None => (None, false),
    };
    let found = in_turn(app, attempt).await;
    if is_held && found.as_ref().is_err_and(|error| error.code == WRONG) {
        tokio::time::sleep(HELD).await;
    }
    found
}

async fn in_turn<T, Attempt>(app: &App, attempt: impl Fn() -> Attempt) -> ApiResult<T>
where
    Attempt: Future<Output = ApiResult<Option<T>>>,
{
    let _turn = app.guard.codes.turn().await;
    loop {
        if let Some(found) = attempt().await? {
            return Ok(found);
        }
        let left = SECOND - app.clock().now() % SECOND;
        tokio::time::sleep(Duration::from_micros(left as u64)).await;
    }
}

/// The key under which wrong login codes are counted: of IPv6 the part that the address's owner cannot choose.
pub(super) fn counted_under(peer: Peer) -> String {
    peer.network().unwrap_or_else(|| peer.origin().to_string())
}

const WRONG: &str = "wrong_code";

/// The error for a one-time code that is not valid.
pub(super) fn wrong() -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        WRONG,
        text!("the code is wrong, used or expired", "код неверен, уже использован или истёк"),
    )
    .hint(text!(
        "check it, or ask an administrator for a new one",
        "проверьте код или запросите новый у администратора"
    ))
}

/// The error for an address that guessed too many login codes.
pub(super) fn too_many(retry_after: u32) -> ApiError {
    let detail = text!(
        "too many wrong codes came from this address",
        "с этого адреса пришло слишком много неверных кодов"
    );
    wait(detail, retry_after)
}

/// The error for an address with too many codes waiting to be looked up.
fn too_many_at_once() -> ApiError {
    let detail = text!(
        "too many codes came from this address at once",
        "с этого адреса пришло слишком много кодов сразу"
    );
    wait(detail, 5)
}

fn wait(detail: Text, retry_after: u32) -> ApiError {
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", detail)
        .after(retry_after)
        .hint(text!("try again in {retry_after} s", "повторите через {retry_after} с"))
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use http::Method;
    use serde_json::{Value, json};
    use tokio_util::{sync::CancellationToken, task::TaskTracker};

    use super::*;
    use crate::{
        config::Config,
        testing::{Plant, call_from},
    };

    async fn pair(app: Arc<App>, address: String, code: String) -> (StatusCode, Value) {
        let peer = Peer::Tcp(Some(format!("{address}:4711").parse().unwrap()));
        let body =
            json!({"code": code, "channel": {"kind": "stream"}, "name": "Телефон", "platform": "android"});
        call_from(&app, peer, Method::POST, "/device/pair", None, Some(body)).await
    }

    #[tokio::test]
    async fn in_a_flood_of_guesses_few_are_looked_up_and_a_right_code_has_its_turn() {
        let plant = Plant::new().await;
        let employee = plant.employee(1).await;
        let code = plant.invite(employee).await;
        let app = plant.app();
        let looked_up = async || {
            let all = "select cast(coalesce(sum(count), 0) as integer) from attempt where key like 'codes %'";
            plant.number(all).await.unwrap()
        };
        let guesses: Vec<_> = (1..=30)
            .map(|guess| {
                let address = format!("192.0.2.{}", guess % 15);
                tokio::spawn(pair(app.clone(), address, format!("WRONG{guess}")))
            })
            .collect();
        while looked_up().await < 20 {
            tokio::task::yield_now().await;
        }
        let right = tokio::spawn(pair(app.clone(), "198.51.100.7".to_owned(), code));
        // Ten guesses and the right code wait: none of them is looked up until the second is over.
        let first = guesses.iter().filter(|guess| guess.is_finished()).count();
        assert!(first <= 20, "{first}");
        assert!(!right.is_finished());
        assert_eq!(looked_up().await, 20);
        plant.advance(SECOND);
        let (status, paired) = right.await.unwrap();
        assert_eq!(status, 200, "{paired}");
        for guess in guesses {
            let (status, problem) = guess.await.unwrap();
            assert_eq!((status.as_u16(), &problem["code"]), (403, &json!("wrong_code")));
        }
        assert_eq!(looked_up().await, 30, "the right one is no guess");
    }

    #[tokio::test]
    async fn past_the_limit_wrong_codes_are_answered_late_and_right_ones_pair() {
        let plant = Plant::new().await;
        let employee = plant.employee(1).await;
        let config = Config { failures_per_minute: 2, ..Config::default() };
        let app = App::new(config, plant.store.clone(), None, &TaskTracker::new(), CancellationToken::new());
        let here = || "192.0.2.1".to_owned();
        for _ in 0..2 {
            pair(app.clone(), here(), "WRONG".to_owned()).await;
        }
        let asked = Instant::now();
        let (status, _) = pair(app.clone(), here(), "WRONG".to_owned()).await;
        assert_eq!(status, 403);
        assert!(asked.elapsed() >= HELD);
        let (status, paired) = pair(app, here(), plant.invite(employee).await).await;
        assert_eq!(status, 200, "{paired}");
    }
}
