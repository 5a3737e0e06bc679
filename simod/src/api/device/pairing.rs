//! Pairing a phone, changing its address, unpairing it.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use simo_common::{
    api::{
        device::{ChannelAddress, Pair, Paired, PairedEmployee, Preview, Previewed},
        problem::Problem,
    },
    lang::{Lang, Text},
    people::first_name,
    text,
    token::{self, TokenKind},
};

use super::notices;
use crate::{
    actor,
    api::{
        ApiError, ApiResult, Peer,
        auth::{self, Phone},
        body::Json,
        codes, guard,
        middleware::Language,
    },
    app::App,
    channel::ChannelKind,
    store::{NewDevice, PairedDevice, Pairing, PreviewedCode, Way},
};

/// Characters of a device's or person's name.
pub(super) const NAME_CHARS: usize = 100;
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
    Language(lang): Language,
    Json(pair): Json<Pair>,
) -> ApiResult<axum::Json<Paired>> {
    let mut errors = Vec::new();
    let name = text_field("name", &pair.name, NAME_CHARS, &mut errors);
    let platform = text_field("platform", &pair.platform, PLATFORM_CHARS, &mut errors);
    let way = way(&app, "channel.", &pair.channel, lang, &mut errors);
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
    let key_hash = pair.key.as_ref().map(|key| {
        if !is_key(key) {
            errors.push((
                "key".to_owned(),
                text!("22 to 64 characters of base64url", "от 22 до 64 символов base64url"),
            ));
        }
        token::hash(&format!("{code} {key}"))
    });
    let Some(way) = way.filter(|_| errors.is_empty()) else {
        return Err(ApiError::invalid(errors));
    };
    let token = token::generate(TokenKind::Device);
    let device = Arc::new(NewDevice {
        code_hash: token::hash(&code),
        key_hash,
        way,
        name,
        platform,
        token_hash: token::hash(&token),
        token_shown: token::shown(&token),
    });
    let pair = || async {
        let attempt = attempt(Arc::clone(&app), Arc::clone(&device));
        // In a task of its own, so that the person's other phones are told even if the phone hangs up.
        tokio::spawn(actor::serve(peer.origin(), attempt)).await.unwrap_or_else(|fault| {
            tracing::error!(%fault, "a pairing is lost");
            Err(ApiError::internal())
        })
    };
    let paired = codes::look_up(&app, peer, pair).await?;
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

async fn attempt(app: Arc<App>, device: Arc<NewDevice>) -> ApiResult<Option<PairedDevice>> {
    let paired = match app.store.pair(&device).await? {
        Pairing::Done(paired) => paired,
        Pairing::NextSecond => return Ok(None),
        Pairing::WrongCode => return Err(codes::wrong()),
        Pairing::Blocked => return Err(auth::blocked()),
    };
    app.wake.pushes.notify_one();
    if let (true, Some(url)) = (device.platform.starts_with("web"), app.config.origin()) {
        // The phone is paired, so the answer must say so all the same. The next pairing stores the origin.
        if let Err(error) = app.store.keep_web_origin(&url).await {
            tracing::warn!(%error, "the address at which browsers know the app was not kept");
        }
    }
    if let Some(lang) = paired.others_lang {
        notices::new_phone(&app, &paired, &device.name, lang).await;
    }
    Ok(Some(paired))
}

/// Ask whose code it is
///
/// Before a phone is paired, its person is shown the client and a first name. The code stays unused.
#[utoipa::path(
    post,
    path = "/device/pair/preview",
    tag = "device",
    operation_id = "preview_pairing",
    security(()),
    request_body = Preview,
    responses(
        (status = 200, description = "Who is invited", body = Previewed),
        (status = 403, description = "`wrong_code`: unknown, used or expired; `blocked`: the employee is", body = Problem),
        (status = 422, description = "Fields are not valid", body = Problem),
        (status = 429, description = "Too many codes of this address wait to be looked up; see Retry-After", body = Problem),
    )
)]
pub(super) async fn preview(
    State(app): State<Arc<App>>,
    peer: Peer,
    Json(asked): Json<Preview>,
) -> ApiResult<axum::Json<Previewed>> {
    let code_hash = token::hash(&token::normalize_code(&asked.code));
    let preview = || async {
        match app.store.preview_code(&code_hash).await? {
            PreviewedCode::Known { client, full_name } => {
                Ok(Some(Previewed { client, first_name: first_name(&full_name).to_owned() }))
            }
            PreviewedCode::NextSecond => Ok(None),
            PreviewedCode::WrongCode => Err(codes::wrong()),
            PreviewedCode::Blocked => Err(auth::blocked()),
        }
    };
    codes::look_up(&app, peer, preview).await.map(axum::Json)
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
        (status = 429, description = "More than 20 in an hour; see Retry-After", body = Problem),
    )
)]
pub(super) async fn change_channel(
    State(app): State<Arc<App>>,
    Phone(phone): Phone,
    Language(lang): Language,
    Json(channel): Json<ChannelAddress>,
) -> ApiResult<StatusCode> {
    app.ways.take(phone.device_no, app.clock().now()).map_err(too_often)?;
    let mut errors = Vec::new();
    let Some(way) = way(&app, "", &channel, lang, &mut errors) else {
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

/// Whether a phone's own key looks like one and is too long to be guessed.
fn is_key(key: &str) -> bool {
    (22..=64).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

type Errors = Vec<(String, Text)>;

/// A name that people read, without the spaces around it.
pub(super) fn text_field(field: &str, text: &str, most: usize, errors: &mut Errors) -> String {
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

/// The way that a phone has sent; `None` when something is wrong with it.
fn way(app: &App, prefix: &str, said: &ChannelAddress, lang: Lang, errors: &mut Errors) -> Option<Way> {
    let wrong_kind = |text| Err(vec![("kind", text)]);
    let found = match ChannelKind::from_name(&said.kind) {
        None => wrong_kind(text!(
            "expected `fcm`, `webpush` or `stream`",
            "ожидается `fcm`, `webpush` или `stream`"
        )),
        Some(ChannelKind::WebPush) if app.vapid_key().is_none() => wrong_kind(text!(
            "Web Push is off on this server: an administrator sets `public_url` or `webpush.subject`",
            "Web Push на этом сервере выключен: администратор задаёт `public_url` или `webpush.subject`"
        )),
        Some(channel) => channel.found(said, &app.config.webpush.allowed_hosts).map(|found| (channel, found)),
    };
    match found {
        Ok((channel, found)) => Some(Way {
            channel,
            address: found.address,
            endpoint: found.endpoint,
            lang,
            notifications: said.notifications,
        }),
        Err(wrong) => {
            errors.extend(wrong.into_iter().map(|(field, text)| (format!("{prefix}{field}"), text)));
            None
        }
    }
}

fn too_often(wait: u32) -> ApiError {
    let detail = text!(
        "this phone has said too often which way leads to it",
        "этот телефон слишком часто сообщал свой адрес"
    );
    guard::too_soon(detail, wait)
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;
    use simo_common::time::HOUR;

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
            (json!({"kind": "stream", "endpoint": "https://a"}), "channel.endpoint"),
            (json!({"kind": "webpush"}), "channel.kind"),
            (json!({"kind": "stream", "address_kind": "a"}), "channel.address_kind"),
        ] {
            assert_eq!(refused(channel).await, format!("{rest} {field} code"));
        }
    }

    #[tokio::test]
    async fn a_browser_is_reached_by_its_subscription_and_may_say_so_twenty_times_an_hour() {
        let plant = Plant::new().await;
        let phone = plant.phone(plant.employee(1).await, None).await;
        let app = plant.app();
        app.set_vapid_key("BKey");
        let put = async |endpoint: &str, auth: &str| {
            let p256dh =
                "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
            let body =
                json!({"kind": "webpush", "endpoint": endpoint, "keys": {"p256dh": p256dh, "auth": auth}});
            let (status, said) =
                call(&app, Method::PUT, "/device/channel", Some(&phone.token), Some(body)).await;
            (status.as_u16(), said)
        };
        let (endpoint, auth) =
            ("https://updates.push.services.mozilla.com/wpush/v2/x", "BTBZMqHH6r4Tts7J_aSIgg");
        assert_eq!(put(endpoint, auth).await.0, 204);
        let (_, own) = call(&app, Method::GET, "/device", Some(&phone.token), None).await;
        assert_eq!((&own["channel"]["endpoint"], &own["webpush"]["key"]), (&json!(endpoint), &json!("BKey")));
        assert_eq!(plant.texts("select lang from device").await, ["en"]);
        let (status, refused) = put("https://ntfy.plant.example/up", "AAAA").await;
        assert_eq!(status, 422);
        assert_eq!(refused["errors"][0]["field"], "endpoint");
        assert_eq!(refused["errors"][1]["field"], "keys.auth");
        assert!(refused["errors"][0]["detail"].as_str().unwrap().contains("webpush.allowed_hosts"));
        for _ in 0..18 {
            assert_eq!(put(endpoint, auth).await.0, 204);
        }
        let (status, refused) = put(endpoint, auth).await;
        assert_eq!((status, &refused["code"]), (429, &json!("rate_limited")));
        plant.advance(HOUR);
        assert_eq!(put(endpoint, auth).await.0, 204);
    }
}
