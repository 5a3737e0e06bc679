//! Checks a message before the database is asked. All errors are reported at once.

use simo_common::{
    api::message::PostMessage,
    lang::Text,
    message::{Data, limits},
    text,
    time::Moment,
};

use super::{fingerprint, fit};
use crate::{
    api::{ApiError, body},
    store::{Draft, Expiry},
};

/// Reads and checks a message. `keyed`: it came with an `Idempotency-Key`; `fit`: oversized parts are cut.
pub(super) fn read(bytes: &[u8], keyed: bool, fit: bool) -> Result<Draft, ApiError> {
    let wrong = match body::parse_or_mend::<PostMessage>(bytes) {
        Ok(message) => return validate(message, keyed, fit),
        Err(wrong) => wrong,
    };
    let mut errors = wrong.error.errors.clone();
    let rest = wrong.mended.and_then(|message| validate(message, keyed, fit).err());
    for (field, text) in rest.into_iter().flat_map(|rest| rest.errors) {
        // Not errors that only our own replacement caused.
        let is_told = errors.iter().any(|(told, _)| {
            let name = |field: &str| field.split(['.', '[']).next().map(str::to_owned);
            name(told) == name(&field)
        });
        if !is_told {
            errors.push((field, text));
        }
    }
    if errors.len() > wrong.error.errors.len() {
        return Err(ApiError::invalid(errors));
    }
    Err(wrong.error)
}

/// The most invalid names of a list that an error names.
const UNFIT_NAMED: usize = 32;

/// Checks a message. `keyed`: it came with an `Idempotency-Key`; `fit`: oversized parts are cut.
pub(in crate::api) fn validate(mut message: PostMessage, keyed: bool, fit: bool) -> Result<Draft, ApiError> {
    let fingerprint = (keyed || message.external_id.is_some()).then(|| fingerprint::of(&message));
    let fitted = if fit { fit::fit(&mut message) } else { Vec::new() };
    let mut errors: Vec<(String, Text)> = Vec::new();
    let mut wrong = |field: &str, text: Text| errors.push((field.to_owned(), text));
    let title_chars = message.title.chars().count();
    if message.title.trim().is_empty() {
        wrong("title", text!("is blank", "пустой"));
    } else if title_chars > limits::TITLE_CHARS {
        wrong(
            "title",
            text!(
                "must have 1 to 250 characters, not {title_chars}",
                "нужно от 1 до 250 символов, а не {title_chars}"
            ),
        );
    }
    let body_bytes = message.body.len();
    if body_bytes > limits::BODY_BYTES {
        wrong(
            "body",
            text!(
                "has {body_bytes} bytes; 16384 are the limit",
                "занимает {body_bytes} байт; допустимо 16384"
            ),
        );
    }
    if message.topic.as_deref().is_some_and(|slug| !simo_common::people::is_slug(slug)) {
        wrong("topic", text!("is not a slug (a–z 0–9 - _ .)", "не является кодом темы (a–z 0–9 - _ .)"));
    }
    let data_bytes = message.data.as_ref().map_or(0, |data| data.as_str().len());
    if data_bytes > limits::DATA_BYTES {
        wrong(
            "data",
            text!(
                "has {data_bytes} bytes of JSON; 4096 are the limit",
                "занимает {data_bytes} байт JSON; допустимо 4096"
            ),
        );
    }
    if message.external_id.as_ref().is_some_and(|id| id.is_empty() || id.chars().count() > limits::KEY_CHARS)
    {
        wrong("external_id", text!("must have 1 to 200 characters", "нужно от 1 до 200 символов"));
    }
    check_recipients(&message, &mut wrong);
    let send_at = moment("send_at", message.send_at.as_deref(), &mut wrong);
    let expires_at = moment("expires_at", message.expires_at.as_deref(), &mut wrong);
    let expiry = match (message.ttl, expires_at) {
        (Some(_), Some(_)) => {
            wrong("ttl", text!("give either ttl or expires_at", "укажите либо ttl, либо expires_at"));
            Expiry::Default
        }
        (Some(seconds), None) => {
            if !(1..=limits::TTL_SECONDS).contains(&seconds) {
                wrong(
                    "ttl",
                    text!(
                        "must be 1 to 2419200 seconds (28 days)",
                        "должно быть от 1 до 2419200 секунд (28 дней)"
                    ),
                );
            }
            Expiry::Ttl(seconds)
        }
        (None, Some(at)) => Expiry::At(at),
        (None, None) => Expiry::Default,
    };
    if !errors.is_empty() {
        return Err(ApiError::invalid(errors));
    }
    Ok(Draft {
        title: message.title,
        body: message.body,
        topic: message.topic,
        priority: message.priority,
        recipients: message.recipients,
        data: message.data.map(Data::into_string),
        send_at,
        expiry,
        require_ack: message.require_ack,
        external_id: message.external_id,
        allow_empty: message.allow_empty,
        fitted,
        fingerprint,
    })
}

fn check_recipients(message: &PostMessage, wrong: &mut impl FnMut(&str, Text)) {
    let Some(recipients) = &message.recipients else {
        if message.topic.is_none() {
            wrong(
                "recipients",
                text!(
                    "a message needs a topic, recipients, or both",
                    "сообщению нужна тема (topic), получатели (recipients) или то и другое"
                ),
            );
        }
        return;
    };
    if recipients.is_empty() {
        let text = if message.topic.is_some() {
            text!(
                "names nobody; leave it out to reach all who hold a grant for the topic",
                "никто не указан; уберите поле, чтобы сообщение получили все, у кого есть доступ к теме"
            )
        } else {
            text!(
                "names nobody: give employees, groups, or everyone: true",
                "никто не указан: нужны employees, groups или everyone: true"
            )
        };
        wrong("recipients", text);
    }
    for (field, names) in
        [("recipients.employees", &recipients.employees), ("recipients.groups", &recipients.groups)]
    {
        let count = names.len();
        if count > limits::RECIPIENTS_NAMED {
            wrong(field, text!("{count} entries are more than 10000", "{count} записей больше, чем 10000"));
        }
        let named = names.iter().enumerate().take(limits::RECIPIENTS_NAMED);
        let unfit =
            named.filter(|(_, name)| name.is_empty() || name.chars().count() > limits::PERSONNEL_NO_CHARS);
        // A batch of nothing but wrong names would fill the memory with errors.
        for (place, _) in unfit.take(UNFIT_NAMED) {
            wrong(
                &format!("{field}[{place}]"),
                text!("must have 1 to 64 characters", "нужно от 1 до 64 символов"),
            );
        }
    }
}

fn moment(field: &str, text: Option<&str>, wrong: &mut impl FnMut(&str, Text)) -> Option<Moment> {
    let text = text?;
    let moment = Moment::parse(text);
    if moment.is_none() {
        let text = body::clipped(text);
        wrong(
            field,
            text!(
                "`{text}` is not a time; write 2026-11-22T03:00:00+03:00",
                "«{text}» не время; пишите 2026-11-22T03:00:00+03:00"
            ),
        );
    }
    moment
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(json: &str) -> PostMessage {
        serde_json::from_str(json).unwrap()
    }

    fn fields(json: &str) -> Vec<String> {
        validate(message(json), false, false)
            .unwrap_err()
            .errors
            .into_iter()
            .map(|(field, _)| field)
            .collect()
    }

    #[test]
    fn all_errors_are_listed_at_once() {
        let long = "x".repeat(251);
        let json =
            format!(r#"{{"title":"{long}","ttl":0,"send_at":"вчера","recipients":{{"employees":[""]}}}}"#);
        assert_eq!(fields(&json), ["title", "recipients.employees[0]", "send_at", "ttl"]);
    }

    #[test]
    fn wrong_types_and_wrong_values_are_told_together() {
        let fields = |json: &str| -> Vec<String> {
            let errors = read(json.as_bytes(), false, false).unwrap_err().errors;
            errors.into_iter().map(|(field, _)| field).collect()
        };
        assert_eq!(
            fields(r#"{"title":" ","topic":"Тема!","ttl":"1","send_at":"x"}"#),
            ["ttl", "title", "topic", "send_at"]
        );
        assert_eq!(fields(r#"{"title":"a","topic":5}"#), ["topic"]);
        assert_eq!(fields(r#"{"title":"a","recipients":[]}"#), ["recipients"]);
    }

    #[test]
    fn what_is_said_of_nobody_leads_to_a_message_that_is_taken() {
        let said = |json: &str| validate(message(json), false, false).unwrap_err().errors.remove(0).1.en;
        assert!(
            said(r#"{"title":"a","topic":"t","recipients":{"everyone":false}}"#).contains("leave it out")
        );
        assert!(!said(r#"{"title":"a","recipients":{"everyone":false}}"#).contains("leave it out"));
        assert_eq!(said(r#"{"title":"   ","topic":"t"}"#), "is blank");
    }

    #[test]
    fn a_message_to_nobody_in_particular_is_refused() {
        assert_eq!(fields(r#"{"title":"a"}"#), ["recipients"]);
        assert_eq!(fields(r#"{"title":"a","topic":"t","recipients":{}}"#), ["recipients"]);
    }
}
