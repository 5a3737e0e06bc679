use proptest::prelude::*;

use super::*;
use crate::lang::Lang;

/// The canonical form of a query.
fn canon(text: &str) -> String {
    parse(text).unwrap_or_else(|e| panic!("{text}: {e:?}")).to_string()
}

/// Column, length and English message of every mistake.
fn mistakes(text: &str) -> Vec<(usize, usize, String)> {
    let errors = parse(text).expect_err(text);
    errors.iter().map(|e| (e.column, e.length, e.message(Lang::En))).collect()
}

#[test]
fn the_example_of_the_design_reads_as_it_is_written() {
    let text = "state:failed,expired employee:иванов group:smena-a acs:scada-2 topic:boiler device:pixel \
                priority:>=high after:2026-11-01 before:-2h \"точная фраза\" котл* давление -state:read -тест";
    assert_eq!(canon(text), text);
}

#[test]
fn russian_keys_and_values_mean_the_same() {
    assert_eq!(
        canon(
            "состояние:прочитано,«не доставлено» Сотрудник:Ёлкин после:вчера ДО:сегодня приоритет:>обычный подтверждение:да"
        ),
        "state:read,failed employee:Ёлкин after:yesterday before:today priority:>=high ack:yes"
    );
}

#[test]
fn values_are_forgiving() {
    assert_eq!(canon("state:ack,fail"), "state:acknowledged,failed");
    assert_eq!(canon("state:в_очереди"), "state:queued");
    assert_eq!(canon("state:failed, read"), "state:read,failed");
    assert_eq!(canon("date:01.11.2026,2026-11-01"), "date:2026-11-01");
    assert_eq!(canon("priority:high,critical"), "priority:>=high");
    assert_eq!(canon("priority:normal,low"), "priority:<=normal");
    assert_eq!(canon("before:-120м after:-14д"), "before:-2h after:-2w");
    assert_eq!(
        canon("external_id:A-1 id:0193A5F07C0070008000000000000000"),
        "external:A-1 message:0193a5f0-7c00-7000-8000-000000000000"
    );
}

#[test]
fn words_keep_together_what_was_written_together() {
    assert_eq!(canon("Котёл-3 1,5МПа 10:30"), "котел-3 1-5мпа 10-30");
    assert_eq!(
        canon("«Главный корпус» -\"a  b\" \"давление в кот\"*"),
        "\"главный корпус\" -\"a b\" давление-в-кот*"
    );
}

#[test]
fn quoted_values_keep_spaces_commas_and_quotation_marks() {
    assert_eq!(canon(r#"acs:"1C, \"Торговля\"",scada"#), r#"acs:"1C, \"Торговля\"",scada"#);
    assert_eq!(canon(r#"employee:"Иванов Пётр""#), r#"employee:"Иванов Пётр""#);
}

#[test]
fn spans_point_at_the_terms() {
    let text = " -state:read  котёл";
    let query = parse(text).unwrap();
    let spans: Vec<_> = query.terms.iter().map(|term| &text[term.span.clone()]).collect();
    assert_eq!(spans, ["-state:read", "котёл"]);
}

#[test]
fn mistakes_point_at_the_column_and_name_the_nearest() {
    let found = mistakes("котёл stat:read sate:x state:raed");
    assert_eq!(found.len(), 3);
    assert_eq!((found[0].0, found[0].1), (7, 4));
    assert!(found[0].2.contains("did you mean `state:`?"), "{}", found[0].2);
    assert_eq!((found[2].0, found[2].1), (30, 4));
    assert!(found[2].2.contains("did you mean `read`?"), "{}", found[2].2);
    let russian = parse("состаяние:прочитано").unwrap_err()[0].message(Lang::Ru);
    assert!(russian.contains("может быть, «состояние:»?"), "{russian}");
}

#[test]
fn every_mistake_is_told() {
    for (text, part) in [
        ("state:", "needs a value"),
        ("state:read,", "needs a value"),
        ("employee:\"\"", "needs a value"),
        ("state:de", "did you mean"),
        ("state:-read", "write `-state:read`"),
        ("state:queued,-read", "write `-state:read`"),
        ("ack:-yes", "write `-ack:yes`"),
        ("priority:>=", "try `high`"),
        ("after:скоро", "2026-11-01"),
        ("date:-2h", "yesterday"),
        ("message:17", "0193"),
        ("priority:<low", "did you mean `<=low`?"),
        ("приоритет:>критический", "did you mean `>=critical`?"),
        ("\"фраза", "not closed"),
        ("state:\"read", "not closed"),
        ("state=read", "written `state:…`"),
        ("state = read", "written `state:…`"),
        ("state :read", "written `state:…`"),
        ("status==raed", "written `status:…`"),
        ("priority>=high", "such as `priority:>=high`"),
        ("приоритет ≥ высокий", "written `приоритет:…`"),
        ("-state!=read", "written `state:…`"),
        ("(state:read)", "written `state:…`"),
        ("(state:\"не доставлено\")", "written `state:…`"),
        ("!state:read", "written `state:…`"),
        ("(topic:boiler", "written `topic:…`"),
        ("тема=котёл", "written `тема:…`"),
        ("after>-2h", "written `after:…`"),
        ("котёл NOT state:read", "`NOT` is not an operator"),
        ("state:read OR котёл", "`OR` is not an operator"),
        ("state:read НЕ котёл", "`НЕ` is not an operator"),
        ("state:read И НАСОС", "`И` is not an operator"),
        ("НЕ (", "no letter or digit"),
        ("ко*л", "at the end of a word"),
        ("-", "no letter or digit"),
        ("\"—\"", "no letter or digit"),
        ("a\0b", "NUL"),
    ] {
        let found = mistakes(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].2.contains(part), "{text}: {found:?}");
    }
    assert!(parse(&"а".repeat(LONGEST)).is_ok());
    assert!(mistakes(&"а".repeat(LONGEST + 1))[0].2.contains("longer than"));
    assert!(mistakes(&"а ".repeat(MOST_TERMS + 1))[0].2.contains("more than"));
}

#[test]
fn what_only_looks_like_a_condition_is_text() {
    for text in [
        "\"state=read\"",
        "a=b",
        "(котёл)",
        "foo>bar",
        "state",
        "status=firing",
        "id=17",
        "#id=5",
        "до=5",
        "после=7",
        "scada/alarm?id=5",
        "?id=5",
        "<message>boiler</message>",
        "#тема:котёл",
        "(10:00)",
        "НАСОС НЕ РАБОТАЕТ",
        "topic:boiler НЕ РАБОТАЕТ",
        "after:today NOT RUNNING",
        "НАСОС НЕ \"причина:перегрев\"",
        "И «тема:котёл»",
        "not state:read",
        "state:read or котёл",
    ] {
        let query = parse(text).unwrap_or_else(|mistakes| panic!("{text}: {mistakes:?}"));
        let last = &query.terms.last().unwrap().filter;
        assert!(matches!(last, Filter::Text(_)) || text == "not state:read", "{text}");
    }
}

#[test]
fn the_right_way_to_write_a_condition_is_told_in_both_languages() {
    let told = |text: &str| parse(text).unwrap_err()[0].message(Lang::Ru);
    assert!(told("состояние=прочитано").contains("условие пишется `состояние:…`"));
    for text in ["приоритет>=высокий", "котёл ИЛИ состояние:прочитано"]
    {
        let told = told(text);
        let example = told.split("например").nth(1).unwrap().split('`').nth(1).unwrap();
        assert!(parse(example).is_ok(), "{told}");
    }
}

#[test]
fn a_hyphen_belongs_to_a_key_that_has_one() {
    let query = parse("group-now:smena-a -группа-сейчас:ofis насос-давление:5").unwrap();
    assert_eq!(query.to_string(), "group-now:smena-a -group-now:ofis насос-давление-5");
    assert!(parse("group-now").unwrap().terms[0].filter.key().is_none());
    assert!(parse("group-now=smena-a").is_err());
}

#[test]
fn what_is_named_as_an_example_is_understood() {
    for lang in [Lang::En, Lang::Ru] {
        for key in Key::ALL {
            let name = lang.pick(key.as_str(), key.as_russian());
            let said = parse(&format!("{name}:")).unwrap_err()[0].message(lang);
            let examples: Vec<_> = said.split('`').skip(3).step_by(2).collect();
            assert!(!examples.is_empty(), "{said}");
            for example in examples {
                let query = format!("{name}:{example}");
                assert!(parse(&query).is_ok(), "{query}");
            }
        }
    }
}

fn anything() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(" ".to_owned()),
        Just("\"".to_owned()),
        Just("-".to_owned()),
        Just(",".to_owned()),
        Just("*".to_owned()),
        Just("\\".to_owned()),
        prop::sample::select(vec!["=", ":", "(", ")", "!", " >= ", " НЕ ", " OR "]).prop_map(str::to_owned),
        prop::sample::select(Key::ALL.to_vec()).prop_map(|key| format!("{}:", key.as_str())),
        prop::sample::select(vec![
            "read",
            "доставлено",
            ">=high",
            "low",
            "yes",
            "today",
            "-2h",
            "-90m",
            "2026-11-01",
            "01.11.2026",
            "2026-11-01T10:00",
            "2026-11-01T10:00:00.5+03:00",
            "0193a5f0-7c00-7000-8000-000000000000",
            "Ёлкин",
            "котёл",
            "boilers",
            "«",
            "»",
            "„",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,4}",
    ];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_panics_and_mistakes_lie_within_it(text in anything()) {
        if let Err(errors) = parse(&text) {
            for error in errors {
                prop_assert!(error.column + error.length <= text.chars().count() + 2);
                prop_assert!(!error.message(Lang::Ru).is_empty());
            }
        }
    }

    #[test]
    fn what_is_printed_reads_back_equal(text in anything()) {
        if let Ok(query) = parse(&text) {
            let printed = query.to_string();
            let again = parse(&printed);
            prop_assert_eq!(again.as_ref(), Ok(&query), "{}", &printed);
            prop_assert_eq!(again.map(|again| again.to_string()), Ok(printed));
        }
    }
}
