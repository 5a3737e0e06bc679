//! Answers about the present state, shown beside a delivery's story.

use crate::{
    action::{Answer, Command, Effect, Failure, Question},
    model::{Aside, Detail, Model},
    text,
};

/// Shows the answer to a question in place of the story; the same question again brings the story back.
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

/// Returns to the story, at the scroll position where the reader left it.
pub(super) fn close(detail: &mut Detail) {
    if let Some(aside) = detail.aside.take() {
        detail.scroll = aside.story_scroll;
    }
}

/// Asks once more; the old answer stays until the new one arrives.
pub(super) fn ask_again(model: &Model, effects: &mut Vec<Effect>) {
    if let Some(aside) = model.detail.as_ref().and_then(|detail| detail.aside.as_ref()) {
        effects.push(Effect::Ask(aside.question.clone()));
    }
}

/// An answer arrived, or failed. It is dropped if its question is no longer shown.
pub(super) fn answered(model: &mut Model, question: &Question, result: Result<Answer, Failure>) {
    let aside = model.detail.as_mut().and_then(|detail| detail.aside.as_mut());
    if let Some(aside) = aside.filter(|aside| aside.question == *question) {
        aside.answer = Some(result);
    }
}
