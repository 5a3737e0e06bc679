//! What is answered to one-time codes that do not let in: of pairing and of logging in.

use http::StatusCode;
use simo_common::text;

use super::error::ApiError;

/// The error for a one-time code that does not let in.
pub(super) fn wrong() -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "wrong_code",
        text!("the code is wrong, used or expired", "код неверен, уже использован или истёк"),
    )
    .hint(text!(
        "check it, or ask an administrator for a new one",
        "проверьте код или запросите новый у администратора"
    ))
}

/// The error for an address from which too many codes were guessed.
pub(super) fn too_many(retry_after: u32) -> ApiError {
    ApiError {
        retry_after: Some(retry_after),
        ..ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_attempts",
            text!(
                "too many wrong codes came from this address",
                "с этого адреса пришло слишком много неверных кодов"
            ),
        )
    }
    .hint(text!("try again in {retry_after} s", "повторите через {retry_after} с"))
}
