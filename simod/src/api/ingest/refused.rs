//! Why a message was refused, and what to do about it.

use std::sync::Arc;

use http::StatusCode;
use simo_common::{lang::Text, text};

use crate::{
    api::{ApiError, auth, limits},
    app::App,
    intake::Unposted,
    store::{KeyKind, Nobody, Poster, Refusal, TokenHolder},
};

impl From<Unposted> for ApiError {
    fn from(unposted: Unposted) -> Self {
        match unposted {
            Unposted::Refused(refusal) => refused(refusal),
            Unposted::Undone(error) => Self::from(error).for_poster(),
            Unposted::Unanswered(unanswered) => Self::from(unanswered).for_poster(),
        }
    }
}

/// The topic does not exist. The one probably meant is looked up now, when nothing waits for the writer.
pub(super) async fn unknown_topic(app: &Arc<App>, poster: Poster, slug: &str) -> ApiError {
    let error = no_such_topic(slug);
    let client_no = match poster {
        Poster::Operator { client_no, .. } => client_no,
        Poster::Token(hash) => match app.store.token_holder(&hash).await {
            Ok(Some(TokenHolder::Acs(acs))) => acs.client_no,
            _ => return error,
        },
    };
    match app.store.topic_like(client_no, slug).await {
        Ok(Some(meant)) => error.hint(text!("did you mean `{meant}`?", "может быть, «{meant}»?")),
        Ok(None) => error,
        Err(error) => error.into(),
    }
}

fn no_such_topic(slug: &str) -> ApiError {
    ApiError::field("topic", text!("there is no topic `{slug}`", "нет темы «{slug}»")).hint(text!(
        "correct it, or let an administrator make it: simoctl topic add {slug}",
        "исправьте её; создаёт темы администратор: simoctl topic add {slug}"
    ))
}

fn reaches_nobody(nobody: &Nobody) -> ApiError {
    let (blocked, unknown) =
        (nobody.blocked, nobody.counts.unknown.len() as u64 + nobody.counts.more_unknown);
    let without_access = nobody.counts.denied.saturating_sub(blocked);
    let numbers = [
        (blocked, "blocked", "заблокировано"),
        (without_access, "without access", "без доступа"),
        (unknown, "unknown", "неизвестных"),
    ];
    let some = || numbers.iter().filter(|(count, ..)| *count > 0);
    let (mut en, mut ru) = (String::new(), String::new());
    if some().next().is_some() {
        let told: Vec<_> = some().map(|(count, en, _)| format!("{count} {en}")).collect();
        en = format!(" ({})", told.join(", "));
        let told: Vec<_> = some().map(|(count, _, ru)| format!("{ru}: {count}")).collect();
        ru = format!(" ({})", told.join(", "));
    }
    let mut ways: Vec<Text> = Vec::new();
    if blocked > 0 {
        ways.push(text!(
            "unblock the recipients (simoctl employee unblock NO)",
            "разблокируйте получателей (simoctl employee unblock НОМЕР)"
        ));
    }
    if without_access > 0 || (!nobody.is_personal && blocked == 0 && unknown == 0) {
        ways.push(text!("grant the topic to the recipients", "дайте получателям доступ к теме"));
    }
    if unknown > 0 {
        ways.push(text!("correct the names", "исправьте имена"));
    }
    ways.push(text!("set allow_empty", "укажите allow_empty"));
    let mut error = ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "no_recipients",
        text!("nobody would receive this message{en}", "сообщение никто не получит{ru}"),
    )
    .hint(Text::new(
        listed(ways.iter().map(|way| way.en.as_str()), "or"),
        listed(ways.iter().map(|way| way.ru.as_str()), "или"),
    ));
    error.errors = nobody
        .unknown
        .iter()
        .map(|(field, name)| (field.clone(), text!("`{name}` does not exist", "«{name}» не существует")))
        .collect();
    error
}

/// `a`, `a or b`, `a, b or c`.
fn listed<'a>(parts: impl Iterator<Item = &'a str>, or: &str) -> String {
    let parts: Vec<_> = parts.collect();
    match parts.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} {or} {last}", rest.join(", ")),
        None => String::new(),
    }
}

fn refused(refusal: Refusal) -> ApiError {
    let unprocessable = |code, detail| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
    match refusal {
        Refusal::Unauthenticated => auth::not_let_in(),
        Refusal::WrongNetwork(from) => limits::wrong_network(from),
        Refusal::WrongScope(scope) => limits::wrong_scope(scope),
        Refusal::WrongTopic { topic, allowed } => limits::wrong_topic(&topic, &allowed),
        Refusal::TopicNeeded => ApiError::forbidden(text!(
            "this token may not send without a topic",
            "этот токен не может отправлять сообщения без темы"
        ))
        .hint(text!("name a topic", "укажите тему (topic)")),
        Refusal::UnknownTopic(slug) => no_such_topic(&slug),
        Refusal::Nobody(nobody) => reaches_nobody(&nobody),
        Refusal::KeyReused(kind) => {
            let field = match kind {
                KeyKind::IdempotencyKey => "Idempotency-Key",
                KeyKind::ExternalId => "external_id",
            };
            let mut error = unprocessable(
                "key_reused",
                text!(
                    "this {field} was used for a message with another meaning",
                    "этот {field} уже использован для сообщения с другим содержанием"
                ),
            )
            .hint(text!(
                "send the same message again, or another message under a new key",
                "повторите то же сообщение или отправьте новое с другим ключом"
            ));
            error.errors = vec![(
                field.to_owned(),
                text!("belongs to another message", "принадлежит другому сообщению"),
            )];
            error
        }
        Refusal::Invalid(errors) => ApiError::invalid(errors),
        Refusal::TooManyDeliveries => unprocessable(
            "too_many_deliveries",
            text!(
                "the batch would make more than 1,000,000 deliveries",
                "пакет создал бы больше 1 000 000 доставок"
            ),
        )
        .hint(text!("send this item in another batch", "отправьте этот элемент в другом пакете")),
    }
}

#[cfg(test)]
mod tests {
    use simo_common::api::message::RecipientCounts;

    use super::*;

    #[test]
    fn what_helps_a_message_that_reaches_nobody_depends_on_why() {
        let hint = |denied, blocked, unknown: &[&str], is_personal| {
            let nobody = Nobody {
                counts: RecipientCounts {
                    accepted: 0,
                    without_device: 0,
                    denied,
                    unknown: unknown.iter().map(|name| (*name).to_owned()).collect(),
                    more_unknown: 0,
                },
                blocked,
                is_personal,
                unknown: Vec::new(),
            };
            let error = reaches_nobody(&nobody);
            (error.detail.en, error.hint.unwrap().en)
        };
        let (detail, helps) = hint(1, 1, &[], true);
        assert_eq!(detail, "nobody would receive this message (1 blocked)");
        assert_eq!(helps, "unblock the recipients (simoctl employee unblock NO) or set allow_empty");
        assert_eq!(hint(0, 0, &["7"], true).1, "correct the names or set allow_empty");
        let (detail, helps) = hint(3, 1, &["7"], false);
        assert!(detail.ends_with("(1 blocked, 2 without access, 1 unknown)"));
        assert!(helps.contains("grant the topic"));
        assert!(hint(0, 0, &[], false).1.starts_with("grant the topic"));
    }
}
