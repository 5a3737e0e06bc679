//! Tokens of ACS. What a token may do is not changed: one that is to do something else is another token.

use std::collections::{HashMap, HashSet};

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use simo_common::{
    api::site::{AcsToken, LimitedToken, SiteAction, SiteKind},
    text,
    time::{self, Moment},
    token::Scope,
};
use uuid::Uuid;

use super::{super::live::LiveToken, draft::Draft};
use crate::store::{TokenLimits, TokenTerms};

/// What is told of a token.
#[derive(Default, PartialEq, Serialize)]
struct Limits {
    scopes: Vec<Scope>,
    topics: Vec<String>,
    networks: Vec<String>,
    rate_limit: Option<u32>,
    expires_at: Option<Timestamp>,
}

impl From<&TokenTerms> for Limits {
    fn from(terms: &TokenTerms) -> Self {
        Self {
            scopes: terms.limits.scopes.clone(),
            topics: terms.limits.topics.clone(),
            networks: terms.limits.networks.iter().map(ToString::to_string).collect(),
            rate_limit: terms.limits.rate_limit,
            expires_at: terms.expires_at.map(time::from_us),
        }
    }
}

impl Draft<'_> {
    pub(super) fn tokens(&mut self, acs: &str, path: &str, list: &[AcsToken]) {
        let live = self.live.into_iter().flat_map(|live| &live.tokens);
        let live: Vec<&LiveToken> = live.filter(|token| token.acs == acs).collect();
        let mut free: Vec<&LiveToken> = live.iter().copied().filter(|live| live.heir.is_none()).collect();
        let mut wanted: Vec<(usize, &AcsToken)> = list.iter().enumerate().collect();
        // A name alone takes what those leave that say more.
        wanted.sort_by_key(|(_, token)| token.limited().is_none());
        let mut first: HashMap<&str, usize> = HashMap::new();
        let mut made = Vec::new();
        for (place, token) in wanted {
            let (name, at) = (token.name(), format!("{path}[{place}]"));
            let Some(terms) = self.token_terms(&at, token) else {
                first.entry(name).or_insert(place);
                continue;
            };
            let differs = |live: &LiveToken| {
                token
                    .limited()
                    .and_then(|said| differing(said, &terms, &live.terms))
            };
            let named = |live: &&LiveToken| live.name() == name;
            let found = free
                .iter()
                .position(|live| named(live) && differs(live).is_none())
                .or_else(|| free.iter().position(named));
            match found.map(|found| free.remove(found)) {
                Some(live) => {
                    if let Some(field) = differs(live) {
                        self.differs(&format!("{at}.{field}"), name);
                    }
                }
                None if first.contains_key(name) => {
                    let first = format!("{path}[{}]", first.get(name).copied().unwrap_or_default());
                    let text = text!("`{name}` is there already: {first}", "«{name}» уже есть: {first}");
                    self.out.wrong(at, text);
                }
                None if terms.expires_at.is_some_and(|end| end <= self.all.now) => {
                    let text = text!(
                        "has passed: give another time, or leave the token out",
                        "уже прошло: укажите другое время или уберите токен"
                    );
                    self.out.wrong(format!("{at}.expires_at"), text);
                }
                None => made.push((place, terms)),
            }
            first.entry(name).or_insert(place);
        }
        made.sort_by_key(|(place, _)| *place);
        for (_, terms) in made {
            let name = format!("{acs}/{}", terms.name.as_deref().unwrap_or_default());
            let limits = Limits::from(&terms);
            let told = (limits != Limits::default()).then_some(&limits);
            self.note(SiteAction::Create, SiteKind::Token, &name, None, told);
            self.plan.tokens.push((acs.to_owned(), terms));
        }
        if !self.prune {
            return;
        }
        let free: HashSet<Uuid> = free.iter().map(|live| live.id).collect();
        for token in live {
            if free.contains(&token.heir.unwrap_or(token.id)) {
                self.plan.tokens_gone.push(token.id);
                let name = format!("{acs}/{}", token.name());
                self.note::<()>(SiteAction::Revoke, SiteKind::Token, &name, None, None);
            }
        }
    }

    fn differs(&mut self, at: &str, name: &str) {
        self.out.wrong(
            at,
            text!(
                "the token `{name}` that works has another; what a token may do is not changed: give this one another name, or revoke that one first",
                "у действующего токена «{name}» другое значение; что можно токену, не меняется: дайте этому другое имя или сначала отзовите тот"
            ),
        );
    }

    /// What is said of a token, if nothing is wrong with it. What is no scope and no network is told before.
    fn token_terms(&mut self, at: &str, token: &AcsToken) -> Option<TokenTerms> {
        let noted = self.out.mistakes.len();
        let nothing = LimitedToken::default();
        let said = token.limited().unwrap_or(&nothing);
        let expires_at = said.expires_at.as_deref().and_then(|text| {
            let zone = TimeZone::get(&self.settings.timezone).unwrap_or(TimeZone::UTC);
            let expires_at = Moment::parse(text).and_then(|moment| moment.in_zone(&zone));
            if expires_at.is_none() {
                self.out.wrong(
                    format!("{at}.expires_at"),
                    text!(
                        "`{text}` is no time; write 2027-01-01T00:00:00+03:00 or 2027-01-01",
                        "«{text}» не время; пишите 2027-01-01T00:00:00+03:00 или 2027-01-01"
                    ),
                );
            }
            expires_at
        });
        let mut topics = said.topics.clone().unwrap_or_default();
        for (place, slug) in topics.iter().enumerate() {
            self.topic_of_token(&format!("{at}.topics[{place}]"), slug);
        }
        topics.sort_unstable();
        topics.dedup();
        let mut scopes: Vec<Scope> = parsed(said.scopes.as_deref());
        scopes.sort_unstable();
        scopes.dedup();
        (self.out.mistakes.len() == noted).then(|| TokenTerms {
            name: Some(token.name().to_owned()),
            expires_at,
            personal: said.personal.unwrap_or(topics.is_empty()),
            limits: TokenLimits {
                scopes,
                topics,
                networks: TokenLimits::networks(said.networks.as_deref().unwrap_or_default()),
                rate_limit: said.rate_limit,
            },
        })
    }

    fn topic_of_token(&mut self, at: &str, slug: &String) {
        let wanted = self.wanted.topics.iter().flatten().map(|topic| &topic.slug);
        let live = self.live.into_iter().flat_map(|live| &live.topics);
        let live = live.filter(|(_, topic)| !topic.archived).map(|(slug, _)| slug);
        let known: Vec<&String> = wanted.chain(live).collect();
        if !known.contains(&slug) {
            self.out.missing(at.to_owned(), ("topic", "темы"), slug, known);
        }
    }
}

fn parsed<T: std::str::FromStr>(texts: Option<&[String]>) -> Vec<T> {
    texts
        .unwrap_or_default()
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect()
}

/// The first thing that is said of a token and is otherwise with the one that works.
fn differing(said: &LimitedToken, wanted: &TokenTerms, live: &TokenTerms) -> Option<&'static str> {
    let networks = |terms: &TokenTerms| {
        let mut networks = terms.limits.networks.clone();
        networks.sort_unstable();
        networks
    };
    let differs = [
        (
            "personal",
            said.personal.is_some() && wanted.personal != live.personal,
        ),
        (
            "scopes",
            said.scopes.is_some() && wanted.limits.scopes != live.limits.scopes,
        ),
        (
            "topics",
            said.topics.is_some() && wanted.limits.topics != live.limits.topics,
        ),
        (
            "networks",
            said.networks.is_some() && networks(wanted) != networks(live),
        ),
        (
            "rate_limit",
            said.rate_limit.is_some() && wanted.limits.rate_limit != live.limits.rate_limit,
        ),
        (
            "expires_at",
            said.expires_at.is_some() && wanted.expires_at != live.expires_at,
        ),
    ];
    differs
        .into_iter()
        .find_map(|(field, differs)| differs.then_some(field))
}
