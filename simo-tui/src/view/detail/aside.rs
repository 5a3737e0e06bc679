//! Answers about the present state: who receives the topic, what the employee may receive.

use ratatui::{style::Style, text::Span};
use simo_common::{
    api::access::{HeldGrant, Receiver},
    hours::WeeklyHours,
    page::Page as ListPage,
};

use super::{super::fit::labelled, Page};
use crate::{
    action::{Answer, Question},
    model::Aside,
    text,
};

impl Page<'_> {
    /// `name` is the name of the delivery's employee, if known.
    pub(super) fn aside(&mut self, aside: &Aside, name: Option<&str>) {
        let lang = self.model.lang;
        let subject = match (&aside.question, name) {
            (Question::Receivers(topic), _) => topic.clone(),
            (Question::Access(personnel_no), Some(name)) => format!("{name} ({personnel_no})"),
            (Question::Access(personnel_no), None) => personnel_no.clone(),
        };
        self.text(&subject, Style::new().bold());
        self.gap();
        match &aside.answer {
            None => self.text(text::loading(lang), self.palette.quiet()),
            Some(Err(failure)) => self.failure(failure),
            Some(Ok(Answer::Receivers(page))) => self.receivers(page),
            Some(Ok(Answer::Access(held))) => self.access(held),
        }
    }

    fn receivers(&mut self, page: &ListPage<Receiver>) {
        let lang = self.model.lang;
        if page.items.is_empty() {
            self.text(text::nobody(lang), self.palette.wrong());
        }
        for receiver in &page.items {
            let who = format!("{} ({})", receiver.full_name, receiver.personnel_no);
            let mut how = text::whom(&receiver.grant, lang);
            let style = if receiver.devices == 0 {
                how = format!("{how} · {}", text::no_device(lang));
                self.palette.wrong()
            } else {
                self.palette.quiet()
            };
            self.entry(&who, &how, style);
        }
        if page.next.is_some() {
            self.gap();
            self.text(text::rest_of_receivers(lang), self.palette.notice());
        }
    }

    fn access(&mut self, held: &[HeldGrant]) {
        let lang = self.model.lang;
        if held.is_empty() {
            self.text(text::holds_nothing(lang), self.palette.wrong());
        }
        if held.iter().any(|grant| grant.blocked) {
            self.text(text::is_blocked(lang), self.palette.wrong());
            self.gap();
        }
        for grant in held {
            let topic = format!("{} · {}", grant.topic, grant.topic_name);
            let mut parts = vec![text::whom(&grant.grant, lang)];
            if grant.path.len() > 1 {
                parts.push(grant.path.join(" → "));
            }
            parts.extend(self.times(grant));
            let style = if grant.times.active {
                self.palette.good()
            } else {
                parts.push(text::dormant(lang).to_owned());
                self.palette.quiet()
            };
            self.entry(&topic, &parts.join(" · "), style);
        }
    }

    fn entry(&mut self, what: &str, how: &str, style: Style) {
        self.text(what, Style::new());
        self.lines.extend(labelled(&Span::raw("  "), how, style, self.width));
    }

    /// When a grant counts, unless that is always.
    fn times(&self, grant: &HeldGrant) -> Vec<String> {
        let lang = self.model.lang;
        let clock = self.model.clock();
        let times = &grant.times;
        let from = times.from.map(|at| format!("{} {}", text::since(lang), clock.exact(at)));
        let until = times.until.map(|at| format!("{} {}", text::until(lang), clock.exact(at)));
        let hours = times.hours.as_ref().map(|hours| {
            let known = hours.parse::<WeeklyHours>();
            known.map_or_else(|_| hours.clone(), |hours| hours.in_words(lang))
        });
        [from, until, hours].into_iter().flatten().collect()
    }
}
