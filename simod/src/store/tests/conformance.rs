//! Calls every public method of the store, and checks its results: the same on both engines. Where the engines differ
//! on purpose, the test says so and checks each.
//!
//! A new method needs a call here; `every_method_of_the_store_is_called_here` names those without.

mod access;
mod archive;
mod attempts;
mod audit;
mod clock;
mod disk;
mod distribution;
mod duties;
mod feed;
mod health;
mod history;
mod login;
mod messages;
mod opening;
mod people;
mod phones;
mod queue;
mod site;
mod stories;
mod streams;
mod succession;
mod sums;
mod tokens;
mod topics;
mod web_phones;
mod withheld;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use simo_common::{
    api::history::{Delivery, Sort},
    query, token,
};
use tempfile::TempDir;
use uuid::Uuid;

use super::{claim_all, finished, fixture::NOON, posted};
use crate::{
    clock::Clock,
    store::{
        AcsNo, Ask, DeviceCaller, Error, Find, Incoming, Listing, NewDevice, PairedDevice, Pairing, Poster,
        PushResult, Result, Rows, Store, TokenHolder,
        tests::fixture::{Fixture, HOUR},
    },
    testing::{empty_database, new_device},
};

/// An empty store, and the folder that it may be in.
async fn empty() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let url = empty_database(&folder).await;
    let store = Store::open(&url, Clock::manual(NOON)).await.unwrap();
    (folder, store)
}

/// The names in a list: of live rows, of all, and of all that `find` finds. Each is read row by row, so that every page
/// begins after a key.
async fn listed<T, K>(
    list: impl AsyncFn(Listing<K>) -> Result<Rows<T, K>>,
    name: impl Fn(&T) -> String,
    find: &str,
) -> [String; 3] {
    let mut lists = Vec::new();
    for (archived, find) in [(false, ""), (true, ""), (true, find)] {
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let listing = Listing { find: Find::new(find), limit: 1, after, archived };
            let page = list(listing).await.unwrap();
            names.extend(page.items.iter().map(&name));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        lists.push(names.join(" "));
    }
    lists.try_into().unwrap()
}

fn is_missing<T>(result: &Result<T>, what: &str) -> bool {
    matches!(result, Err(Error::NotFound { noun, .. }) if *noun == what)
}

fn is_conflict<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::Conflict(_)))
}

/// The fields that were refused.
fn invalid<T: std::fmt::Debug>(result: Result<T>) -> Vec<String> {
    match result {
        Err(Error::Invalid(fields)) => fields.into_iter().map(|(field, _)| field).collect(),
        other => panic!("{other:?}"),
    }
}

async fn post(f: &Fixture, incoming: Incoming) -> Uuid {
    posted(&f.store.accept(&[incoming]).await.unwrap()[0]).id
}

/// The ACS of the fixture's messages.
async fn acs_no(f: &Fixture) -> AcsNo {
    let Poster::Token(hash) = f.incoming("").poster else { panic!("an ACS posts") };
    match f.store.token_holder(&hash).await.unwrap() {
        Some(TokenHolder::Acs(acs)) => acs.acs_no,
        other => panic!("{other:?}"),
    }
}

/// A phone that was paired with a code.
struct Phone {
    caller: DeviceCaller,
    paired: PairedDevice,
    token_hash: [u8; 32],
}

/// What a phone would send with this code; without an address it holds a stream.
fn device(code: &str, address: Option<&str>) -> NewDevice {
    new_device(code, &token::generate(token::TokenKind::Device), address)
}

async fn pair(f: &Fixture, personnel_no: &str, address: Option<&str>) -> Phone {
    let (code, _) = f.store.invite(f.client_no, personnel_no, 3_600).await.unwrap();
    let device = device(&code, address);
    let Pairing::Done(paired) = f.store.pair(&device).await.unwrap() else { panic!("the code works") };
    let Some(TokenHolder::Device(caller)) = f.store.token_holder(&device.token_hash).await.unwrap() else {
        panic!("the token works")
    };
    Phone { caller, paired, token_hash: device.token_hash }
}

/// The provider accepts everything that is due.
async fn send_all(f: &Fixture) {
    let accepted = || PushResult::Accepted { answer: "ok".to_owned() };
    let pushes = claim_all(f).await;
    let results: Vec<_> = pushes.iter().map(|push| finished(push, accepted())).collect();
    f.store.finish(&results).await.unwrap();
}

/// All deliveries that a query finds, by employee.
async fn deliveries(f: &Fixture, text: &str) -> Vec<Delivery> {
    let ask = Ask {
        client_no: f.client_no,
        acs_no: None,
        message_id: None,
        query: &query::parse(text).unwrap(),
        sort: "employee".parse::<Sort>().unwrap(),
        limit: 1_000,
        cursor: None,
    };
    f.store.deliveries(&ask).await.unwrap().items
}

/// State and reason of the only message's deliveries, by employee.
pub(super) async fn states(f: &Fixture) -> Vec<String> {
    let all = deliveries(f, "").await;
    all.iter()
        .map(|row| {
            let reason = row.reason.as_deref().unwrap_or("-");
            format!("{} {} {reason}", row.personnel_no, row.state.as_str())
        })
        .collect()
}

#[test]
fn every_method_of_the_store_is_called_here() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let tests = sources.join("store/tests");
    let (mut offered, mut code) = (BTreeSet::new(), String::new());
    for path in rust_files(&sources) {
        let text = fs::read_to_string(&path).unwrap();
        if path == tests.join("conformance.rs") || path.starts_with(tests.join("conformance")) {
            code += &bare(&text);
        } else {
            offered.extend(methods(&text));
        }
    }
    // If these are not found, missing calls would not be either.
    for known in ["open", "clock", "others", "accept_each", "forget_events", "explain"] {
        assert!(offered.contains(known), "`{known}` is not found in the sources");
    }
    let missing = uncalled(&offered, &code);
    assert!(missing.is_empty(), "methods of the store that no conformance test calls: {missing:?}");
}

#[test]
fn a_method_that_is_not_called_is_named() {
    let source = "
impl Store {
    /// Not `pub fn said`.
    pub async fn called(&self) {}
    pub(crate) const fn also_called() {}
    pub async fn forgotten<T>(
        &self,
    ) {}
    pub(super) fn inner(&self) {}
    fn own(&self) {}
}

impl crate::store::Store {
    pub fn elsewhere(&self) {}
}

impl Other {
    pub fn foreign(&self) {}
}
";
    let code =
        bare("f\n    .store\n    .called();\n// store.forgotten()\nother.elsewhere();\nStore::also_called()");
    let offered = methods(source).into_iter().collect();
    assert_eq!(uncalled(&offered, &code), ["elsewhere", "forgotten"]);
}

/// The methods that a source file gives the store for others to call. It relies on `rustfmt` for line starts.
fn methods(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut within = false;
    for line in source.lines() {
        if let Some(named) = line.strip_prefix("impl ").and_then(|rest| rest.strip_suffix(" {")) {
            within = named.rsplit("::").next() == Some("Store");
        } else if line == "}" {
            within = false;
        }
        let Some(declared) =
            line.strip_prefix("    pub ").or_else(|| line.strip_prefix("    pub(crate) ")).filter(|_| within)
        else {
            continue;
        };
        let mut words = declared.split(' ');
        if words.any(|word| word == "fn")
            && let Some(name) = words.next().and_then(|rest| rest.split(['(', '<']).next())
        {
            names.push(name.to_owned());
        }
    }
    names
}

/// Code without comments and white space, so that a call is one piece however it is broken into lines.
fn bare(code: &str) -> String {
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(str::split_whitespace).collect()
}

/// The methods without a call. Their receiver ends with `store`, so that nothing else is counted.
fn uncalled<'a>(offered: &'a BTreeSet<String>, code: &str) -> Vec<&'a str> {
    let is_called =
        |name: &str| ["store.", "Store::"].iter().any(|store| code.contains(&format!("{store}{name}(")));
    let missing = offered.iter().filter(|name| !is_called(name));
    missing.map(String::as_str).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
