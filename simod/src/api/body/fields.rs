//! All wrong fields of a body, reported at once: what fails is replaced by something harmless until nothing fails.
//! Only refused requests pay for it.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serde_path_to_error::{Path, Segment};
use simo_common::{lang::Text, spelling, text};

use super::{Wrong, nul, strict::Strict};
use crate::api::error::ApiError;

/// Names the request as a whole in an error: no field has this name.
pub(in crate::api) const WHOLE: &str = "(request)";

/// The most fields that one answer names.
pub(super) const MOST: usize = 32;

/// Of larger bodies only the first error is reported: each further one costs another pass over all of it.
const LOOKED_THROUGH: usize = 64 * 1024;

/// The most bytes of the caller's input that an answer repeats.
const REPEATED: usize = 256;

/// Budget for finding errors in a request, in bytes examined. Once it is spent, only the errors found so far are
/// reported.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort(usize);

impl Default for Effort {
    fn default() -> Self {
        Self(2 * 1024 * 1024)
    }
}

impl Effort {
    /// Enough for the first mistake.
    pub(super) fn none() -> Self {
        Self(0)
    }

    /// Spends so many bytes; `false` when there are not enough left.
    pub(super) fn spend(&mut self, bytes: usize) -> bool {
        // However short the input is, a pass costs something.
        const LEAST: usize = 256;
        let left = self.0.checked_sub(bytes.max(LEAST));
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// The beginning of the caller's input, which may be megabytes.
pub(in crate::api) fn clipped(text: &str) -> &str {
    &text[..text.floor_char_boundary(REPEATED)]
}

pub(super) type Fields = Vec<(String, Text)>;

/// The error of a JSON body that fails as `first`.
pub(super) fn first_wrong(first: &Failed) -> ApiError {
    let said = said(first.inner());
    let words = if first.inner().is_data() || is_half_a_character(&said) {
        in_words(&said)
    } else {
        text!("has a value that cannot be read", "значение не читается")
    };
    ApiError::field(name(first.path(), &said), words)
}

/// The same for all its fields.
pub(super) fn all_wrong<T: DeserializeOwned>(bytes: &[u8], first: &Failed, effort: &mut Effort) -> Wrong<T> {
    if bytes.len() > LOOKED_THROUGH || !effort.spend(bytes.len()) {
        return first_wrong(first).into();
    }
    let Ok(value) = serde_json::from_slice(bytes) else {
        return first_wrong(first).into();
    };
    let nuls = if nul::is_in(bytes) { nul::with_nul(bytes, effort) } else { Fields::new() };
    let (mut errors, mended) = mend::<T>(value, bytes.len(), effort);
    if errors.is_empty() {
        // Only the text shows that a field appears twice.
        return first_wrong(first).into();
    }
    let told: BTreeSet<String> = errors.iter().map(|(field, _)| field.clone()).collect();
    errors.extend(nuls.into_iter().filter(|(field, _)| !told.contains(field)));
    errors.truncate(MOST);
    Wrong { error: ApiError::invalid(errors), mended }
}

/// Replaces what fails until nothing does. Returns the errors and the mended body; `bytes` is the body's length.
fn mend<T: DeserializeOwned>(mut value: Value, bytes: usize, effort: &mut Effort) -> (Fields, Option<T>) {
    let mut errors: Fields = Vec::new();
    let mut replaced: BTreeSet<String> = BTreeSet::new();
    // An object in the place of something else may lack fields of its own, each of which takes another step.
    for _ in 0..MOST * 4 {
        if !effort.spend(bytes) {
            break;
        }
        let failed = match attempt::<T>(&value) {
            Ok(mended) => return (errors, Some(mended)),
            Err(failed) => failed,
        };
        let said = said(failed.inner());
        let field = name(failed.path(), &said);
        // Errors in our own replacements are not the caller's fault.
        let is_ours = replaced.iter().any(|ours| is_within(&field, ours));
        let Some(words) = replace::<T>(&mut value, failed.path(), &said, || effort.spend(bytes)) else {
            if !is_ours {
                errors.push((field, in_words(&said)));
            }
            break;
        };
        if !is_ours {
            errors.push((field.clone(), words));
        }
        if errors.len() == MOST {
            break;
        }
        replaced.insert(field);
    }
    (errors, None)
}

fn is_within(field: &str, outer: &str) -> bool {
    let inner = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
    outer == WHOLE || field.strip_prefix(outer).is_some_and(inner)
}

type Failed = serde_path_to_error::Error<serde_json::Error>;

fn attempt<T: DeserializeOwned>(value: &Value) -> Result<T, Failed> {
    serde_path_to_error::deserialize(Strict(value))
}

/// Replaces what fails at `path` as `said`; `None`: nothing helps. Returns the error's text, found by trying where
/// serde's does not help: for ids and times serde only repeats what their types say.
fn replace<T: DeserializeOwned>(
    value: &mut Value,
    path: &Path,
    said: &str,
    mut may_try: impl FnMut() -> bool,
) -> Option<Text> {
    let words = in_words(said);
    if said.starts_with("unknown field") {
        let path = places(path);
        let (Segment::Map { key }, holder) = path.split_last()? else {
            return None;
        };
        let removed = at(value, holder)?.as_object_mut()?.remove(key);
        return removed.map(|_| words);
    }
    if said.starts_with("missing field") {
        let name = named_field(said)?.to_owned();
        let fields = at(value, &places(path))?.as_object_mut()?;
        return fields.insert(name, Value::Null).is_none().then_some(words);
    }
    let path = places(path);
    at(value, &path)?;
    let mut fails_with = |candidate: Value| -> Option<String> {
        *at(value, &path)? = candidate;
        let failed = attempt::<T>(value).err()?;
        let said = self::said(failed.inner());
        let failed_at = places(failed.path());
        let is_here =
            failed_at.len() >= path.len() && failed_at.iter().zip(&path).all(|(a, b)| is_same(a, b));
        // Missing fields of the object are handled by the next step.
        (is_here && !said.starts_with("missing field")).then_some(said)
    };
    let Some(said_of_text) = fails_with(json!("")) else {
        return Some(words);
    };
    if said_of_text.starts_with("unknown variant") {
        let first = said_of_text.split('`').nth(3)?.to_owned();
        return fails_with(json!(first)).is_none().then(|| in_words(&said_of_text));
    }
    for (candidate, words) in [
        (json!(0), words.clone()),
        (json!(false), words.clone()),
        (json!([]), words.clone()),
        (json!({}), words.clone()),
        (json!(ID), id_in_words()),
        (json!(TIME), time_in_words()),
        (Value::Null, words.clone()),
    ] {
        if !may_try() {
            break;
        }
        if fails_with(candidate).is_none() {
            return Some(words);
        }
    }
    None
}

const ID: &str = "00000000-0000-0000-0000-000000000000";
const TIME: &str = "1970-01-01T00:00:00Z";

fn id_in_words() -> Text {
    text!(
        "is not an id such as 019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6a7b",
        "не является id, например 019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6a7b"
    )
}

fn time_in_words() -> Text {
    text!(
        "is not a time such as 2026-11-22T03:00:00+03:00",
        "не время; пишите, например, 2026-11-22T03:00:00+03:00"
    )
}

/// The part of a path made of JSON fields and items.
fn places(path: &Path) -> Vec<&Segment> {
    path.iter().filter(|segment| matches!(segment, Segment::Seq { .. } | Segment::Map { .. })).collect()
}

fn is_same(one: &Segment, other: &Segment) -> bool {
    match (one, other) {
        (Segment::Seq { index: a }, Segment::Seq { index: b }) => a == b,
        (Segment::Map { key: a }, Segment::Map { key: b }) => a == b,
        _ => false,
    }
}

fn at<'a>(value: &'a mut Value, path: &[&Segment]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, segment| match segment {
        Segment::Seq { index } => value.get_mut(index),
        Segment::Map { key } => value.get_mut(key),
        _ => None,
    })
}

/// A field's name as the caller knows it.
fn name(path: &Path, said: &str) -> String {
    let mut name = String::new();
    for segment in places(path) {
        match segment {
            Segment::Seq { index } => name = format!("{name}[{index}]"),
            other => name = joined(&name, &other.to_string()),
        }
    }
    // serde's path names the object that lacks a field or has it twice, but the field itself if it must not be there.
    let name = match named_field(said) {
        Some(field) if !said.starts_with("unknown field") => joined(&name, field),
        Some(unknown) if name.is_empty() => unknown.to_owned(),
        None if name.is_empty() => WHOLE.to_owned(),
        _ => name,
    };
    clipped(&name).to_owned()
}

pub(super) fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// serde's message without the position in the text.
fn said(error: &serde_json::Error) -> String {
    let said = error.to_string();
    said.split(" at line ").next().unwrap_or(&said).to_owned()
}

/// The unknown, missing or repeated field that serde names in its message only.
pub(in crate::api) fn named_field(said: &str) -> Option<&str> {
    let rest = said
        .strip_prefix("unknown field `")
        .or_else(|| said.strip_prefix("missing field `"))
        .or_else(|| said.strip_prefix("duplicate field `"))?;
    rest.split('`').next()
}

/// Whether `serde_json` failed at an escape that is a lone surrogate.
fn is_half_a_character(said: &str) -> bool {
    said.contains("hex escape")
}

/// serde's message about a value, without the names of our types.
pub(in crate::api) fn in_words(said: &str) -> Text {
    let known = said
        .split_once("expected ")
        .map(|(_, known)| known.trim_start_matches("one of ").replace("` or `", ", ").replace('`', ""));
    if let (true, Some(known)) = (said.starts_with("unknown field"), &known) {
        return match meant(clipped(named_field(said).unwrap_or_default()), said) {
            Some(name) => spelling::meant(text!("is not known here", "такого поля здесь нет"), Some(name)),
            None => text!("is not known here; known: {known}", "такого поля здесь нет; есть: {known}"),
        };
    }
    let has_names = said.starts_with("unknown variant") || said.contains(", expected one of `");
    if let (true, Some(known)) = (has_names, &known) {
        return text!("must be one of: {known}", "возможны значения: {known}");
    }
    if said.starts_with("missing field") {
        return text!("is missing", "обязательное поле отсутствует");
    }
    if said.starts_with("duplicate field") {
        return text!("appears twice", "поле повторяется");
    }
    if is_half_a_character(said) {
        return text!(
            "contains an unpaired surrogate such as \\ud83d",
            "есть непарный суррогат вроде \\ud83d"
        );
    }
    let in_its_words = || {
        let said = clipped(said);
        Text::new(said, format!("значение не подходит ({said})"))
    };
    let Some((_, expected)) = said.split_once(", expected ") else {
        return in_its_words();
    };
    if expected.contains("newtype variant") {
        return text!(
            "must be an object that says which one",
            "должен быть объект, где указано, какой именно"
        );
    }
    let has = |kinds: &[&str]| kinds.iter().any(|kind| expected.contains(kind));
    if has(&["struct ", "map", "object"]) {
        text!("must be an object", "должен быть объект")
    } else if has(&["sequence", "array"]) {
        text!("must be a list", "должен быть список")
    } else if has(&["boolean"]) {
        text!("must be true or false", "должно быть true или false")
    } else if has(&["i64", "u64", "i32", "u32", "integer"]) {
        text!("must be a whole number", "должно быть целое число")
    } else if has(&["f64", "floating"]) {
        text!("must be a number", "должно быть число")
    } else if has(&["string"]) {
        text!("must be a text", "должна быть строка")
    } else {
        in_its_words()
    }
}

/// The known field of which an unknown one is probably a misspelling.
fn meant<'a>(unknown: &str, said: &'a str) -> Option<&'a str> {
    let (_, known) = said.split_once("expected ")?;
    known
        .split('`')
        .skip(1)
        .step_by(2)
        .map(|known| (strsim::jaro_winkler(unknown, known), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}
