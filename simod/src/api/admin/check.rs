//! Checks of administrators' input: every wrong field is reported, not only the first.

use jiff::tz::TimeZone;
use simo_common::{
    api::{
        message::Recipients,
        people::{EditEmployee, NewEmployee},
    },
    lang::Text,
    message::limits,
    people::{is_personnel_no, is_slug},
    text,
    time::DAY_SECONDS,
};

use super::{ApiError, ApiResult};

/// The most days of history that can be configured: a century.
const RETENTION_DAYS: i64 = 36_500;
const NAME_CHARS: usize = 200;
const EMAIL_CHARS: usize = 254;
const PHONE_CHARS: usize = 100;
const GROUPS: usize = 100;

/// Collects errors.
#[derive(Debug, Default)]
pub(super) struct Check {
    /// Prefix of the fields' names, such as `line 7: `.
    pub(super) place: String,
    errors: Vec<(String, Text)>,
}

impl Check {
    /// Adds an error of a field.
    pub(super) fn wrong(&mut self, field: &str, text: Text) {
        self.errors.push((format!("{}{field}", self.place), text));
    }

    /// A short name.
    pub(super) fn slug(&mut self, field: &str, slug: &str) {
        if !is_slug(slug) {
            let most = limits::SLUG_CHARS;
            self.wrong(
                field,
                text!(
                    "must be 1–{most} of a–z 0–9 - _ . and begin with a letter or digit",
                    "нужно 1–{most} знаков a–z 0–9 - _ . и в начале буква или цифра"
                ),
            );
        }
    }

    /// A name for people.
    pub(super) fn name(&mut self, field: &str, name: &str) {
        self.name_up_to(NAME_CHARS, field, name);
    }

    /// A name of at most `most` characters.
    pub(super) fn name_up_to(&mut self, most: usize, field: &str, name: &str) {
        let chars = name.chars().count();
        if name.trim().is_empty() || chars > most || name.chars().any(char::is_control) {
            self.wrong(
                field,
                text!(
                    "must be 1–{most} characters without control characters",
                    "нужно 1–{most} символов без управляющих"
                ),
            );
        }
    }

    /// An IANA time zone.
    pub(super) fn timezone(&mut self, timezone: &str) {
        if TimeZone::get(timezone).is_err() {
            self.wrong(
                "timezone",
                text!(
                    "`{timezone}` is not an IANA time zone such as Europe/Moscow",
                    "«{timezone}» — не часовой пояс IANA (пример: Europe/Moscow)"
                ),
            );
        }
    }

    /// How long a message lives.
    pub(super) fn ttl(&mut self, field: &str, seconds: i64) {
        let most = limits::TTL_SECONDS;
        if !(1..=most).contains(&seconds) {
            self.wrong(field, text!("must be 1 to {most} seconds", "нужно от 1 до {most} секунд"));
        }
    }

    /// How long a code or a session is valid: at most so many days.
    pub(super) fn valid_for(&mut self, seconds: i64, days: i64) {
        let most = days * DAY_SECONDS;
        if !(1..=most).contains(&seconds) {
            self.wrong(
                "valid_for",
                text!(
                    "must be 1 to {most} seconds ({days} days)",
                    "нужно от 1 до {most} секунд ({days} суток)"
                ),
            );
        }
    }

    /// Default recipients of a topic's messages that name none.
    pub(super) fn recipients(&mut self, field: &str, recipients: Option<&Recipients>) {
        if recipients.is_some_and(Recipients::is_empty) {
            self.wrong(
                field,
                text!(
                    "names nobody; leave it out to reach all who hold a grant",
                    "никто не указан; уберите поле, чтобы сообщения получали все, у кого есть доступ"
                ),
            );
        }
    }

    /// A new employee, or a row of an import.
    pub(super) fn employee(&mut self, new: &NewEmployee) {
        self.personnel_no(&new.personnel_no);
        self.name("full_name", &new.full_name);
        self.contacts(
            new.email.as_deref(),
            new.phone.as_deref(),
            new.locale.as_deref(),
            new.timezone.as_deref(),
        );
        self.groups(&new.groups);
    }

    /// The client's number for an employee.
    pub(super) fn personnel_no(&mut self, personnel_no: &str) {
        if !is_personnel_no(personnel_no) {
            let most = limits::PERSONNEL_NO_CHARS;
            self.wrong(
                "personnel_no",
                text!(
                    "must be 1–{most} characters without control characters",
                    "нужно 1–{most} символов без управляющих"
                ),
            );
        }
    }

    /// Days for which history is kept.
    pub(super) fn retention_days(&mut self, days: i64) {
        if !(0..=RETENTION_DAYS).contains(&days) {
            self.wrong(
                "retention_days",
                text!("must be 0 (for ever) to {RETENTION_DAYS}", "нужно от 0 (всегда) до {RETENTION_DAYS}"),
            );
        }
    }

    /// Changes to an employee.
    pub(super) fn employee_edit(&mut self, edit: &EditEmployee) {
        if let Some(name) = &edit.full_name {
            self.name("full_name", name);
        }
        self.contacts(
            edit.email.as_deref(),
            edit.phone.as_deref(),
            edit.locale.as_deref(),
            edit.timezone.as_deref(),
        );
        if let Some(groups) = &edit.groups {
            self.groups(groups);
        }
    }

    /// Optional fields, of which empty ones are cleared.
    fn contacts(
        &mut self,
        email: Option<&str>,
        phone: Option<&str>,
        locale: Option<&str>,
        timezone: Option<&str>,
    ) {
        if let Some(email) = email
            && !email.is_empty()
            && !is_email(email)
        {
            self.wrong("email", text!("`{email}` is not an e-mail address", "«{email}» — не адрес e-mail"));
        }
        if let Some(phone) = phone
            && (phone.chars().count() > PHONE_CHARS || phone.chars().any(char::is_control))
        {
            self.wrong(
                "phone",
                text!(
                    "must be at most {PHONE_CHARS} characters without control characters",
                    "не больше {PHONE_CHARS} символов без управляющих"
                ),
            );
        }
        if let Some(locale) = locale
            && !matches!(locale, "" | "ru" | "en")
        {
            self.wrong("locale", text!("must be ru or en", "должно быть ru или en"));
        }
        if let Some(timezone) = timezone
            && !timezone.is_empty()
        {
            self.timezone(timezone);
        }
    }

    fn groups(&mut self, groups: &[String]) {
        if groups.len() > GROUPS {
            self.wrong("groups", text!("at most {GROUPS} groups", "не больше {GROUPS} групп"));
        }
        for (place, slug) in groups.iter().enumerate() {
            self.slug(&format!("groups[{place}]"), slug);
        }
    }

    /// Adds errors found elsewhere.
    pub(super) fn more(&mut self, errors: Vec<(String, Text)>) {
        self.errors.extend(errors);
    }

    /// The number of errors so far.
    pub(super) fn count(&self) -> usize {
        self.errors.len()
    }

    /// Whether there are errors.
    pub(super) fn failed(&self) -> bool {
        !self.errors.is_empty()
    }

    /// The errors, if there are any.
    pub(super) fn done(self) -> ApiResult<()> {
        if self.errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(self.errors)) }
    }
}

/// Whether a text may be an e-mail address; only sending to it can tell.
fn is_email(text: &str) -> bool {
    text.chars().count() <= EMAIL_CHARS
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
        && text.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
}

/// Trims the spaces that people leave around names and other texts.
pub(super) fn trimmed(text: &mut String) {
    let inner = text.trim();
    if inner.len() != text.len() {
        *text = inner.to_owned();
    }
}

/// Trims an employee's fields.
pub(super) fn trimmed_employee(mut new: NewEmployee) -> NewEmployee {
    trimmed(&mut new.personnel_no);
    trimmed(&mut new.full_name);
    for field in [&mut new.email, &mut new.phone, &mut new.locale, &mut new.timezone] {
        field.iter_mut().for_each(trimmed);
    }
    new.groups.iter_mut().for_each(trimmed);
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_field_of_an_employee_is_named() {
        let mut check = Check { place: "line 7: ".to_owned(), ..Check::default() };
        check.employee(&NewEmployee {
            personnel_no: String::new(),
            full_name: "a\u{7}".to_owned(),
            email: Some("anna".to_owned()),
            locale: Some("de".to_owned()),
            timezone: Some("Europe/Atlantis".to_owned()),
            groups: vec!["ok".to_owned(), "Смена".to_owned()],
            ..NewEmployee::default()
        });
        let error = check.done().unwrap_err();
        let fields: Vec<_> = error.errors.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "line 7: personnel_no",
                "line 7: full_name",
                "line 7: email",
                "line 7: locale",
                "line 7: timezone",
                "line 7: groups[1]",
            ]
        );
    }

    #[test]
    fn empty_optional_fields_are_cleared_not_wrong() {
        let mut check = Check::default();
        check.employee_edit(&EditEmployee {
            email: Some(String::new()),
            timezone: Some(String::new()),
            ..EditEmployee::default()
        });
        assert!(check.done().is_ok());
    }
}
