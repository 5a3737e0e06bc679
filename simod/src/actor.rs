//! The caller of the request that is being served, as the audit names them.
//!
//! Kept with the task instead of passed through every signature: everything that changes data would have to hand it
//! on to the one place that writes it down ([`crate::store`]). Work that no request asked for is attributed to
//! `simod`.

use std::{fmt, net::IpAddr, sync::OnceLock};

/// The actor of work that the daemon does by itself.
const OURSELVES: &str = "simod";

tokio::task_local! {
    static ACTING: Acting;
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The local socket.
    Local,
    /// A network address.
    Address(IpAddr),
    /// A trusted proxy, or the program that the router is nested in, does not say.
    Unknown,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Address(address) => address.fmt(f),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

#[derive(Debug)]
struct Acting {
    from: Origin,
    /// Known once the token has been looked up.
    who: OnceLock<String>,
}

/// The actor, and where the request came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Actor {
    /// Such as `operator ivanov`.
    pub(crate) who: String,
    /// Such as their network address; `None` for work that no request asked for.
    pub(crate) from: Option<Origin>,
}

/// Serves a request that came from `from`.
pub(crate) async fn serve<T>(from: Origin, request: impl Future<Output = T>) -> T {
    let who = OnceLock::new();
    ACTING.scope(Acting { from, who }, request).await
}

/// Records the caller of the request.
pub(crate) fn identify(who: impl FnOnce() -> String) {
    // Outside a request there is no caller to identify.
    let _nobody = ACTING.try_with(|acting| acting.who.get_or_init(who).len());
}

/// The current actor.
pub(crate) fn current() -> Actor {
    let acting = ACTING.try_with(|acting| Actor {
        who: acting.who.get().map_or("unknown", String::as_str).to_owned(),
        from: Some(acting.from),
    });
    acting.unwrap_or_else(|_| Actor { who: OURSELVES.to_owned(), from: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_is_its_callers_and_everything_else_our_own() {
        let from = Origin::Address([10, 0, 0, 7].into());
        let during = serve(from, async {
            let before = current().who;
            identify(|| "operator ivanov".to_owned());
            identify(|| "operator petrov".to_owned());
            (before, current())
        });
        let (before, during) = during.await;
        assert_eq!(before, "unknown");
        assert_eq!(during.who, "operator ivanov", "the first to say so");
        assert_eq!(during.from, Some(from));
        assert_eq!(from.to_string(), "10.0.0.7");
        assert_eq!(current().who, OURSELVES);
    }
}
