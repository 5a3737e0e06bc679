//! Why somebody has no delivery of a message.

use super::{Teller, grant_in_words};

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
            self.tell(
                person.blocked_at,
                "he is blocked since then",
                "с этого времени он заблокирован",
            );
        }
        if person.archived_at.is_some() {
            self.tell(
                person.archived_at,
                "he is archived since then",
                "с этого времени он в архиве",
            );
        }
        let Some(topic) = &message.topic else { return };
        match &self.known.grant_today {
            Some(grant) => {
                let (en, ru) = grant_in_words(grant);
                self.tell(
                    None,
                    format!("today {en} gives him the topic {topic}"),
                    format!("сегодня тему {topic} даёт ему {ru}"),
                );
            }
            None => self.tell(
                None,
                format!("today he holds no grant for the topic {topic}"),
                format!("сегодня у него нет доступа к теме {topic}"),
            ),
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
        let group = recipients.groups.iter().find(|slug| person.groups.contains(slug));
        if recipients.everyone || recipients.employees.contains(&person.personnel_no) {
            self.tell(
                at,
                "it was addressed to him too, but when it was accepted he was not there, was blocked or held no grant",
                "оно адресовано и ему, но в момент приёма он ещё не был заведён, был заблокирован или не имел доступа",
            );
        } else if let Some(slug) = group {
            self.tell(
                at,
                format!("it was addressed to the group {slug}; he belongs to it today, but did not then"),
                format!("оно адресовано группе {slug}; сегодня он в ней состоит, но тогда не состоял"),
            );
        } else {
            let named = recipients.employees.len();
            let groups = if recipients.groups.is_empty() {
                "—".to_owned()
            } else {
                recipients.groups.join(", ")
            };
            self.tell(
                at,
                format!("it was not addressed to him: people named: {named}, groups: {groups}"),
                format!("оно адресовано не ему: названо сотрудников: {named}, группы: {groups}"),
            );
        }
    }
}
