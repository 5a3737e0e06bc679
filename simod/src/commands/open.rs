//! Opens the database at the start: a server may come up later than we do.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use simo_common::{
    command_line,
    lang::{Lang, Wrong},
};
use simod::{
    clock::Clock,
    store::{Place, Store},
};
use tokio_util::sync::CancellationToken;

/// The first and the longest pause between two tries.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Parses how long to wait: a span of time, or 0.
pub(super) fn wait(text: &str) -> Result<Duration, Wrong> {
    let seconds = if text == "0" { 0 } else { command_line::seconds(text)? };
    Ok(Duration::from_secs(seconds.unsigned_abs()))
}

/// Opens the database. Server errors that may pass are waited out, and logged whenever they change. `None`: stopped
/// meanwhile.
///
/// # Errors
/// When an error is permanent, or has lasted too long.
pub(super) async fn store(
    place: &Place,
    wait: Duration,
    shutdown: &CancellationToken,
    lang: Lang,
) -> anyhow::Result<Option<Store>> {
    let began = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut logged = String::new();
    loop {
        let opened = tokio::select! {
            // A migration in progress is rolled back.
            () = shutdown.cancelled() => return Ok(None),
            opened = Store::open_at(place, Clock::System) => opened,
        };
        let error = match opened {
            Ok(store) => {
                if !logged.is_empty() {
                    tracing::info!("the database is there, after {} s", began.elapsed().as_secs());
                }
                return Ok(Some(store));
            }
            Err(error) => error,
        };
        let passes = matches!(place, Place::Server { .. }) && error.passes();
        if !passes || wait.is_zero() {
            return Err(error.into());
        }
        let left = wait.saturating_sub(began.elapsed());
        if left.is_zero() {
            let waited = wait.as_secs();
            return Err(error).context(lang.pick(
                format!("waited {waited} s for the database (--wait)"),
                format!("база данных не появилась за {waited} с (--wait)"),
            ));
        }
        let why = error.to_string();
        if why != logged {
            tracing::warn!("waiting for the database, {} s more at most: {why}", left.as_secs());
            logged = why;
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(pause.min(left)) => {}
        }
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}
