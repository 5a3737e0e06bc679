//! Who acts: the caller of the request that is being served, as the audit names him.
//!
//! It goes along with the task and not through every signature, because all that changes anything would have to pass it
//! on to the one place that writes it down ([`crate::store`]). What nobody asked for is done by `simod`.

use std::sync::{Arc, OnceLock};

/// What the daemon does of itself.
const OURSELVES: &str = "simod";

tokio::task_local! {
    static ACTING: Arc<Acting>;
}

#[derive(Debug)]
struct Acting {
    from: String,
    /// Known once his token has been looked up.
    who: OnceLock<String>,
}

/// Who acts, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Actor {
    /// Such as `operator ivanov`.
    pub(crate) who: String,
    /// His network address.
    pub(crate) from: Option<String>,
}

/// Serves a request that comes from a network address.
pub(crate) async fn serve<T>(from: String, request: impl Future<Output = T>) -> T {
    let who = OnceLock::new();
    ACTING.scope(Arc::new(Acting { from, who }), request).await
}

/// Says who the caller of the request is.
pub(crate) fn identify(who: impl FnOnce() -> String) {
    // Outside a request there is nobody to identify.
    let _nobody = ACTING.try_with(|acting| acting.who.get_or_init(who).len());
}

/// Who acts now.
pub(crate) fn current() -> Actor {
    let acting = ACTING.try_with(|acting| Actor {
        who: acting.who.get().map_or("unknown", String::as_str).to_owned(),
        from: Some(acting.from.clone()),
    });
    acting.unwrap_or_else(|_| Actor {
        who: OURSELVES.to_owned(),
        from: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_is_its_callers_and_everything_else_our_own() {
        let during = serve("10.0.0.7".to_owned(), async {
            let before = current().who;
            identify(|| "operator ivanov".to_owned());
            identify(|| "operator petrov".to_owned());
            (before, current())
        });
        let (before, during) = during.await;
        assert_eq!(before, "unknown");
        assert_eq!(during.who, "operator ivanov", "the first to say so");
        assert_eq!(during.from.as_deref(), Some("10.0.0.7"));
        assert_eq!(current().who, OURSELVES);
    }
}
