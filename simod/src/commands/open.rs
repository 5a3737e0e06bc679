//! Opening the database at the start: a server may be there later than we are.

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

/// Pauses between two tries: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Reads how long to wait: a span of time, or 0.
pub(super) fn wait(text: &str) -> Result<Duration, Wrong> {
    let seconds = if text == "0" { 0 } else { command_line::seconds(text)? };
    Ok(Duration::from_secs(seconds.unsigned_abs()))
}

/// Opens the database. What is wrong with a server and may pass is waited for, and logged whenever it changes. `None`: we were
/// stopped meanwhile.
///
/// # Errors
/// What does not pass, or has not passed for so long.
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
            // A migration that is under way is undone.
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
