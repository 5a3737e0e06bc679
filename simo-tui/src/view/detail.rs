//! The detail pane: one delivery with its whole story, or the present state of its topic or its employee's grants.

mod aside;

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::{Block, BorderType, Clear, Padding, Paragraph, Widget as _},
};
use simo_common::{
    api::history::{Delivery, Push},
    delivery::{DeliveryState, Reason},
    message::Priority,
};
use unicode_width::UnicodeWidthStr;

use super::{
    fit::{labelled, pad, wrap},
    layout,
    style::Palette,
};
use crate::{
    action::{Failure, Question, Story},
    model::{Detail, Focus, Model},
    text,
};

/// Maximum scroll position of the pane.
pub(crate) fn scrollable(model: &Model) -> usize {
    let Some(detail) = &model.detail else {
        return 0;
    };
    let place = layout::screen(model).detail;
    let lines = lines(model, detail, usize::from(place.width.saturating_sub(4)));
    lines.len().saturating_sub(usize::from(place.height.saturating_sub(2)))
}

/// Draws the pane, if it is open.
pub(crate) fn draw(model: &Model, place: Rect, buffer: &mut Buffer) {
    let Some(detail) = &model.detail else {
        return;
    };
    let palette = Palette::new(model.colour);
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(palette.frame(model.focus == Focus::Detail))
        .padding(Padding::horizontal(1))
        .title(format!(" {} ", title(model, detail)));
    let lines = lines(model, detail, usize::from(place.width.saturating_sub(4)));
    let inside = usize::from(place.height.saturating_sub(2));
    let block = if lines.len() > inside {
        let last = (detail.scroll + inside).min(lines.len());
        block.title_bottom(Line::from(format!(" {last}/{} ", lines.len())).right_aligned())
    } else {
        block
    };
    Clear.render(place, buffer);
    Paragraph::new(lines).scroll((detail.scroll as u16, 0)).block(block).render(place, buffer);
}

fn title(model: &Model, detail: &Detail) -> &'static str {
    match detail.aside.as_ref().map(|aside| &aside.question) {
        None => text::delivery(model.lang),
        Some(Question::Receivers(_)) => text::receivers(model.lang),
        Some(Question::Access(_)) => text::access(model.lang),
    }
}

fn lines(model: &Model, detail: &Detail, width: usize) -> Vec<Line<'static>> {
    let page = Page { model, palette: Palette::new(model.colour), width: width.max(1), lines: Vec::new() };
    page.of(detail)
}

/// The pane's lines while they are built.
struct Page<'a> {
    model: &'a Model,
    palette: Palette,
    width: usize,
    lines: Vec<Line<'static>>,
}

impl Page<'_> {
    fn of(mut self, detail: &Detail) -> Vec<Line<'static>> {
        let lang = self.model.lang;
        let row = self.model.history.find(&detail.key);
        let told = detail.story.as_ref();
        if let Some(aside) = &detail.aside {
            let name = told.map(|story| &story.explanation.employee);
            self.aside(aside, name.or(row.map(|row| &row.employee)).map(String::as_str));
            return self.lines;
        }
        if let Some(delivery) = told.and_then(|s| s.explanation.delivery.as_ref()).or(row) {
            self.delivery(delivery);
            let clock = self.model.clock();
            let accepted = match told {
                None => clock.exact(delivery.accepted_at),
                Some(story) => format!(
                    "{}, {} {}",
                    clock.full(delivery.accepted_at),
                    text::expires(lang),
                    clock.exact(story.message.expires_at)
                ),
            };
            self.field(text::accepted(lang), &accepted);
        }
        if let Some(failure) = &detail.failure {
            self.gap();
            self.failure(failure);
        }
        match told {
            Some(story) => self.story(story),
            None if detail.failure.is_none() => {
                self.gap();
                self.text(text::loading(lang), self.palette.quiet());
            }
            None => {}
        }
        self.lines
    }

    fn failure(&mut self, failure: &Failure) {
        let lang = self.model.lang;
        if let Failure::Away(_) = failure {
            self.text(text::unreachable(lang), self.palette.wrong());
        }
        self.text(failure.detail(lang), self.palette.wrong());
        if let Some(hint) = failure.hint(lang) {
            self.text(hint, self.palette.quiet());
        }
    }

    fn delivery(&mut self, delivery: &Delivery) {
        let lang = self.model.lang;
        self.text(&delivery.title, Style::new().bold());
        let (sign, _) = text::state_of(delivery, lang);
        let state = format!("{sign} {}", text::state_name(delivery.state, lang));
        let because = delivery
            .reason
            .as_deref()
            .map(|code| format!(" — {}", Reason::code_in_words(code, lang)))
            .unwrap_or_default();
        self.text(&format!("{state}{because}"), self.palette.state(delivery.state));
        self.gap();
        let person = format!("{} ({})", delivery.employee, delivery.personnel_no);
        self.field(text::person(lang), &person);
        let topic = delivery.topic.as_deref().unwrap_or(text::personal(lang));
        self.field(text::subject(lang), topic);
        self.field(text::from(lang), &format!("{} · {}", delivery.acs, delivery.client));
        let mut urgency = text::priority(delivery.priority, lang).to_owned();
        if delivery.require_ack {
            urgency = format!("{urgency}, {}", text::must_acknowledge(lang));
        }
        if delivery.priority != Priority::Normal || delivery.require_ack {
            self.field(text::urgency(lang), &urgency);
        }
    }

    fn story(&mut self, story: &Story) {
        let lang = self.model.lang;
        let Story { explanation, message } = story;
        if let Some(id) = &message.external_id {
            self.field(text::external_id(lang), id);
        }
        let why = text::why(explanation.target.as_deref(), explanation.grant.as_deref(), lang);
        if !why.is_empty() {
            self.field(text::addressed(lang), &why);
        }
        self.phone_clock(story);
        if message.states.iter().map(|s| s.count).sum::<u64>() > 1 {
            let counts: Vec<String> = message
                .states
                .iter()
                .map(|s| format!("{} {} {}", text::sign(s.state), s.count, text::state_name(s.state, lang)))
                .collect();
            self.field(text::whole_message(lang), &counts.join(" · "));
        }
        self.heading(text::story(lang));
        let clock = self.model.clock();
        let times: Vec<String> = explanation
            .story
            .iter()
            .map(|line| line.at.map(|at| clock.exact(at)).unwrap_or_default())
            .collect();
        let column = times.iter().map(|time| time.width()).max().unwrap_or(0) + 2;
        for (time, line) in times.iter().zip(&explanation.story) {
            let label = Span::styled(pad(time, column), self.palette.quiet());
            self.lines.extend(labelled(&label, &line.text, Style::new(), self.width));
        }
        self.heading(text::devices(lang));
        if explanation.pushes.is_empty() {
            self.text(text::no_devices(lang), self.palette.quiet());
        }
        for push in &explanation.pushes {
            self.push(push);
        }
        if !message.body.is_empty() {
            self.heading(text::text(lang));
            self.text(&message.body, Style::new());
        }
        if let Some(data) = &message.data {
            self.heading(text::data(lang));
            self.text(&data.pretty(), self.palette.quiet());
        }
    }

    /// The phone's times, where they differ from those at which the server got the receipts.
    fn phone_clock(&mut self, story: &Story) {
        let times = story.explanation.phone_times;
        let Some(delivery) = &story.explanation.delivery else {
            return;
        };
        let clock = self.model.clock();
        let lang = self.model.lang;
        let claims = [
            (DeliveryState::Delivered, times.delivered_at, delivery.delivered_at),
            (DeliveryState::Read, times.read_at, delivery.read_at),
            (DeliveryState::Acknowledged, times.acknowledged_at, delivery.acknowledged_at),
        ];
        let claims: Vec<String> = claims
            .into_iter()
            .filter_map(|(state, claimed, known)| {
                let (claimed, known) = (claimed?, known?);
                let apart = known.duration_since(claimed).abs();
                (apart.as_secs() >= 2)
                    .then(|| format!("{} {}", text::state_name(state, lang), clock.exact(claimed)))
            })
            .collect();
        if !claims.is_empty() {
            self.field(text::phone_clock(lang), &claims.join(", "));
        }
    }

    fn push(&mut self, push: &Push) {
        let lang = self.model.lang;
        let style = match push.state.as_str() {
            "failed" | "expired" => self.palette.wrong(),
            "received" | "accepted" => self.palette.good(),
            _ => Style::new(),
        };
        let head = Span::styled(format!("{} · {} · ", push.device, push.channel), Style::new());
        let mut what = format!("{} · {}", text::push_state(&push.state, lang), text::tries(push.tries, lang));
        if let Some(code) = &push.reason {
            what = format!("{what} · {}", Reason::code_in_words(code, lang));
        }
        self.lines.extend(labelled(&head, &what, style, self.width));
        let clock = self.model.clock();
        if let Some(answer) = &push.last_answer {
            let when = push.last_tried_at.map(|at| clock.exact(at)).unwrap_or_default();
            let label = Span::styled(format!("  {when} "), self.palette.quiet());
            self.lines.extend(labelled(&label, answer, self.palette.quiet(), self.width));
        }
        if let Some(at) = push.due_at {
            let next = format!("  {} {}", text::next_try(lang), clock.exact(at));
            self.text(&next, self.palette.quiet());
        }
    }

    fn gap(&mut self) {
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
    }

    fn heading(&mut self, heading: &'static str) {
        self.gap();
        self.lines.push(Line::from(Span::styled(heading, self.palette.heading())));
    }

    fn text(&mut self, text: &str, style: Style) {
        for line in wrap(text, self.width) {
            self.lines.push(Line::from(Span::styled(line, style)));
        }
    }

    fn field(&mut self, label: &'static str, value: &str) {
        let label = Span::styled(pad(label, LABEL.min(self.width / 2)), self.palette.quiet());
        self.lines.extend(labelled(&label, value, Style::new(), self.width));
    }
}

/// Width of the longest label, and two spaces.
const LABEL: usize = 22;
