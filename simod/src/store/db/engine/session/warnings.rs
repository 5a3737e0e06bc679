//! Warnings that a server sends before its answer.
//!
//! A server whose wait for a synchronous standby is canceled answers the commit with success, and warns that it may be
//! lost. sqlx gives no access to warnings: it logs them, and these log events are captured here while its answer is
//! awaited, whatever simod itself logs. An event has the severity and the server's text, which may be in any language,
//! but not the code.

use std::{cell::RefCell, fmt, future::poll_fn, pin::pin, sync::LazyLock};

use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber, dispatcher,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
};

/// The log target under which sqlx logs the server's notices.
const NOTICES: &str = "sqlx::postgres::notice";

/// Made once: each new dispatcher makes every logging call site be evaluated anew.
static LISTENER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Listener));

thread_local! {
    static HEARD: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The server's answer, and the last warning sent with it.
pub(crate) async fn with_warning<T>(answer: impl Future<Output = T>) -> (T, Option<String>) {
    let mut answer = pin!(answer);
    let mut warning = None;
    let answer = poll_fn(|context| {
        let _listening = dispatcher::set_default(&LISTENER);
        let polled = answer.as_mut().poll(context);
        if let Some(heard) = HEARD.take() {
            warning = Some(heard);
        }
        polled
    })
    .await;
    (answer, warning)
}

/// Receives warnings and errors only.
struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == NOTICES && *metadata.level() <= Level::WARN
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        HEARD.set(Some(words.0));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
