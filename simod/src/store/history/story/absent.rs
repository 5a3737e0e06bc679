//! Why somebody has no delivery of a message.

use simo_common::{api::access::HeldGrant, hours::WeeklyHours, lang::Lang};

use super::{Teller, grant_in_words, in_words};

impl Teller<'_> {
    /// Why somebody has no delivery: how he stood when it was accepted.
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
            return;
        }
        let at = Some(message.accepted_at);
        if person.added_at > message.accepted_at {
            self.tell(
                Some(person.added_at),
                "he was added only after the message",
                "сотрудник добавлен уже после сообщения",
            );
            return;
        }
        let was_addressed = self.addressed();
        if person.was_archived {
            self.tell(at, "he was archived then", "он был тогда в архиве");
        } else if person.was_blocked {
            self.tell(at, "he was blocked then", "он был тогда заблокирован");
        }
        if was_addressed {
            self.held_then();
        }
    }

    /// The grants that he held when the message was accepted, and whether they counted.
    pub(super) fn held_then(&mut self) {
        let known = self.known;
        let Some(topic) = &known.message.topic else { return };
        let at = Some(known.message.accepted_at);
        if known.held.is_empty() && known.kept_out().is_none() {
            self.tell(
                at,
                format!("he held no grant for the topic {topic} then"),
                format!("доступа к теме {topic} у него тогда не было"),
            );
        }
        let barred = known.person.was_archived || known.person.was_blocked;
        let (gave, gave_ru) =
            if barred { ("would have given", "дал бы") } else { ("gave", "давал") };
        for held in &known.held {
            let (en, ru) = grant_in_words(&held.grant);
            let way = in_words(&held.path);
            let (times_en, times_ru) = self.times(held);
            self.tell(
                at,
                format!("{en}{way} {gave} him the topic {topic}{times_en}"),
                format!("тему {topic} {gave_ru} ему {ru}{way}{times_ru}"),
            );
        }
    }

    /// When a grant counts, where it does not always, and whether it did.
    fn times(&self, held: &HeldGrant) -> (String, String) {
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

    /// Whether it was addressed to him: nobody who was named and there is without a delivery.
    fn addressed(&mut self) -> bool {
        let message = &self.known.message;
        let at = Some(message.accepted_at);
        let Some(recipients) = &message.recipients else {
            let topic = message.topic.clone().unwrap_or_default();
            self.tell(
                at,
                format!("it was for all who held a grant for the topic {topic}"),
                format!("оно было для всех, у кого был доступ к теме {topic}"),
            );
            return true;
        };
        let person = &self.known.person;
        let is_in = |slug: &&String| person.groups.iter().any(|way| way.last() == Some(slug));
        if recipients.everyone {
            self.tell(at, "it was addressed to everyone", "оно адресовано всем");
        } else if let Some(slug) = recipients.groups.iter().find(is_in) {
            self.tell_group(slug);
        } else {
            let named = recipients.employees.len();
            let groups =
                if recipients.groups.is_empty() { "—".to_owned() } else { recipients.groups.join(", ") };
            self.tell(
                at,
                format!("it was not addressed to him: people named: {named}, groups: {groups}"),
                format!("оно адресовано не ему: названо сотрудников: {named}, группы: {groups}"),
            );
            return false;
        }
        true
    }
}
