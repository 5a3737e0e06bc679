//! The demo's company: an ACS, three employees, two groups, two topics, and the events of one night.

use simo_common::{
    api::{
        access::{ClientSpec, Grantee, Named, NewToken, NewTopic},
        message::{PostMessage, Recipients},
        people::NewEmployee,
    },
    client::{Client, Result},
    lang::Lang,
    message::Priority,
};

/// The company, provisioned.
pub(super) struct Company {
    pub employees: Vec<NewEmployee>,
    /// The token of its ACS.
    pub acs_token: String,
}

const GROUPS: [(&str, &str, &str); 2] = [("shift-a", "Shift A", "Смена А"), ("office", "Office", "Контора")];
const TOPICS: [(&str, &str, &str); 2] =
    [("boiler", "Boiler house", "Котельная"), ("payroll", "Payroll", "Зарплата")];

fn people(lang: Lang) -> Vec<NewEmployee> {
    let person = |no: &str, en: &str, ru: &str, group: &str| NewEmployee {
        personnel_no: no.to_owned(),
        full_name: lang.pick(en, ru).to_owned(),
        groups: vec![group.to_owned()],
        ..NewEmployee::default()
    };
    vec![
        person("0001", "Anna Isayeva", "Исаева Анна Егоровна", "shift-a"),
        person("0002", "Pyotr Gorbachev", "Горбачёв Пётр Ильич", "shift-a"),
        person("0003", "Vera Kudryashova", "Кудряшова Вера Львовна", "office"),
    ]
}

/// The person who tries the demo.
pub(super) fn guest(lang: Lang) -> NewEmployee {
    NewEmployee {
        personnel_no: "0004".to_owned(),
        full_name: lang.pick("Guest", "Гость").to_owned(),
        groups: vec!["shift-a".to_owned()],
        ..NewEmployee::default()
    }
}

impl Company {
    /// Makes the company over the API, as an owner would.
    pub(super) async fn provision(admin: &Client, lang: Lang) -> Result<Self> {
        admin
            .add_client(&ClientSpec {
                slug: Some("demo".to_owned()),
                name: Some(lang.pick("Demo plant", "Демо-завод").to_owned()),
                ..ClientSpec::default()
            })
            .await?;
        for (slug, en, ru) in GROUPS {
            admin
                .add_group(&Named { slug: slug.to_owned(), name: Some(lang.pick(en, ru).to_owned()) })
                .await?;
        }
        let employees = people(lang);
        for employee in &employees {
            admin.add_employee(employee).await?;
        }
        for (slug, en, ru) in TOPICS {
            admin
                .add_topic(&NewTopic {
                    slug: slug.to_owned(),
                    name: Some(lang.pick(en, ru).to_owned()),
                    ..NewTopic::default()
                })
                .await?;
        }
        admin.grant("boiler", &Grantee::Group("shift-a".to_owned()).into()).await?;
        admin.grant("payroll", &Grantee::Everyone.into()).await?;
        let token = NewToken { acs: Some("1c".to_owned()), ..NewToken::default() };
        Ok(Self { employees, acs_token: admin.issue_token(&token).await?.token })
    }

    /// Shows who is who.
    pub(super) fn print(&self, lang: Lang) {
        for employee in &self.employees {
            say!("  {}  {:<24} {}", employee.personnel_no, employee.full_name, employee.groups.join(", "));
        }
        say!(
            "  {}\n",
            lang.pick(
                "topic boiler: granted to shift-a; topic payroll: granted to everyone",
                "тема boiler: доступ у shift-a; тема payroll: доступ у всех",
            )
        );
    }
}

/// Five messages: to a topic, to a group, to everyone, to a person, and to one who may not receive it.
pub(super) fn messages(lang: Lang) -> Vec<PostMessage> {
    let topic = |slug: &str, en: &str, ru: &str| PostMessage {
        title: lang.pick(en, ru).to_owned(),
        topic: Some(slug.to_owned()),
        ..PostMessage::default()
    };
    let to = |employees: &[&str], groups: &[&str], everyone| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Some(Recipients { employees: owned(employees), groups: owned(groups), everyone })
    };
    vec![
        PostMessage {
            priority: Some(Priority::Critical),
            require_ack: true,
            body: lang.pick("8.7 bar, the limit is 8.5", "8,7 бар при допустимых 8,5").to_owned(),
            ..topic("boiler", "Boiler 1: pressure is too high", "Котёл 1: давление выше нормы")
        },
        PostMessage {
            recipients: to(&[], &["shift-a"], false),
            ..topic("boiler", "Shift A: come at 07:30", "Смена А: сбор в 07:30")
        },
        PostMessage {
            recipients: to(&[], &[], true),
            ..topic("payroll", "Wages were transferred", "Зарплата перечислена")
        },
        PostMessage {
            recipients: to(&["0003"], &[], false),
            ..topic("payroll", "Please sign the statement", "Подпишите, пожалуйста, ведомость")
        },
        PostMessage {
            recipients: to(&["0001", "0003"], &[], false),
            ..topic("boiler", "Valve 4 was replaced", "Задвижка 4 заменена")
        },
    ]
}
