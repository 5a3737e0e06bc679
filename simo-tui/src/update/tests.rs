use proptest::prelude::*;
use simo_common::{
    api::{
        event::EventKind,
        history::{Sort, SortKey},
    },
    delivery::DeliveryState,
    lang::Lang::{En, Ru},
};
use tui_input::InputRequest;

use super::*;
use crate::{
    action::{Feed, Question},
    complete::Names,
    fixture::{
        self, act, answer, asked, away, clients, event, id_of, key, loaded, model, page, press, refused, row,
        screen, story, type_in, wait,
    },
    model::Link,
};

fn happened(number: u32, kind: EventKind, state: Option<DeliveryState>) -> Action {
    Action::Feed(Feed::Event(event(number, kind, state)))
}

fn lost(seconds: u64) -> Action {
    Action::Feed(Feed::Lost { failure: away(), retry_in: std::time::Duration::from_secs(seconds) })
}

#[test]
fn the_first_page_is_asked_for_at_once() {
    let load = asked(&mut model(En), Action::Resize(80, 24)).unwrap();
    assert_eq!((load.cursor, load.sort.to_string()), (None, "-date".to_owned()));
}

#[test]
fn the_next_page_is_on_its_way_before_the_end_is_reached_and_repeats_are_dropped() {
    let mut model = loaded(En, (80, 24), 100, Some("c"));
    assert!(model.loads.more.is_none());
    let load = asked(&mut model, Action::Command(Command::End)).unwrap();
    assert_eq!(load.cursor.as_deref(), Some("c"));
    answer(&mut model, Ok(page(90..150, None)));
    assert_eq!(model.history.rows().len(), 150);
    assert_eq!(model.history.current().unwrap().message_id, id_of(99));
    assert!(asked(&mut model, Action::Command(Command::End)).is_none());
}

#[test]
fn an_event_changes_its_row_at_once_and_a_burst_is_read_together() {
    let mut model = loaded(En, (80, 24), 20, None);
    wait(&mut model, 2);
    let first = asked(&mut model, happened(0, EventKind::Delivery, Some(DeliveryState::Read)));
    assert!(first.is_some());
    assert_eq!(model.history.rows()[0].state, DeliveryState::Read);
    for number in 1..10 {
        let state = Some(DeliveryState::Acknowledged);
        assert_eq!(asked(&mut model, happened(number, EventKind::Delivery, state)), None);
    }
    answer(&mut model, Ok(page(0..20, None)));
    let loads = wait(&mut model, 1).len() + wait(&mut model, 1).len();
    assert_eq!(loads, 1);
}

#[test]
fn an_accepted_message_is_looked_for_once_more_when_its_deliveries_must_be_there() {
    let mut model = loaded(En, (80, 24), 20, None);
    wait(&mut model, 2);
    assert!(asked(&mut model, happened(100, EventKind::Accepted, None)).is_some());
    answer(&mut model, Ok(page(0..20, None)));
    assert_eq!(wait(&mut model, 2).len(), 1);
}

#[test]
fn at_the_top_the_newest_row_is_always_under_the_bar() {
    let mut model = loaded(En, (80, 24), 20, None);
    wait(&mut model, 2);
    act(&mut model, [happened(100, EventKind::Accepted, None)]);
    let mut fresh = page(0..20, None);
    fresh.items.insert(0, row(100));
    answer(&mut model, Ok(fresh));
    assert_eq!(model.history.current().unwrap().message_id, id_of(100));
    assert_eq!(model.history.unseen(), 0);
}

#[test]
fn a_chosen_row_stays_under_the_bar_and_in_its_place() {
    let mut model = loaded(En, (80, 12), 60, None);
    press(&mut model, [Command::PageDown, Command::PageDown]);
    let (chosen, top) = (model.history.selected(), model.history.top());
    wait(&mut model, 2);
    act(&mut model, [happened(100, EventKind::Accepted, None)]);
    let mut fresh = page(0..60, None);
    fresh.items.insert(0, row(100));
    answer(&mut model, Ok(fresh));
    assert_eq!(model.history.selected(), chosen + 1);
    assert_eq!(model.history.top(), top + 1);
    assert_eq!(model.history.unseen(), 1);
    press(&mut model, [Command::Home]);
    assert_eq!(model.history.unseen(), 0);
    assert!(model.history.following());
}

#[test]
fn more_news_than_a_page_leaves_the_reader_in_peace_until_he_goes_up() {
    let mut model = loaded(En, (80, 12), 100, Some("c"));
    press(&mut model, [Command::PageDown, Command::PageDown]);
    let chosen = model.history.current().cloned();
    wait(&mut model, 2);
    act(&mut model, [happened(200, EventKind::Accepted, None)]);
    answer(&mut model, Ok(page(200..300, Some("d"))));
    assert_eq!(model.history.current().cloned(), chosen);
    assert!(model.history.gap());
    wait(&mut model, 5);
    let load = asked(&mut model, Action::Command(Command::Home)).unwrap();
    assert_eq!(load.cursor, None);
    answer(&mut model, Ok(page(200..300, Some("d"))));
    assert_eq!(model.history.current().unwrap().message_id, id_of(200));
    assert!(!model.history.gap());
}

#[test]
fn rows_that_left_the_filter_leave_the_screen() {
    let mut model = loaded(En, (80, 24), 20, None);
    wait(&mut model, 2);
    press(&mut model, [Command::Down, Command::Down, Command::Down]);
    act(&mut model, [happened(3, EventKind::Delivery, Some(DeliveryState::Read))]);
    let mut fresh = page(0..20, None);
    fresh.items.remove(3);
    answer(&mut model, Ok(fresh));
    assert_eq!(model.history.rows().len(), 19);
    assert_eq!(model.history.current().unwrap().message_id, id_of(4));
}

#[test]
fn reading_anew_leaves_the_bar_on_its_row() {
    let mut model = loaded(En, (80, 24), 100, Some("c"));
    press(&mut model, [Command::PageDown, Command::PageDown, Command::Reload]);
    let chosen = model.history.current().cloned();
    let mut anew = page(0..100, Some("c"));
    anew.items.insert(0, row(200));
    answer(&mut model, Ok(anew));
    assert_eq!(model.history.current().cloned(), chosen);
}

#[test]
fn a_reset_reads_everything_anew() {
    let mut model = loaded(En, (80, 24), 20, None);
    wait(&mut model, 2);
    let load = asked(&mut model, happened(0, EventKind::Reset, None)).unwrap();
    assert_eq!(model.loads.first, Some(load.ticket));
}

#[test]
fn while_the_server_is_away_nothing_is_asked_and_afterwards_everything_is() {
    let mut model = loaded(En, (80, 24), 20, Some("c"));
    act(&mut model, [lost(1)]);
    let since = model.now;
    wait(&mut model, 1);
    act(&mut model, [lost(2)]);
    assert!(matches!(model.link, Link::Away { since: s, .. } if s == since));
    assert!(wait(&mut model, 60).is_empty());
    assert!(asked(&mut model, Action::Feed(Feed::Open)).is_some());
}

#[test]
fn an_answer_that_nobody_waits_for_any_more_is_dropped() {
    let mut model = loaded(En, (80, 24), 20, None);
    let old = asked(&mut model, Action::Command(Command::Reload)).unwrap();
    press(&mut model, [Command::SortBy(SortKey::Employee)]);
    act(&mut model, [Action::Loaded(old.ticket, Ok(page(50..60, None)))]);
    assert_eq!(model.history.rows().len(), 20);
    answer(&mut model, Ok(page(0..5, None)));
    assert_eq!(model.history.rows().len(), 5);
}

#[test]
fn the_same_key_again_sorts_the_other_way_round() {
    let mut model = loaded(En, (80, 24), 20, None);
    let mut sorted = |command| {
        press(&mut model, [command]);
        model.wanted.sort.to_string()
    };
    assert_eq!(sorted(Command::SortBy(SortKey::Employee)), "employee");
    assert_eq!(sorted(Command::SortBy(SortKey::Employee)), "-employee");
    assert_eq!(sorted(Command::SortBy(SortKey::State)), "state");
    assert_eq!(sorted(Command::FlipSort), "-state");
    assert_eq!(sorted(Command::SortBy(SortKey::Date)), "-date");
}

#[test]
fn a_click_on_the_heading_sorts_a_click_on_a_row_selects_and_a_second_one_opens() {
    let mut model = loaded(En, (100, 24), 20, None);
    act(&mut model, [Action::Click { column: 90, row: 2 }]);
    assert_eq!(model.wanted.sort, Sort { key: SortKey::State, descending: false });
    answer(&mut model, Ok(page(0..20, None)));
    act(&mut model, [Action::Click { column: 20, row: 8 }]);
    assert_eq!(model.history.selected(), 5);
    assert!(model.detail.is_none());
    let effects = update(&mut model, Action::Click { column: 20, row: 8 });
    assert!(effects.contains(&Effect::Story(key(5))));
    assert_eq!(model.focus, Focus::Detail);
}

#[test]
fn an_open_story_is_read_again_when_something_happens_to_it() {
    let mut model = loaded(En, (80, 24), 20, None);
    press(&mut model, [Command::Enter]);
    act(&mut model, [Action::Story(key(0), Ok(story(En)))]);
    let effects = update(&mut model, happened(0, EventKind::Delivery, Some(DeliveryState::Read)));
    assert!(effects.contains(&Effect::Story(key(0))));
    act(&mut model, [Action::Story(key(0), Ok(story(En)))]);
    let effects = update(&mut model, happened(1, EventKind::Delivery, Some(DeliveryState::Read)));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Story(_))));
}

#[test]
fn an_open_story_keeps_the_bar_on_its_row_also_at_the_top() {
    let mut model = loaded(En, (80, 24), 20, None);
    press(&mut model, [Command::Enter]);
    wait(&mut model, 2);
    act(&mut model, [happened(100, EventKind::Accepted, None)]);
    let mut fresh = page(0..20, None);
    fresh.items.insert(0, row(100));
    answer(&mut model, Ok(fresh));
    assert_eq!(model.history.current().unwrap().message_id, id_of(0));
}

#[test]
fn a_closed_story_on_the_first_row_lets_it_follow_again() {
    let mut model = loaded(En, (80, 24), 20, None);
    press(&mut model, [Command::Enter]);
    assert!(!model.history.following());
    press(&mut model, [Command::Escape]);
    assert!(model.history.following());
}

#[test]
fn neighbours_are_a_key_away_from_an_open_story() {
    let mut model = loaded(En, (80, 24), 20, None);
    press(&mut model, [Command::Enter]);
    let effects = update(&mut model, Action::Command(Command::Next));
    assert!(effects.contains(&Effect::Story(key(1))));
    press(&mut model, [Command::Escape]);
    assert_eq!((model.focus, model.history.selected()), (Focus::Table, 1));
}

fn ask_for(model: &mut Model, query: &str) {
    press(model, [Command::EditQuery, Command::Edit(InputRequest::DeleteLine)]);
    type_in(model, query);
    press(model, [Command::Enter]);
    answer(model, Ok(page(0..3, None)));
}

#[test]
fn queries_asked_before_come_back() {
    let mut model = loaded(En, (80, 24), 20, None);
    ask_for(&mut model, "state:failed");
    ask_for(&mut model, "топливо");
    press(&mut model, [Command::EditQuery, Command::Up, Command::Up]);
    assert_eq!(model.line.input.value().trim(), "state:failed");
    press(&mut model, [Command::Down]);
    assert_eq!(model.line.input.value().trim(), "топливо");
    press(&mut model, [Command::Escape]);
    assert_eq!(model.wanted.query, "топливо");
}

#[test]
fn escape_leaves_the_query_as_it_was_and_in_the_table_shows_everything() {
    let mut model = loaded(En, (80, 24), 20, None);
    ask_for(&mut model, "state:failed");
    press(&mut model, [Command::EditQuery]);
    type_in(&mut model, "x");
    press(&mut model, [Command::Escape]);
    assert_eq!(model.wanted.query, "state:failed");
    press(&mut model, [Command::Escape]);
    assert_eq!(model.wanted.query, "");
}

#[test]
fn a_query_that_does_not_parse_is_not_sent() {
    let mut model = loaded(En, (80, 24), 20, None);
    press(&mut model, [Command::EditQuery]);
    type_in(&mut model, "state:nonsense");
    assert!(asked(&mut model, Action::Command(Command::Enter)).is_none());
    assert_eq!(model.focus, Focus::Query);
    assert_eq!(model.line.error.as_ref().and_then(|e| e.column), Some(6));
}

#[test]
fn a_query_that_the_server_refuses_leaves_the_rows_alone() {
    let mut model = loaded(En, (80, 24), 20, None);
    press(&mut model, [Command::EditQuery]);
    type_in(&mut model, "topic:x");
    press(&mut model, [Command::Enter]);
    answer(&mut model, Err(refused("query:7", "no")));
    assert_eq!(model.history.rows().len(), 20);
    assert_eq!(model.line.error.as_ref().and_then(|e| e.column), Some(6));
    press(&mut model, [Command::Escape]);
    assert_eq!(model.wanted.query, "");
    assert!(model.is_current());
}

#[test]
fn a_failed_page_is_asked_for_again_after_a_pause() {
    let mut model = loaded(En, (80, 24), 100, Some("c"));
    press(&mut model, [Command::End]);
    answer(&mut model, Err(away()));
    assert!(model.notice.is_some());
    assert!(wait(&mut model, 1).is_empty());
    assert_eq!(wait(&mut model, 2).len(), 1);
}

#[test]
fn reload_reaches_for_a_server_that_is_away() {
    let mut model = loaded(En, (80, 24), 20, None);
    act(&mut model, [lost(15)]);
    let effects = update(&mut model, Action::Command(Command::Reload));
    assert!(effects.contains(&Effect::Reconnect));
}

#[test]
fn another_client_is_looked_at_and_nothing_of_the_first_stays() {
    let mut model = loaded(En, (80, 24), 20, None);
    let effects = update(&mut model, Action::Command(Command::ChooseClient));
    assert_eq!(effects, [Effect::Clients]);
    act(&mut model, [Action::Clients(Ok(clients()))]);
    press(&mut model, [Command::Down]);
    let effects = update(&mut model, Action::Command(Command::Enter));
    assert!(effects.contains(&Effect::LookAt("vasilek".into())));
    assert!(model.history.rows().is_empty());
    assert_eq!(model.link, Link::Connecting);
}

#[test]
fn who_must_name_a_client_is_offered_those_there_are() {
    let mut model = model(En);
    model.client = None;
    act(&mut model, [Action::Resize(80, 24)]);
    let lost = Action::Feed(Feed::Lost {
        failure: refused("client", "say which client"),
        retry_in: std::time::Duration::from_secs(1),
    });
    assert_eq!(update(&mut model, lost), [Effect::Clients]);
    act(&mut model, [Action::Clients(Ok(clients()))]);
    assert_eq!(model.focus, Focus::Client);
}

#[test]
fn nothing_is_asked_for_and_nothing_is_wrong_until_a_client_is_chosen() {
    let mut model = model(En);
    model.client = None;
    let failure = || refused("client", "say which client");
    let effects = update(&mut model, Action::Resize(80, 24));
    let [Effect::Load(load)] = effects.as_slice() else { panic!("{effects:?}") };
    let answer = Action::Loaded(load.ticket, Err(failure()));
    assert_eq!(update(&mut model, answer), [Effect::Clients]);
    let retry_in = std::time::Duration::from_secs(1);
    let failure = failure();
    act(&mut model, [Action::Feed(Feed::Lost { failure, retry_in }), Action::Clients(Ok(clients()))]);
    press(&mut model, [Command::Escape]);
    let later = Action::Tick(model.now.saturating_add(std::time::Duration::from_mins(1)).unwrap());
    assert_eq!(update(&mut model, later), []);
    let screen = screen(&model);
    assert!(screen.contains("choose a client: c"), "{screen}");
    assert!(!screen.contains("say which client") && !screen.contains("refuses"), "{screen}");
    assert_eq!(update(&mut model, Action::Command(Command::ChooseClient)), [Effect::Clients]);
}

#[test]
fn the_language_changes_on_the_fly_and_the_story_follows() {
    let mut model = loaded(En, (80, 24), 20, None);
    press(&mut model, [Command::Enter]);
    act(&mut model, [Action::Story(key(0), Ok(story(En)))]);
    let effects = update(&mut model, Action::Command(Command::Language));
    assert_eq!(effects, [Effect::Speak(Ru), Effect::Story(key(0))]);
}

#[test]
fn how_things_stand_covers_the_story_and_leaves_it_where_it_was() {
    let mut model = loaded(En, (60, 15), 20, None);
    press(&mut model, [Command::Enter]);
    act(&mut model, [Action::Story(key(0), Ok(story(En)))]);
    press(&mut model, [Command::Down, Command::Down]);
    let receivers = Question::Receivers("boiler".into());
    let access = Question::Access("100001".into());
    let asked = update(&mut model, Action::Command(Command::Receivers));
    assert_eq!(asked, [Effect::Ask(receivers.clone())]);
    let asked = update(&mut model, Action::Command(Command::Access));
    assert_eq!(asked, [Effect::Ask(access.clone())]);
    act(&mut model, [Action::Answer(receivers, Ok(fixture::receivers(None)))]);
    let answered = |model: &Model| model.detail.as_ref()?.aside.as_ref()?.answer.as_ref().map(Result::is_ok);
    assert_eq!(answered(&model), None, "nobody waits for it any more");
    act(&mut model, [Action::Answer(access.clone(), Ok(fixture::access()))]);
    assert_eq!(answered(&model), Some(true));
    let again = update(&mut model, Action::Command(Command::Reload));
    assert!(again.contains(&Effect::Ask(access)), "things may have changed");
    press(&mut model, [Command::Escape]);
    let detail = model.detail.as_ref().expect("the story is open still");
    assert!(detail.aside.is_none());
    assert_eq!(detail.scroll, 2);
    press(&mut model, [Command::Access, Command::Access]);
    assert!(model.detail.as_ref().is_some_and(|detail| detail.aside.is_none()));
}

#[test]
fn a_personal_message_has_no_receivers_by_grant_and_says_so() {
    let mut model = loaded(En, (80, 24), 20, None);
    press(&mut model, [Command::Down, Command::Down, Command::Down, Command::Enter]);
    let asked = update(&mut model, Action::Command(Command::Receivers));
    assert_eq!(asked, []);
    assert_eq!(model.remark.unwrap()(En), "a personal message needs no grant");
    press(&mut model, [Command::Down]);
    assert!(model.remark.is_none());
}

fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        proptest::sample::select(vec![
            Command::Up,
            Command::Down,
            Command::PageUp,
            Command::PageDown,
            Command::Home,
            Command::End,
            Command::Previous,
            Command::Next,
            Command::Receivers,
            Command::Access,
            Command::Enter,
            Command::Escape,
            Command::EditQuery,
            Command::Complete,
            Command::CompleteBack,
            Command::ChooseSort,
            Command::ChooseClient,
            Command::FlipSort,
            Command::Reload,
            Command::Help,
            Command::Language,
            Command::Edit(InputRequest::DeletePrevWord),
            Command::Edit(InputRequest::GoToStart),
        ]),
        proptest::sample::select(vec![SortKey::Date, SortKey::Employee, SortKey::State])
            .prop_map(Command::SortBy),
        proptest::sample::select("state:fai,-\"ё >=".chars().collect::<Vec<_>>())
            .prop_map(|c| Command::Edit(InputRequest::InsertChar(c))),
    ]
}

fn any_page() -> impl Strategy<
    Value = Result<simo_common::page::Page<simo_common::api::history::Delivery>, crate::action::Failure>,
> {
    prop_oneof![
        6 => (0_u32..300, 0_u32..120, any::<bool>())
            .prop_map(|(from, count, more)| Ok(page(from..from + count, more.then_some("c")))),
        1 => Just(Err(away())),
        1 => Just(Err(refused("query:3", "нет"))),
        1 => Just(Err(refused("cursor", "нет"))),
    ]
}

fn any_action() -> impl Strategy<Value = Action> {
    let kinds = vec![EventKind::Accepted, EventKind::Delivery, EventKind::Canceled, EventKind::Reset];
    prop_oneof![
        8 => any_command().prop_map(Action::Command),
        2 => (0_i64..5_000).prop_map(|ms| Action::Tick(fixture::now() + jiff::SignedDuration::from_millis(ms))),
        1 => (0_u16..200, 0_u16..60).prop_map(|(columns, lines)| Action::Resize(columns, lines)),
        1 => "\\PC{0,12}".prop_map(Action::Paste),
        2 => (0_u16..200, 0_u16..60).prop_map(|(column, row)| Action::Click { column, row }),
        1 => (0_u16..200, 0_u16..60, -5_isize..6).prop_map(|(column, row, lines)| Action::Wheel { column, row, lines }),
        6 => (0_u64..40, any_page()).prop_map(|(ticket, page)| Action::Loaded(ticket, page)),
        1 => (0_u32..20).prop_map(|n| Action::Story(key(n), Ok(story(Ru)))),
        1 => Just(Action::Story(key(0), Err(away()))),
        1 => Just(Action::Answer(Question::Receivers("boiler".into()), Ok(fixture::receivers(Some("c"))))),
        1 => Just(Action::Answer(Question::Access("100001".into()), Ok(fixture::access()))),
        1 => Just(Action::Answer(Question::Access("100001".into()), Err(away()))),
        1 => Just(Action::Names(Names::default())),
        1 => Just(Action::Clients(Ok(clients()))),
        1 => Just(Action::Feed(Feed::Open)),
        1 => (0_u64..20).prop_map(lost),
        3 => (0_u32..300, proptest::sample::select(kinds), proptest::sample::select(DeliveryState::ALL.to_vec()))
            .prop_map(|(n, kind, state)| happened(n, kind, Some(state))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_happens_the_bar_is_on_a_row_in_sight_and_the_screen_is_drawn(
        actions in proptest::collection::vec(any_action(), 1..120)
    ) {
        let mut model = loaded(Ru, (80, 24), 60, Some("c"));
        for action in actions {
            update(&mut model, action);
            let history = &model.history;
            let height = rows_in_sight(&model).max(1);
            prop_assert!(history.rows().is_empty() || history.selected() < history.rows().len());
            prop_assert!((history.top()..history.top() + height).contains(&history.selected()));
            let mut keys: Vec<_> = history.rows().iter().map(RowKey::of).map(|k| (k.message_id, k.personnel_no)).collect();
            keys.sort();
            keys.dedup();
            prop_assert_eq!(keys.len(), history.rows().len());
        }
        screen(&model);
    }
}
