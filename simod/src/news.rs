//! Warnings that recur with every request: the same one is logged once a minute, its repeats at debug level. Otherwise the
//! log would fill a full disk further.

use std::{
    collections::HashMap,
    fmt::Display,
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

const A_MINUTE: Duration = Duration::from_mins(1);

static WARNED: LazyLock<Mutex<Warned>> = LazyLock::new(Mutex::default);

/// Recent warnings, and when they were logged.
#[derive(Debug, Default)]
struct Warned(HashMap<String, Instant>);

impl Warned {
    fn is_news(&mut self, warning: String, now: Instant) -> bool {
        self.0.retain(|_, then| now.duration_since(*then) < A_MINUTE);
        let is_news = !self.0.contains_key(&warning);
        if is_news {
            self.0.insert(warning, now);
        }
        is_news
    }
}

/// Logs an error as a warning.
pub(crate) fn warn(what: &str, error: &dyn Display) {
    let mut warned = WARNED.lock().unwrap_or_else(PoisonError::into_inner);
    let is_news = warned.is_news(format!("{what}: {error}"), Instant::now());
    drop(warned);
    if is_news {
        tracing::warn!(%error, "{what}");
    } else {
        tracing::debug!(%error, "{what}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_reason_is_news_once_a_minute() {
        let (mut warned, now) = (Warned::default(), Instant::now());
        let mut is_news =
            |warning: &str, seconds| warned.is_news(warning.to_owned(), now + Duration::from_secs(seconds));
        assert!(is_news("full", 0) && !is_news("full", 1) && !is_news("full", 59));
        assert!(is_news("locked", 1) && is_news("full", 60) && !is_news("locked", 60));
    }
}
