use insta::assert_snapshot;
use ratatui::style::Color;
use simo_common::{
    api::event::EventKind,
    delivery::DeliveryState,
    lang::Lang::{self, En, Ru},
    page::Page,
};

use crate::{
    action::{Action, Answer, Command, Feed, Question},
    complete::Names,
    fixture::{
        access, act, answer, away, buffer, clients, event, key, loaded, model, page, press, receivers,
        refused, row, screen, story, type_in, wait,
    },
    model::Model,
};

#[test]
fn before_the_first_page_it_says_that_it_is_loading() {
    let mut model = model(Ru);
    act(&mut model, [Action::Resize(60, 8)]);
    assert_snapshot!(screen(&model));
}

#[test]
fn the_table_fills_a_wide_screen() {
    let mut model = loaded(Ru, (132, 24), 60, Some("c"));
    press(&mut model, [Command::Down, Command::Down]);
    assert_snapshot!(screen(&model));
}

#[test]
fn the_table_in_english_on_an_ordinary_screen() {
    assert_snapshot!(screen(&loaded(En, (80, 24), 9, None)));
}

#[test]
fn full_dates_stand_where_it_is_not_today() {
    let mut model = loaded(Ru, (80, 10), 14, None);
    press(&mut model, [Command::End]);
    assert_snapshot!(screen(&model));
}

#[test]
fn columns_go_as_the_screen_narrows() {
    for (width, height) in [(60, 15), (40, 10), (20, 6)] {
        let model = loaded(Ru, (width, height), 12, None);
        assert_snapshot!(format!("narrow_{width}"), screen(&model));
    }
}

#[test]
fn a_screen_of_any_size_is_drawn() {
    for width in 0..40 {
        for height in 0..12 {
            let mut model = loaded(En, (width, height), 12, None);
            for command in [Command::EditQuery, Command::Escape, Command::ChooseSort, Command::Escape] {
                press(&mut model, [command]);
                screen(&model);
            }
            press(&mut model, [Command::Enter, Command::Help]);
            screen(&model);
        }
    }
}

#[test]
fn clients_are_chosen_from_a_list() {
    let mut model = loaded(Ru, (80, 16), 3, None);
    press(&mut model, [Command::ChooseClient]);
    act(&mut model, [Action::Clients(Ok(clients()))]);
    press(&mut model, [Command::Down]);
    assert_snapshot!(screen(&model));
}

#[test]
fn a_server_without_clients_says_how_to_make_one() {
    let mut model = model(En);
    model.client = None;
    let lost = Action::Feed(Feed::Lost {
        failure: refused("client", "say which client"),
        retry_in: std::time::Duration::from_secs(1),
    });
    act(&mut model, [Action::Resize(80, 10), lost, Action::Clients(Ok(Vec::new()))]);
    assert_snapshot!(screen(&model));
}

#[test]
fn without_colour_nothing_is_coloured_and_states_keep_their_signs() {
    let mut model = loaded(En, (80, 16), 9, None);
    model.colour = false;
    let drawn = buffer(&model);
    assert!(drawn.content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    for state in DeliveryState::ALL {
        assert!(screen(&model).contains(crate::text::sign(state)));
    }
    model.colour = true;
    assert!(buffer(&model).content().iter().any(|cell| cell.fg == Color::Red));
}

fn opened(lang: Lang, size: (u16, u16)) -> Model {
    let mut model = loaded(lang, size, 60, Some("c"));
    press(&mut model, [Command::Enter]);
    act(&mut model, [Action::Story(key(0), Ok(story(lang)))]);
    model
}

#[test]
fn the_detail_pane_stands_beside_the_table_where_there_is_room() {
    assert_snapshot!(screen(&opened(Ru, (160, 40))));
}

#[test]
fn the_detail_pane_stands_below_the_table_else() {
    assert_snapshot!(screen(&opened(En, (100, 40))));
}

#[test]
fn the_detail_pane_covers_a_small_screen_and_scrolls() {
    let mut model = opened(Ru, (60, 15));
    assert_snapshot!("detail_small", screen(&model));
    press(&mut model, [Command::End]);
    assert_snapshot!("detail_small_end", screen(&model));
}

#[test]
fn a_story_that_cannot_be_had_says_why() {
    let mut model = loaded(En, (80, 24), 3, None);
    press(&mut model, [Command::Enter]);
    act(&mut model, [Action::Story(key(0), Err(away()))]);
    assert_snapshot!(screen(&model));
}

#[test]
fn who_receives_the_topic_now_stands_in_place_of_the_story() {
    let mut model = opened(Ru, (60, 15));
    press(&mut model, [Command::Receivers]);
    assert!(screen(&model).contains("загрузка…"));
    let question = Question::Receivers("boiler".into());
    act(&mut model, [Action::Answer(question.clone(), Ok(receivers(Some("c"))))]);
    assert_snapshot!("receivers", screen(&model));
    act(&mut model, [Action::Answer(question.clone(), Ok(Answer::Receivers(Page::whole(Vec::new()))))]);
    assert!(screen(&model).contains("Никто не получил бы её"));
    act(&mut model, [Action::Answer(question, Err(away()))]);
    assert!(screen(&model).contains("Сервер недоступен."));
}

#[test]
fn what_the_employee_may_receive_stands_in_place_of_the_story() {
    let mut model = opened(En, (80, 24));
    press(&mut model, [Command::Access]);
    act(&mut model, [Action::Answer(Question::Access("100001".into()), Ok(access()))]);
    assert_snapshot!("access", screen(&model));
}

#[test]
fn a_blocked_employee_is_said_to_receive_nothing() {
    let mut model = opened(Ru, (80, 24));
    press(&mut model, [Command::Access]);
    let Answer::Access(mut held) = access() else { unreachable!() };
    for grant in &mut held {
        grant.blocked = true;
        grant.times.active = false;
    }
    let answer = Action::Answer(Question::Access("100001".into()), Ok(Answer::Access(held)));
    act(&mut model, [answer]);
    let screen = screen(&model);
    assert!(screen.contains("заблокирован и ничего не получает"), "{screen}");
}

#[test]
fn help_lists_every_key() {
    let mut model = loaded(Ru, (90, 40), 3, None);
    press(&mut model, [Command::Help]);
    assert_snapshot!("help_ru", screen(&model));
    let mut model = loaded(En, (90, 40), 3, None);
    press(&mut model, [Command::Help]);
    assert_snapshot!("help_en", screen(&model));
}

#[test]
fn orders_are_chosen_from_a_list() {
    let mut model = loaded(Ru, (80, 16), 9, None);
    press(&mut model, [Command::ChooseSort, Command::Down, Command::Down]);
    assert_snapshot!(screen(&model));
}

#[test]
fn the_query_line_completes_what_is_typed() {
    let mut model = loaded(En, (80, 16), 9, None);
    press(&mut model, [Command::EditQuery]);
    act(
        &mut model,
        [Action::Names(Names { topics: vec!["boiler".into(), "boiler-2".into()], ..Names::default() })],
    );
    type_in(&mut model, "state:failed topic:bo");
    press(&mut model, [Command::Complete]);
    assert_snapshot!(screen(&model));
}

#[test]
fn a_mistake_is_pointed_at_as_one_types() {
    let mut model = loaded(Ru, (80, 12), 9, None);
    press(&mut model, [Command::EditQuery]);
    type_in(&mut model, "сотрудник:иванов state:faild котёл");
    assert_snapshot!(screen(&model));
}

#[test]
fn what_the_server_refuses_comes_back_to_the_query_line() {
    let mut model = loaded(En, (80, 12), 9, None);
    press(&mut model, [Command::EditQuery]);
    type_in(&mut model, "topic:nowhere");
    press(&mut model, [Command::Enter]);
    answer(&mut model, Err(refused("query:7", "there is no topic `nowhere`")));
    assert_snapshot!(screen(&model));
}

#[test]
fn nothing_found_says_how_to_see_everything() {
    let mut model = loaded(Ru, (80, 10), 9, None);
    press(&mut model, [Command::EditQuery]);
    type_in(&mut model, "state:failed");
    press(&mut model, [Command::Enter]);
    answer(&mut model, Ok(page(0..0, None)));
    assert_snapshot!(screen(&model));
}

#[test]
fn an_empty_history_says_so() {
    assert_snapshot!(screen(&loaded(En, (60, 8), 0, None)));
}

fn lost() -> Action {
    Action::Feed(Feed::Lost { failure: away(), retry_in: std::time::Duration::from_secs(8) })
}

#[test]
fn while_the_server_is_away_the_rows_stay_and_the_bar_says_so() {
    let mut model = loaded(Ru, (90, 14), 9, None);
    act(&mut model, [lost()]);
    wait(&mut model, 4);
    assert_snapshot!(screen(&model));
}

#[test]
fn a_server_that_was_never_there_is_told_with_what_to_do() {
    let mut model = model(En);
    act(&mut model, [Action::Resize(80, 12), lost()]);
    assert_snapshot!(screen(&model));
}

#[test]
fn what_comes_in_above_is_counted_while_one_reads_below() {
    let mut model = loaded(Ru, (80, 12), 60, Some("c"));
    press(&mut model, [Command::PageDown, Command::PageDown]);
    let before = screen(&model);
    act(&mut model, [Action::Feed(Feed::Event(event(0, EventKind::Accepted, None)))]);
    wait(&mut model, 5);
    let mut fresh = page(0..60, Some("c"));
    fresh.items.splice(0..0, (100..103).map(row));
    answer(&mut model, Ok(fresh));
    let after = screen(&model);
    let body = |screen: &str| screen.lines().skip(3).take(8).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(body(&before), body(&after));
    assert_snapshot!(after);
}
