//! How things stand now, beside a delivery's story.

use crate::{
    action::{Answer, Command, Effect, Failure, Question},
    model::{Aside, Detail, Model},
    text,
};

/// Covers the story with the answer to a question, or uncovers it where that was asked already.
pub(super) fn turn(model: &mut Model, command: Command, effects: &mut Vec<Effect>) {
    let Some(detail) = &mut model.detail else {
        return;
    };
    let question = match command {
        Command::Receivers => {
            let row = model.history.find(&detail.key);
            let told = detail.story.as_ref().map(|story| &story.message.topic);
            let Some(topic) = told.or(row.map(|row| &row.topic)) else {
                return;
            };
            let Some(topic) = topic else {
                model.remark = Some(text::needs_no_grant);
                return;
            };
            Question::Receivers(topic.clone())
        }
        _ => Question::Access(detail.key.personnel_no.clone()),
    };
    let before = detail.aside.take();
    let story_scroll = before.as_ref().map_or(detail.scroll, |aside| aside.story_scroll);
    if before.is_some_and(|aside| aside.question == question) {
        detail.scroll = story_scroll;
        return;
    }
    detail.scroll = 0;
    detail.aside = Some(Aside { question: question.clone(), answer: None, story_scroll });
    effects.push(Effect::Ask(question));
}

/// Back to the story, where the reader left it.
pub(super) fn close(detail: &mut Detail) {
    if let Some(aside) = detail.aside.take() {
        detail.scroll = aside.story_scroll;
    }
}

/// Asks once more; until the answer is here the one before stands.
pub(super) fn ask_again(model: &Model, effects: &mut Vec<Effect>) {
    if let Some(aside) = model.detail.as_ref().and_then(|detail| detail.aside.as_ref()) {
        effects.push(Effect::Ask(aside.question.clone()));
    }
}

/// An answer came, or did not. What nobody waits for any more is dropped.
pub(super) fn answered(model: &mut Model, question: &Question, result: Result<Answer, Failure>) {
    let aside = model.detail.as_mut().and_then(|detail| detail.aside.as_mut());
    if let Some(aside) = aside.filter(|aside| aside.question == *question) {
        aside.answer = Some(result);
    }
}
