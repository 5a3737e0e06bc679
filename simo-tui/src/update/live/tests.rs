use simo_common::{
    api::history::{Sort, SortKey},
    delivery::DeliveryState,
    lang::Lang::En,
};

use super::*;
use crate::{
    action::{Action, Command},
    fixture::{act, answer, asked, event, id_of, loaded, page, press, wait},
};

/// A model sorted other than newest first, with all rows loaded and the bar on the last one.
fn oldest_first(rows: u32) -> Model {
    let mut model = loaded(En, (80, 24), 20, None);
    press(&mut model, [Command::FlipSort]);
    answer(&mut model, Ok(page(0..100, Some("1"))));
    for (number, first) in (100..rows).step_by(100).enumerate() {
        press(&mut model, [Command::End]);
        let next = (first + 100 < rows).then(|| (number + 2).to_string());
        answer(&mut model, Ok(page(first..rows.min(first + 100), next.as_deref())));
    }
    press(&mut model, [Command::End]);
    assert_eq!(model.history.rows().len(), rows as usize);
    model
}

/// The same, after an event and the first page of the reload that it causes.
fn half_read(rows: u32) -> Model {
    let mut model = oldest_first(rows);
    wait(&mut model, 10);
    let happened = Action::Feed(Feed::Event(event(rows, EventKind::Delivery, None)));
    let load = asked(&mut model, happened).unwrap();
    assert_eq!((load.cursor, load.limit), (None, FRESH));
    act(&mut model, [Action::Loaded(load.ticket, Ok(page(0..FRESH, Some("rest"))))]);
    model
}

#[test]
fn an_answer_is_dropped_when_the_rows_on_the_screen_are_wanted_again() {
    let mut model = loaded(En, (80, 24), 20, None);
    let other = asked(&mut model, Action::Command(Command::FlipSort)).unwrap();
    press(&mut model, [Command::FlipSort]);
    act(&mut model, [Action::Loaded(other.ticket, Ok(page(50..60, None)))]);
    assert_eq!(model.history.rows().len(), 20);
    assert_eq!(model.history.rows()[0].message_id, id_of(0));
    assert_eq!(model.shown.unwrap().sort, Sort::default());
}

#[test]
fn in_another_order_new_rows_are_found_wherever_they_stand() {
    let mut model = half_read(450);
    assert_eq!(model.history.rows().len(), 450, "nothing moves before all is read");
    answer(&mut model, Ok(page(300..451, None)));
    assert_eq!(model.history.rows().len(), 451);
    assert_eq!(model.history.rows()[450].message_id, id_of(450));
    assert_eq!(model.history.current().unwrap().message_id, id_of(449));
}

#[test]
fn a_reading_that_fails_half_way_begins_anew() {
    let mut model = half_read(450);
    answer(&mut model, Err(crate::fixture::away()));
    let again = wait(&mut model, 60).into_iter().find_map(|effect| match effect {
        Effect::Load(load) => Some(load),
        _ => None,
    });
    assert_eq!(again.unwrap().cursor, None);
}

#[test]
fn after_events_were_missed_all_rows_are_read_again_wherever_the_operator_is() {
    let mut model = loaded(En, (80, 24), 100, Some("1"));
    for (first, next) in [(100, Some("2")), (200, Some("3")), (300, None)] {
        press(&mut model, [Command::End]);
        answer(&mut model, Ok(page(first..first + 100, next)));
    }
    press(&mut model, [Command::End]);
    let missed = || Action::Feed(Feed::Event(event(0, EventKind::Reset, None)));
    wait(&mut model, 10);
    act(&mut model, [missed()]);
    answer(&mut model, Ok(page(0..300, Some("rest"))));
    let mut rest = page(300..400, None);
    rest.items[99].state = DeliveryState::Read;
    answer(&mut model, Ok(rest));
    assert_eq!(model.history.rows()[399].state, DeliveryState::Read);
    assert_eq!(model.history.current().unwrap().message_id, id_of(399));

    // More rows are new than were fetched: the old rows must not stay as if they were live.
    wait(&mut model, 60);
    act(&mut model, [missed()]);
    answer(&mut model, Ok(page(1_000..1_300, Some("rest"))));
    answer(&mut model, Ok(page(1_300..1_600, Some("rest"))));
    answer(&mut model, Ok(page(1_000..1_100, Some("rest"))));
    assert_eq!(model.history.rows()[0].message_id, id_of(1_000));
    assert_eq!(model.history.rows().len(), 100);
}

#[test]
fn by_state_what_moved_away_is_gone() {
    let mut model = loaded(En, (80, 24), 20, None);
    press(&mut model, [Command::SortBy(SortKey::State)]);
    answer(&mut model, Ok(page(0..100, Some("1"))));
    press(&mut model, [Command::Down]);
    wait(&mut model, 10);
    act(&mut model, [Action::Feed(Feed::Event(event(99, EventKind::Delivery, None)))]);
    answer(&mut model, Ok(page(0..99, Some("1"))));
    // The answer has fewer rows than are loaded: the rest is requested.
    answer(&mut model, Ok(page(120..121, Some("2"))));
    assert_eq!(model.history.rows().len(), 100);
    assert!(model.history.rows().iter().all(|row| row.message_id != id_of(99)));
}
