//! A phone comes, changes its address, and goes.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use simo_common::{
    api::{
        device::{ChannelAddress, Pair, Paired, PairedEmployee},
        problem::Problem,
    },
    lang::Text,
    text,
    token::{self, TokenKind},
};

use crate::{
    api::{
        ApiError, ApiResult, Peer,
        auth::{self, Phone},
        body::Json,
        codes,
    },
    app::App,
    channel::ChannelKind,
    store::{NewDevice, Pairing, Way},
};

/// Characters of a device's name.
const NAME_CHARS: usize = 100;
/// Characters of a platform's name.
const PLATFORM_CHARS: usize = 32;

/// Pair a phone
///
/// The code from an invitation for a token of its own.
#[utoipa::path(
    post,
    path = "/device/pair",
    tag = "device",
    operation_id = "pair",
    security(()),
    request_body = Pair,
    responses(
        (status = 200, description = "The phone is paired; the token is shown this once", body = Paired),
        (status = 403, description = "`wrong_code`: unknown, used or expired; `blocked`: the employee is", body = Problem),
        (status = 422, description = "Fields are not valid", body = Problem),
        (status = 429, description = "Too many codes of this address wait to be looked up; see Retry-After", body = Problem),
    )
)]
pub(super) async fn pair(
    State(app): State<Arc<App>>,
    peer: Peer,
    Json(pair): Json<Pair>,
) -> ApiResult<axum::Json<Paired>> {
    let mut errors = Vec::new();
    let name = text_field("name", &pair.name, NAME_CHARS, &mut errors);
    let platform = text_field("platform", &pair.platform, PLATFORM_CHARS, &mut errors);
    let way = way("channel.", &pair.channel, &mut errors);
    let code = token::normalize_code(&pair.code);
    if code.is_empty() {
        errors.push((
            "code".to_owned(),
            text!(
                "the code from the invitation, such as K7QD-M2XA-9F",
                "код из приглашения, например K7QD-M2XA-9F"
            ),
        ));
    }
    let Some(way) = way.filter(|_| errors.is_empty()) else {
        return Err(ApiError::invalid(errors));
    };
    let token = token::generate(TokenKind::Device);
    let device = NewDevice {
        code_hash: token::hash(&code),
        way,
        name,
        platform,
        token_hash: token::hash(&token),
        token_shown: token::shown(&token),
    };
    let pair = || async {
        match app.store.pair(&device).await? {
            Pairing::Done(paired) => Ok(Some(paired)),
            Pairing::NextSecond => Ok(None),
            Pairing::WrongCode => Err(codes::wrong()),
            Pairing::Blocked => Err(auth::blocked()),
        }
    };
    let paired = codes::look_up(&app, peer, pair).await?;
    app.wake.pushes.notify_one();
    Ok(axum::Json(Paired {
        token,
        device_id: paired.device_id,
        employee: PairedEmployee {
            personnel_no: paired.personnel_no,
            full_name: paired.full_name,
            client: paired.client,
        },
    }))
}

/// Change the way to the phone
///
/// What waits for it goes there at once. The way that is known already is a sign of life.
#[utoipa::path(
    put,
    path = "/device/channel",
    tag = "device",
    operation_id = "change_channel",
    request_body = ChannelAddress,
    responses(
        (status = 204, description = "Stored"),
        (status = 401, description = "No token, or a dead one", body = Problem),
        (status = 403, description = "`blocked`: the employee is", body = Problem),
        (status = 422, description = "Fields are not valid", body = Problem),
    )
)]
pub(super) async fn change_channel(
    State(app): State<Arc<App>>,
    Phone(phone): Phone,
    Json(channel): Json<ChannelAddress>,
) -> ApiResult<StatusCode> {
    let mut errors = Vec::new();
    let Some(way) = way("", &channel, &mut errors) else {
        return Err(ApiError::invalid(errors));
    };
    app.store.change_way(&phone, &way).await?;
    app.wake.pushes.notify_one();
    app.wake.feed();
    Ok(StatusCode::NO_CONTENT)
}

/// Leave
///
/// The phone's token is dead, and nothing is sent to it any more.
#[utoipa::path(
    delete,
    path = "/device",
    tag = "device",
    operation_id = "leave",
    responses(
        (status = 204, description = "The phone is no device of the employee any more"),
        (status = 401, description = "No token, or a dead one", body = Problem),
        (status = 403, description = "`blocked`: the employee is", body = Problem),
    )
)]
pub(super) async fn leave(State(app): State<Arc<App>>, Phone(phone): Phone) -> ApiResult<StatusCode> {
    app.store.leave(&phone).await?;
    app.wake.feed();
    Ok(StatusCode::NO_CONTENT)
}

type Errors = Vec<(String, Text)>;

/// A name that people read, without the spaces around it.
fn text_field(field: &str, text: &str, most: usize, errors: &mut Errors) -> String {
    let text = text.trim();
    let chars = text.chars().count();
    if chars == 0 || chars > most || text.chars().any(char::is_control) {
        errors.push((
            field.to_owned(),
            text!("1 to {most} characters, no control characters", "от 1 до {most} символов без управляющих"),
        ));
    }
    text.to_owned()
}

/// The way to a phone as it says; `None` when something is wrong with it.
fn way(prefix: &str, said: &ChannelAddress, errors: &mut Errors) -> Option<Way> {
    let Some(channel) = ChannelKind::from_name(&said.kind) else {
        let text = text!("expected `fcm` or `stream`", "ожидается `fcm` или `stream`");
        errors.push((format!("{prefix}kind"), text));
        return None;
    };
    match channel.address(said) {
        Ok(address) => Some(Way { channel, address, notifications: said.notifications }),
        Err(wrong) => {
            errors.extend(wrong.into_iter().map(|(field, text)| (format!("{prefix}{field}"), text)));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;

    use crate::testing::{Plant, call};

    #[tokio::test]
    async fn a_phone_pairs_changes_its_address_and_leaves() {
        let plant = Plant::new().await;
        let employee = plant.employee(1).await;
        let app = plant.app();
        let pair = json!({
            "code": plant.invite(employee).await,
            "channel": {"kind": "fcm", "address": "abc:def"},
            "name": " Телефон ", "platform": "android",
        });
        let (status, paired) = call(&app, Method::POST, "/device/pair", None, Some(pair.clone())).await;
        assert_eq!(status, 200, "{paired}");
        assert_eq!(paired["employee"]["personnel_no"], "0001");
        assert_eq!(plant.texts("select name from device").await, ["Телефон"]);
        let (status, again) = call(&app, Method::POST, "/device/pair", None, Some(pair)).await;
        assert_eq!((status.as_u16(), &again["code"]), (403, &json!("wrong_code")));

        let token = paired["token"].as_str();
        let stream = json!({"kind": "stream"});
        let (status, _) = call(&app, Method::PUT, "/device/channel", token, Some(stream.clone())).await;
        assert_eq!(status, 204);
        plant.run("update employee set blocked_at = 1").await;
        let (status, refusal) = call(&app, Method::PUT, "/device/channel", token, Some(stream)).await;
        assert_eq!((status.as_u16(), &refusal["code"]), (403, &json!("blocked")));
        plant.run("update employee set blocked_at = null").await;
        let (status, _) = call(&app, Method::DELETE, "/device", token, None).await;
        assert_eq!(status, 204);
        let (status, _) = call(&app, Method::DELETE, "/device", token, None).await;
        assert_eq!(status, 401);
    }

    #[tokio::test]
    async fn every_wrong_field_of_a_pairing_is_named() {
        let app = Plant::new().await.app();
        let refused = async |channel: serde_json::Value| {
            let pair = json!({"code": "-", "channel": channel, "name": " ", "platform": "a\nb"});
            let (status, problem) = call(&app, Method::POST, "/device/pair", None, Some(pair)).await;
            assert_eq!(status, 422, "{problem}");
            let fields = problem["errors"].as_array().unwrap().iter();
            let fields: Vec<_> = fields.map(|error| error["field"].as_str().unwrap().to_owned()).collect();
            fields.join(" ")
        };
        let rest = "name platform";
        for (channel, field) in [
            (json!({"kind": "pigeon"}), "channel.kind"),
            (json!({"kind": "fcm"}), "channel.address"),
            (json!({"kind": "fcm", "address": "a".repeat(4097)}), "channel.address"),
            (json!({"kind": "stream", "address": "a"}), "channel.address"),
            (json!({"kind": "stream", "address_kind": "a"}), "channel.address_kind"),
        ] {
            assert_eq!(refused(channel).await, format!("{rest} {field} code"));
        }
    }
}
