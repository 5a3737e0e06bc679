//! The grants held when a message was accepted, and when they were in effect.

use simo_common::{api::access::HeldGrant, hours::WeeklyHours, lang::Lang};

use super::{Teller, in_words};

impl Teller<'_> {
    /// The grants they held when the message was accepted, and whether they were in effect.
    pub(super) fn held_then(&mut self) {
        let known = self.known;
        let Some(topic) = &known.message.topic else { return };
        let at = Some(known.message.accepted_at);
        if known.held.is_empty() && known.kept_out().is_none() {
            self.tell(
                at,
                format!("they held no grant for the topic {topic} then"),
                format!("доступа к теме {topic} тогда не было"),
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
                format!("{en}{way} {gave} them the topic {topic}{times_en}"),
                format!("тему {topic} {gave_ru} {ru}{way}{times_ru}"),
            );
        }
    }

    /// When a grant is in effect, unless always, and whether it was.
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
}

/// A grant in English and, in the nominative, in Russian.
pub(super) fn grant_in_words(grant: &str) -> (String, String) {
    match grant.split_once(':').unwrap_or((grant, "")) {
        ("group", slug) => (format!("a grant to the group {slug}"), format!("доступ группы {slug}")),
        ("employee", _) => ("a grant of their own".to_owned(), "личный доступ".to_owned()),
        _ => ("a grant to everyone".to_owned(), "доступ для всех".to_owned()),
    }
}
