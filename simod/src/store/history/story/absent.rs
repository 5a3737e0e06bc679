//! Why somebody has no delivery of a message.

use simo_common::{api::access::HeldGrant, hours::WeeklyHours, lang::Lang};

use super::{Teller, grant_in_words, in_words};

impl Teller<'_> {
    /// Why somebody has no delivery.
    pub(super) fn why_not_he(&mut self) {
        let message = &self.known.message;
        let person = &self.known.person;
        if message.canceled_at.is_some() {
            self.canceled();
        }
        if self.known.still_expanding {
            self.tell(
                None,
                "the message is still being handed out to its recipients; he may be among those who follow",
                "сообщение ещё раздаётся получателям; возможно, его очередь впереди",
            );
        } else {
            self.not_addressed();
        }
        if person.added_at.is_some_and(|at| at > message.accepted_at) {
            self.tell(
                person.added_at,
                "he was added only after the message",
                "сотрудник добавлен уже после сообщения",
            );
        }
        if person.blocked_at.is_some() {
            self.tell(person.blocked_at, "he is blocked since then", "с этого времени он заблокирован");
        }
        if person.archived_at.is_some() {
            self.tell(person.archived_at, "he is archived since then", "с этого времени он в архиве");
        }
        self.held_today();
    }

    /// Which grants he holds today, and whether they counted when the message was accepted.
    pub(super) fn held_today(&mut self) {
        let known = self.known;
        let Some(topic) = &known.message.topic else { return };
        if known.topic_archived_at.is_some() {
            self.tell(
                known.topic_archived_at,
                format!("the topic {topic} is archived since then: nothing can be sent to it"),
                format!("с этого времени тема {topic} в архиве: в неё нельзя отправлять"),
            );
            return;
        }
        let bars = if known.person.archived_at.is_some() {
            Some(("archived", "он в архиве"))
        } else if known.person.blocked_at.is_some() {
            Some(("blocked", "он заблокирован"))
        } else {
            None
        };
        if let Some((en, ru)) = bars {
            self.tell(
                None,
                format!("today he receives nothing, because he is {en}"),
                format!("сегодня он ничего не получает: {ru}"),
            );
        }
        let (gives, gives_ru) =
            if bars.is_some() { ("would give", "давал бы") } else { ("gives", "даёт") };
        if known.held.is_empty() {
            self.tell(
                None,
                format!("today he holds no grant for the topic {topic}"),
                format!("сегодня у него нет доступа к теме {topic}"),
            );
        }
        for held in &known.held {
            let (en, ru) = grant_in_words(&held.grant);
            let way = in_words(&held.path);
            let (times_en, times_ru) = self.times(held);
            self.tell(
                None,
                format!("today {en}{way} {gives} him the topic {topic}{times_en}"),
                format!("сегодня тему {topic} {gives_ru} ему {ru}{way}{times_ru}"),
            );
        }
    }

    /// When a grant counts, where it does not always, and whether it did.
    fn times(&self, held: &HeldGrant) -> (String, String) {
        if held.created_at > self.known.message.accepted_at {
            let at = self.time(held.created_at);
            return (format!(", but it was given only at {at}"), format!(", но он дан только {at}"));
        }
        let times = &held.times;
        let (mut en, mut ru) = (Vec::new(), Vec::new());
        if let Some(from) = times.from.map(|at| self.time(at)) {
            en.push(format!("from {from}"));
            ru.push(format!("с {from}"));
        }
        if let Some(until) = times.until.map(|at| self.time(at)) {
            en.push(format!("until {until}"));
            ru.push(format!("до {until}"));
        }
        if let Some(hours) = &times.hours {
            let in_words = |lang| {
                let hours = hours.parse::<WeeklyHours>();
                hours.map(|hours| hours.in_words(lang)).unwrap_or_default()
            };
            en.push(format!("at {}", in_words(Lang::En)));
            ru.push(format!("в часы {}", in_words(Lang::Ru)));
        }
        if en.is_empty() {
            return Default::default();
        }
        let (en, ru) = (en.join(", "), ru.join(", "));
        if times.active {
            (format!(", but only {en}"), format!(", но только {ru}"))
        } else {
            (
                format!(", but only {en}: it did not count when the message was accepted"),
                format!(", но только {ru}: в момент приёма сообщения он не действовал"),
            )
        }
    }

    fn not_addressed(&mut self) {
        let message = &self.known.message;
        let at = Some(message.accepted_at);
        let Some(recipients) = &message.recipients else {
            let topic = message.topic.clone().unwrap_or_default();
            self.tell(
                at,
                format!(
                    "it was for all who hold a grant for the topic {topic}; when it was accepted he was not there, was \
                     blocked or held none"
                ),
                format!("оно было для всех, у кого есть доступ к теме {topic}; в момент приёма он ещё не был заведён, был заблокирован или доступа не имел"),
            );
            return;
        };
        let person = &self.known.person;
        let is_in = |slug: &&String| person.groups.iter().any(|way| way.last() == Some(slug));
        let group = recipients.groups.iter().find(is_in);
        if recipients.everyone || recipients.employees.contains(&person.personnel_no) {
            self.tell(
                at,
                "it was addressed to him too, but when it was accepted he was not there, was blocked or held no grant",
                "оно адресовано и ему, но в момент приёма он ещё не был заведён, был заблокирован или не имел доступа",
            );
        } else if let Some(slug) = group {
            self.tell(
                at,
                format!(
                    "it was addressed to the group {slug}; he belongs to it today{}, but did not then",
                    self.through(slug)
                ),
                format!(
                    "оно адресовано группе {slug}; сегодня он в ней состоит{}, но тогда не состоял",
                    self.through(slug)
                ),
            );
        } else {
            let named = recipients.employees.len();
            let groups =
                if recipients.groups.is_empty() { "—".to_owned() } else { recipients.groups.join(", ") };
            self.tell(
                at,
                format!("it was not addressed to him: people named: {named}, groups: {groups}"),
                format!("оно адресовано не ему: названо сотрудников: {named}, группы: {groups}"),
            );
        }
    }
}
