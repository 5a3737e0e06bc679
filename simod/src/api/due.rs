//! The deadline for an answer, whatever the database does.

use std::time::Duration;

use http::Extensions;
use tokio::time::{Instant, timeout_at};

use super::ApiError;
use crate::batch::Unanswered;

/// We promise ten seconds from the last byte of the request's body; the rest is for the network.
const WITHIN: Duration = Duration::from_secs(9);

/// When the answer is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due(Instant);

impl Due {
    /// For a request that has come now.
    pub(super) fn from_now() -> Self {
        Self(Instant::now() + WITHIN)
    }

    /// The request's deadline: an earlier layer may have started the clock.
    pub(super) fn of(request: &Extensions) -> Self {
        request.get().copied().unwrap_or_else(Self::from_now)
    }

    /// Waits for the request, and moves the deadline by as long.
    pub(super) async fn after<T>(&mut self, coming: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let came = coming.await;
        self.0 += begun.elapsed();
        came
    }

    /// The result of `work`.
    ///
    /// # Errors
    /// 503 when that takes too long.
    pub(super) async fn hold<T>(self, work: impl Future<Output = T>) -> Result<T, ApiError> {
        timeout_at(self.0, work).await.map_err(|_| ApiError::unavailable().for_poster())
    }

    /// The moment itself.
    pub(super) fn at(self) -> Instant {
        self.0
    }
}

impl From<Unanswered> for ApiError {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::NotBegun => Self::unavailable(),
            Unanswered::OutcomeUnknown => Self::outcome_unknown(),
        }
    }
}
