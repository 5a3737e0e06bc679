//! The schema of site files: keys and the shapes of their values. All mistakes in a file are found at once.

use std::collections::HashMap;

use serde_json::{Map, Value};
use simo_common::{
    lang::Text,
    spelling::{meant, nearest},
    text,
};

use super::{
    super::message::seconds,
    yaml::{Is, MapKey, Mistake, Node, Place},
};

/// The shape of a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// A text, as written; empty if nothing is written.
    Text,
    Whole,
    /// A span of time, in seconds: `3600`, `72h`.
    Seconds,
    Truth,
    /// One of these words.
    Word(&'static [&'static str]),
    /// That shape, or nothing.
    OrNothing(&'static Self),
    List(&'static Self),
    /// Objects, each named by this key.
    Objects(&'static str, &'static [Field]),
    /// A text, or an object with this key for the text.
    TextOr(&'static str, &'static [Field]),
    /// Objects keyed by their names.
    Named(&'static [Field]),
    Object(&'static [Field]),
}

/// A key and the shape of its value.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
}

const fn field(name: &'static str, shape: Shape) -> Field {
    Field { name, shape }
}

pub(super) const TEXTS: Shape = Shape::List(&Shape::Text);

pub(super) const SITE: Shape =
    Shape::Object(&[field("owners", TEXTS), field("clients", Shape::Named(CLIENT))]);

pub(super) const CLIENT: &[Field] = &[
    field("name", Shape::Text),
    field("timezone", Shape::Text),
    field("payload", Shape::Word(&["full", "doorbell"])),
    field("notification", Shape::Truth),
    field("webpush", Shape::Word(&["text", "doorbell"])),
    field("default_ttl", Shape::Seconds),
    field("retention_days", Shape::Whole),
    field(
        "acs",
        Shape::Objects(
            "name",
            &[field("name", Shape::Text), field("tokens", Shape::List(&Shape::TextOr("name", TOKEN)))],
        ),
    ),
    field(
        "operators",
        Shape::Objects(
            "name",
            &[field("name", Shape::Text), field("role", Shape::Word(&["viewer", "admin"]))],
        ),
    ),
    field(
        "groups",
        Shape::Objects(
            "slug",
            &[
                field("slug", Shape::Text),
                field("name", Shape::Text),
                field("includes", TEXTS),
                field("members", TEXTS),
            ],
        ),
    ),
    field(
        "employees",
        Shape::Objects(
            "personnel_no",
            &[
                field("personnel_no", Shape::Text),
                field("full_name", Shape::Text),
                field("email", Shape::Text),
                field("phone", Shape::Text),
                field("locale", Shape::Text),
                field("timezone", Shape::Text),
                field("groups", TEXTS),
                field("blocked", Shape::Truth),
                field("person", Shape::Word(&["new", "same"])),
            ],
        ),
    ),
    field(
        "topics",
        Shape::Objects(
            "slug",
            &[
                field("slug", Shape::Text),
                field("name", Shape::Text),
                field("priority", Shape::OrNothing(&Shape::Word(&["low", "normal", "high", "critical"]))),
                field(
                    "recipients",
                    Shape::OrNothing(&Shape::Object(&[
                        field("employees", TEXTS),
                        field("groups", TEXTS),
                        field("everyone", Shape::Truth),
                    ])),
                ),
                field("grants", Shape::List(&Shape::Object(GRANT))),
            ],
        ),
    ),
];

const TOKEN: &[Field] = &[
    field("name", Shape::Text),
    field("personal", Shape::Truth),
    field("scopes", TEXTS),
    field("topics", TEXTS),
    field("networks", TEXTS),
    field("rate_limit", Shape::Whole),
    field("rate_limit_as_503", Shape::Truth),
    field("fit", Shape::Truth),
    field("expires_at", Shape::Text),
];

const GRANT: &[Field] = &[
    field("everyone", Shape::Truth),
    field("group", Shape::Text),
    field("employee", Shape::Text),
    field("from", Shape::Text),
    field("until", Shape::Text),
    field("hours", Shape::Text),
];

/// Whether a value of this shape may be spread over several files.
pub(super) fn is_spread(shape: Shape) -> bool {
    matches!(shape, Shape::List(_) | Shape::Objects(..) | Shape::Named(_) | Shape::Object(_))
}

/// The shape of a key's value.
pub(super) fn behind(shape: Shape, key: &str) -> Option<Shape> {
    match shape {
        Shape::Object(fields) => fields.iter().find(|field| field.name == key).map(|field| field.shape),
        Shape::Named(fields) => Some(Shape::Object(fields)),
        _ => None,
    }
}

/// Reads values by their shapes, and collects mistakes.
pub(super) struct Reader<'m> {
    pub(super) mistakes: &'m mut Vec<Mistake>,
    /// Formats a place.
    pub(super) shown: &'m dyn Fn(Place) -> String,
}

impl Reader<'_> {
    /// The value as JSON. A wrong one is left out where possible, so that checking can continue.
    pub(super) fn read(&mut self, node: &Node, shape: Shape) -> Option<Value> {
        match shape {
            Shape::Text => match &node.is {
                Is::Nothing => Some("".into()),
                Is::Scalar(text) => Some(text.as_str().into()),
                _ => self.wrong(node, text!("must be a text", "должна быть строка")),
            },
            Shape::Whole => match node.text().and_then(|text| text.parse::<i64>().ok()) {
                Some(number) => Some(number.into()),
                None => self.wrong(node, text!("must be a whole number", "должно быть целое число")),
            },
            Shape::Seconds => match node.text().map(seconds) {
                Some(Ok(seconds)) => Some(seconds.into()),
                Some(Err(wrong)) => self.wrong(node, wrong.0),
                None => self.wrong(node, text!("must be a time such as 72h", "нужно время, например 72h")),
            },
            Shape::Truth => match node.text() {
                Some("true") => Some(true.into()),
                Some("false") => Some(false.into()),
                _ => self.wrong(node, text!("must be true or false", "должно быть true или false")),
            },
            Shape::Word(words) => self.word(node, words),
            Shape::OrNothing(shape) => match &node.is {
                Is::Nothing => Some(Value::Null),
                _ => self.read(node, *shape),
            },
            Shape::List(shape) => {
                let items = self.items(node)?;
                // A placeholder for a wrong item, so that the others keep their numbers.
                let read = items.iter().map(|item| self.read(item, *shape).unwrap_or_else(|| empty(*shape)));
                Some(read.collect())
            }
            Shape::TextOr(key, fields) => match &node.is {
                Is::Map(_) => {
                    if node.get(key).is_none() {
                        let text = text!("needs `{key}`", "здесь нужен ключ `{key}`");
                        return self.wrong(node, text);
                    }
                    self.object(node, fields).map(Value::Object)
                }
                _ => self.read(node, Shape::Text),
            },
            Shape::Objects(key, fields) => self.objects(node, key, fields),
            Shape::Named(fields) => {
                let entries = self.entries(node)?;
                let read = entries.iter().map(|(key, value)| {
                    let object = self.object(value, fields).unwrap_or_default();
                    (key.name.clone(), Value::Object(object))
                });
                Some(Value::Object(read.collect()))
            }
            Shape::Object(fields) => self.object(node, fields).map(Value::Object),
        }
    }

    fn wrong<T>(&mut self, node: &Node, text: Text) -> Option<T> {
        self.mistakes.push((node.place, text));
        None
    }

    fn word(&mut self, node: &Node, words: &[&str]) -> Option<Value> {
        let typed = node.text().unwrap_or_default();
        if words.contains(&typed) {
            return Some(typed.into());
        }
        let known = words.join(", ");
        let text = match nearest(typed, words.iter().copied()) {
            Some(near) => meant(
                text!("`{typed}` is not one of {known}", "«{typed}» здесь не подходит, возможны {known}"),
                Some(near),
            ),
            None => text!("must be one of: {known}", "возможны значения: {known}"),
        };
        self.wrong(node, text)
    }

    fn items<'n>(&mut self, node: &'n Node) -> Option<&'n [Node]> {
        match &node.is {
            Is::List(items) => Some(items),
            Is::Nothing => Some(&[]),
            _ => self.wrong(node, text!("must be a list", "должен быть список")),
        }
    }

    fn entries<'n>(&mut self, node: &'n Node) -> Option<&'n [(MapKey, Node)]> {
        match &node.is {
            Is::Map(entries) => Some(entries),
            Is::Nothing => Some(&[]),
            _ => self.wrong(node, text!("must be keys with values", "здесь нужны ключи со значениями")),
        }
    }

    fn objects(&mut self, node: &Node, key: &str, fields: &[Field]) -> Option<Value> {
        let mut first: HashMap<&str, Place> = HashMap::new();
        let mut objects = Vec::new();
        for item in self.items(node)? {
            let mut object = self.object(item, fields).unwrap_or_default();
            let named = item.get(key);
            match named.and_then(Node::text) {
                Some(name) => {
                    let place = named.map_or(item.place, |named| named.place);
                    if let Some(known) = first.get(name) {
                        let known = (self.shown)(*known);
                        let text = text!("`{name}` is there already: {known}", "«{name}» уже есть: {known}");
                        self.mistakes.push((place, text));
                    } else {
                        first.insert(name, place);
                    }
                }
                None => self.mistakes.push((item.place, text!("needs `{key}`", "здесь нужен ключ `{key}`"))),
            }
            for field in fields {
                let is_needed = field.name == key || field.name == "role";
                if is_needed && !object.contains_key(field.name) {
                    if field.name != key && item.get(field.name).is_none() {
                        let name = field.name;
                        let text = text!("needs `{name}`", "здесь нужен ключ `{name}`");
                        self.mistakes.push((item.place, text));
                    }
                    object.insert(field.name.to_owned(), empty(field.shape));
                }
            }
            objects.push(Value::Object(object));
        }
        Some(Value::Array(objects))
    }

    fn object(&mut self, node: &Node, fields: &[Field]) -> Option<Map<String, Value>> {
        let mut object = Map::new();
        for (key, value) in self.entries(node)? {
            let name = &key.name;
            let Some(field) = fields.iter().find(|field| field.name == *name) else {
                let names = fields.iter().map(|field| field.name);
                let known = names.clone().collect::<Vec<_>>().join(", ");
                let text = match nearest(name, names) {
                    Some(near) => {
                        meant(text!("`{name}` is not known here", "ключа «{name}» здесь нет"), Some(near))
                    }
                    None => text!(
                        "`{name}` is not known here; known: {known}",
                        "ключа «{name}» здесь нет; есть: {known}"
                    ),
                };
                self.mistakes.push((key.place, text));
                continue;
            };
            if let Some(read) = self.read(value, field.shape) {
                object.insert(name.clone(), read);
            }
        }
        Some(object)
    }
}

/// A placeholder for a required value that cannot be read.
fn empty(shape: Shape) -> Value {
    match shape {
        Shape::Text | Shape::TextOr(..) => "".into(),
        Shape::Word(words) => words.first().copied().unwrap_or_default().into(),
        _ => Value::Object(Map::new()),
    }
}
