//! The limits requested for a new token: every error is reported, with the nearest word.

use std::sync::Arc;

use ipnet::IpNet;
use simo_common::{
    api::{access::NewToken, site::LimitedToken},
    spelling, text,
    token::Scope,
};

use crate::{
    api::{ApiResult, admin::check::Check},
    app::App,
    store::{ClientNo, Find, Listing, TokenLimits, network},
};

const NETWORKS: usize = 100;
const TOPICS: usize = 1_000;

/// Checks the limits of a token of a client's ACS; an operator's has none.
pub(super) async fn limits(
    app: &Arc<App>,
    client_no: Option<ClientNo>,
    new: &NewToken,
    check: &mut Check,
) -> ApiResult<TokenLimits> {
    if new.operator.is_some() {
        refuse_for_operator(new, check);
        return Ok(TokenLimits::default());
    }
    not_empty(check, &new.scopes, &new.topics, &new.networks);
    let listed = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let mut slugs = listed(&new.topics);
    if let Some(client_no) = client_no.filter(|_| !slugs.is_empty()) {
        topics(app, client_no, &slugs, check).await?;
    }
    slugs.sort_unstable();
    slugs.dedup();
    rate(check, new.rate_limit);
    Ok(TokenLimits {
        scopes: scopes(&listed(&new.scopes), check),
        topics: slugs,
        networks: networks(&listed(&new.networks), check),
        rate_limit: new.rate_limit,
        rate_limit_as_503: new.rate_limit_as_503.unwrap_or_default(),
        fit: new.fit.unwrap_or_default(),
    })
}

/// Checks the limits of a token in a site, except for its topics, which the site may make.
pub(in crate::api::admin) fn of_site(token: &LimitedToken, check: &mut Check) {
    not_empty(check, &token.scopes, &token.topics, &token.networks);
    rate(check, token.rate_limit);
    scopes(token.scopes.as_deref().unwrap_or_default(), check);
    networks(token.networks.as_deref().unwrap_or_default(), check);
}

type Listed = Option<Vec<String>>;

/// An empty list must not come to mean everything.
fn not_empty(check: &mut Check, scopes: &Listed, topics: &Listed, networks: &Listed) {
    for (field, list) in [("scopes", scopes), ("topics", topics), ("networks", networks)] {
        if list.as_ref().is_some_and(Vec::is_empty) {
            check.wrong(
                field,
                text!("is empty: leave it out for all", "пусто: уберите поле, чтобы разрешить всё"),
            );
        }
    }
}

fn rate(check: &mut Check, rate_limit: Option<u32>) {
    if rate_limit == Some(0) {
        check.wrong(
            "rate_limit",
            text!("must be at least 1 request a minute", "нужен хотя бы 1 запрос в минуту"),
        );
    }
}

fn refuse_for_operator(new: &NewToken, check: &mut Check) {
    let given = [
        ("personal", new.personal.is_some()),
        ("scopes", new.scopes.is_some()),
        ("topics", new.topics.is_some()),
        ("networks", new.networks.is_some()),
        ("rate_limit", new.rate_limit.is_some()),
        ("rate_limit_as_503", new.rate_limit_as_503.is_some()),
        ("fit", new.fit.is_some()),
    ];
    for (field, _) in given.into_iter().filter(|(_, given)| *given) {
        check.wrong(field, text!("is for tokens of ACS", "только для токенов АСУ"));
    }
}

fn scopes(texts: &[String], check: &mut Check) -> Vec<Scope> {
    let mut scopes = Vec::new();
    for (place, text) in texts.iter().enumerate() {
        if let Ok(scope) = text.parse() {
            scopes.push(scope);
            continue;
        }
        let nearest = spelling::nearest(text, Scope::ALL.map(Scope::as_str));
        let unknown = text!(
            "there is no scope `{text}`; there are `send` and `read`",
            "нет права «{text}»; есть `send` и `read`"
        );
        check.wrong(&format!("scopes[{place}]"), spelling::meant(unknown, nearest));
    }
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

fn networks(texts: &[String], check: &mut Check) -> Vec<IpNet> {
    if texts.len() > NETWORKS {
        check.wrong("networks", text!("are more than {NETWORKS}", "их больше {NETWORKS}"));
    }
    let mut networks = Vec::new();
    for (place, text) in texts.iter().enumerate() {
        let field = format!("networks[{place}]");
        let text = text.trim();
        match network(text) {
            Some(network) if network.trunc() == network => networks.push(network),
            Some(network) => {
                let right = network.trunc();
                check.wrong(
                    &field,
                    text!(
                        "`{text}` has bits beyond its prefix; did you mean `{right}`, or one address?",
                        "у «{text}» есть биты за пределами префикса; может быть, «{right}» или один адрес?"
                    ),
                );
            }
            None => check.wrong(
                &field,
                text!(
                    "`{text}` is not a network; write 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7",
                    "«{text}» не сеть; пишите 10.0.0.0/8, 2001:db8::/32 или 192.0.2.7"
                ),
            ),
        }
    }
    networks
}

async fn topics(app: &Arc<App>, client_no: ClientNo, slugs: &[String], check: &mut Check) -> ApiResult<()> {
    if slugs.len() > TOPICS {
        check.wrong("topics", text!("are more than {TOPICS}", "их больше {TOPICS}"));
    }
    let all = Listing { find: Find::default(), limit: i32::MAX as usize, after: None, archived: false };
    let known = app.store.topics(client_no, &all).await?.items;
    let known: Vec<&str> = known.iter().map(|topic| topic.slug.as_str()).collect();
    for (place, slug) in slugs.iter().enumerate() {
        if !known.contains(&slug.as_str()) {
            let nearest = spelling::nearest(slug, known.iter().copied());
            check.wrong(
                &format!("topics[{place}]"),
                spelling::meant(text!("there is no topic `{slug}`", "нет темы «{slug}»"), nearest),
            );
        }
    }
    Ok(())
}
