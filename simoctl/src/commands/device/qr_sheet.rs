//! A sheet of invitations to print and cut: self-contained HTML, a page per group.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use jiff::tz::TimeZone;
use simo_common::{
    api::invites::{BatchInvite, MadeBatch},
    lang::Lang,
    qr,
};

const STYLE: &str = "\
@page{margin:12mm}
body{font:11pt/1.35 sans-serif;color:#000;background:#fff;margin:0}
section{break-after:page}
section:last-child{break-after:auto}
h1{font-size:16pt;margin:0 0 4mm}
.card{display:inline-flex;gap:5mm;width:86mm;min-height:44mm;box-sizing:border-box;padding:3mm;margin:0 2mm 2mm 0;\
border:1px dashed #888;break-inside:avoid;vertical-align:top}
.card svg{width:36mm;height:36mm;flex:none}
.card b{display:block}
.card p{margin:1mm 0;font-size:9pt}
.code{font:bold 13pt monospace;white-space:nowrap}";

/// The whole document. A member of several groups is listed under the first of `wanted`, or else the first of their own.
pub(super) fn html(
    lang: Lang,
    zone: &TimeZone,
    made: &MadeBatch,
    wanted: &[String],
    names: &HashMap<String, String>,
) -> String {
    let mut pages: BTreeMap<(bool, String), Vec<&BatchInvite>> = BTreeMap::new();
    for invite in &made.invites {
        let group = wanted.iter().find(|slug| invite.groups.contains(slug)).or(invite.groups.first());
        let title = group.map(|slug| names.get(slug).unwrap_or(slug).clone());
        let key = (title.is_none(), title.unwrap_or_default());
        pages.entry(key).or_default().push(invite);
    }
    let title = escaped(&made.name);
    let heading = lang.pick("Invitations", "Приглашения");
    let mut html = format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n<title>{heading}: {title}</title>\n\
         <style>\n{STYLE}\n</style>\n</head>\n<body>\n",
        lang.code()
    );
    let until = made.expires_at.to_zoned(zone.clone());
    let until = until.strftime(lang.pick("%-d %B %Y, %H:%M", "%d.%m.%Y, %H:%M")).to_string();
    for ((_, group), invites) in &pages {
        let group =
            if group.is_empty() { lang.pick("Without a group", "Без группы") } else { group };
        // Writing to a string does not fail.
        let _ = writeln!(html, "<section>\n<h1>{}</h1>", escaped(group));
        for invite in invites {
            card(&mut html, lang, invite, &until);
        }
        html.push_str("</section>\n");
    }
    html.push_str("</body>\n</html>\n");
    html
}

fn card(html: &mut String, lang: Lang, invite: &BatchInvite, until: &str) {
    let (name, number) = (escaped(&invite.full_name), escaped(&invite.personnel_no));
    let label = lang.pick("No.", "Таб. №");
    let code = escaped(&invite.code);
    let address = escaped(invite.uri.split('#').next().unwrap_or_default());
    let todo = lang.pick(
        format!(
            "Point your phone's camera at the picture, or open {address} and type the code. On an iPhone, add the page to the home \
             screen first. The code works once, for you only, until"
        ),
        format!(
            "Наведите камеру телефона на картинку или откройте {address} и введите код. На iPhone сначала добавьте страницу на \
             экран «Домой». Код действует один раз, только для вас, до"
        ),
    );
    let picture = qr::svg(&invite.uri).unwrap_or_default();
    let _ = writeln!(
        html,
        "<div class=\"card\">{picture}<div><b>{name}</b>{label} {number}<p class=\"code\">{code}</p>\
         <p>{todo} {until}.</p></div></div>"
    );
}

/// Escapes untrusted text for HTML.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(name: &str, groups: &[&str]) -> BatchInvite {
        BatchInvite {
            personnel_no: "00<1".to_owned(),
            full_name: name.to_owned(),
            groups: groups.iter().map(|&slug| slug.to_owned()).collect(),
            code: "K7QD-M2XA-9F".to_owned(),
            uri: "https://simo.example.org/app/#pair=K7QD-M2XA-9F".to_owned(),
        }
    }

    #[test]
    fn each_group_has_its_page_and_nothing_of_others_is_markup() {
        let made = MadeBatch {
            id: uuid::Uuid::nil(),
            name: "<script>".to_owned(),
            expires_at: jiff::Timestamp::UNIX_EPOCH,
            invites: vec![
                invite("<b>Иванов</b> & \"Ко\"", &["a", "b"]),
                invite("Петров", &["a"]),
                invite("Сидоров", &[]),
            ],
            blocked: Vec::new(),
        };
        let names = HashMap::from([("b".to_owned(), "Цех <2>".to_owned())]);
        let html = html(Lang::Ru, &TimeZone::UTC, &made, &["b".to_owned()], &names);
        assert_eq!(html.matches("<section>").count(), 3);
        let (shop, rest) = html.split_once("<h1>Цех &lt;2&gt;</h1>").unwrap();
        assert!(shop.contains("Петров") && rest.contains("Без группы"));
        assert!(rest.contains("&lt;b&gt;Иванов&lt;/b&gt; &amp; &quot;Ко&quot;"));
        assert!(!html.contains("<script>") && !html.contains("00<1"));
        assert_eq!(html.matches("<svg").count(), 3);
        for outside in ["src=", "href=", "url("] {
            assert!(!html.contains(outside), "{outside}: it needs nothing else");
        }
        assert!(html.contains("откройте https://simo.example.org/app/ и введите код"));
    }
}
