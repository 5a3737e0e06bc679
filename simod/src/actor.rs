//! Who acts: the caller of the request that is being served, as the audit names him.
//!
//! It goes along with the task and not through every signature, because all that changes anything would have to pass it
//! on to the one place that writes it down ([`crate::store`]). What nobody asked for is done by `simod`.

use std::{fmt, net::IpAddr, sync::OnceLock};

/// What the daemon does of itself.
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
    /// Known once his token has been looked up.
    who: OnceLock<String>,
}

/// Who acts, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Actor {
    /// Such as `operator ivanov`.
    pub(crate) who: String,
    /// Such as his network address; nothing of what nobody asked for.
    pub(crate) from: Option<Origin>,
}

/// Serves a request.
pub(crate) async fn serve<T>(from: Origin, request: impl Future<Output = T>) -> T {
    let who = OnceLock::new();
    ACTING.scope(Acting { from, who }, request).await
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
