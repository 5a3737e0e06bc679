//! Explains why a person has no delivery of a message.

use super::Teller;

impl Teller<'_> {
    /// Why they have no delivery: their situation when it was accepted.
    pub(super) fn why_not_he(&mut self) {
        let message = &self.known.message;
        let person = &self.known.person;
        if message.canceled_at.is_some() {
            self.canceled();
        }
        if self.known.still_expanding {
            self.tell(
                None,
                "the message is still being handed out to its recipients; they may be among those who follow",
                "сообщение ещё раздаётся получателям; возможно, его очередь впереди",
            );
            return;
        }
        let at = Some(message.accepted_at);
        if person.added_at > message.accepted_at {
            self.tell(
                Some(person.added_at),
                "they were added only after the message",
                "сотрудник добавлен уже после сообщения",
            );
            return;
        }
        let was_addressed = self.addressed();
        if person.was_archived {
            self.tell(at, "they were archived then", "сотрудник был тогда в архиве");
        } else if person.was_blocked {
            self.tell(at, "they were blocked then", "тогда действовала блокировка");
        }
        if was_addressed {
            self.held_then();
        }
    }

    /// Whether it was addressed to them: every existing person who was named has a delivery.
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
                format!("it was not addressed to them: people named: {named}, groups: {groups}"),
                format!("оно адресовано другим: названо сотрудников: {named}, группы: {groups}"),
            );
            return false;
        }
        true
    }
}
