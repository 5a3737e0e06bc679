//! YAML without interpretation: every value keeps its place, and a scalar its text. The caller knows which type it expects: a
//! personnel number `001` is not a number, and `no` is a fine name.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use simo_common::{lang::Text, text};

/// Maximum nesting; a site needs eight levels.
const DEPTH: usize = 32;

/// A place: the number of the file, line and column from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A value and its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) is: Is,
}

/// The kind of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Is {
    /// Empty, or `~`.
    Nothing,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(MapKey, Node)>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MapKey {
    pub(super) place: Place,
    pub(super) name: String,
}

/// A mistake, and its place.
pub(super) type Mistake = (Place, Text);

/// Parses the documents of a file; if there are mistakes, as much of them as possible.
pub(super) fn parse(yaml: &str, file: usize, mistakes: &mut Vec<Mistake>) -> Vec<Node> {
    let mut reader = Reader { file, open: Vec::new(), documents: Vec::new(), mistakes };
    let yaml = yaml.strip_prefix('\u{feff}').unwrap_or(yaml);
    for event in Parser::new_from_str(yaml) {
        match event {
            Ok((event, span)) => {
                if !reader.take(event, span) {
                    return Vec::new();
                }
            }
            Err(error) => {
                let mark = error.marker();
                let place = Place { file, line: mark.line(), column: mark.col() + 1 };
                let said = error.info();
                reader.mistakes.push((place, text!("this is not YAML: {said}", "это не YAML: {said}")));
                return Vec::new();
            }
        }
    }
    reader.documents
}

/// A list or map still being read; a map may wait for the value of a key.
enum Open {
    List(Place, Vec<Node>),
    Map(Place, Vec<(MapKey, Node)>, Option<MapKey>),
}

struct Reader<'m> {
    file: usize,
    open: Vec<Open>,
    documents: Vec<Node>,
    mistakes: &'m mut Vec<Mistake>,
}

impl Reader<'_> {
    /// Handles an event; returns whether parsing can continue.
    fn take(&mut self, event: Event<'_>, span: Span) -> bool {
        let place = Place { file: self.file, line: span.start.line(), column: span.start.col() + 1 };
        match event {
            Event::Scalar(text, style, ..) => {
                let is_plain = style == ScalarStyle::Plain;
                let is = match &*text {
                    "" | "~" if is_plain => Is::Nothing,
                    text => Is::Scalar(text.to_owned()),
                };
                self.put(Node { place, is });
            }
            Event::SequenceStart(..) => self.open.push(Open::List(place, Vec::new())),
            Event::MappingStart(..) => self.open.push(Open::Map(place, Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => {
                let node = match self.open.pop() {
                    Some(Open::List(place, items)) => Node { place, is: Is::List(items) },
                    Some(Open::Map(place, entries, _)) => Node { place, is: Is::Map(entries) },
                    None => return false,
                };
                self.put(node);
            }
            Event::Alias(_) => {
                self.mistakes.push((
                    place,
                    text!(
                        "references (*name) are not understood here; write the value itself",
                        "ссылки (*имя) здесь не поддерживаются; напишите само значение"
                    ),
                ));
                self.put(Node { place, is: Is::Nothing });
            }
            _ => {}
        }
        if self.open.len() > DEPTH {
            self.mistakes.push((place, text!("nested too deeply", "слишком глубокая вложенность")));
            return false;
        }
        true
    }

    fn put(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.documents.push(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, entries, key)) => match key.take() {
                None => {
                    let place = node.place;
                    let name = match node.is {
                        Is::Scalar(name) => name,
                        _ => String::new(),
                    };
                    *key = Some(MapKey { place, name });
                }
                Some(key) => {
                    let first = entries.iter().find(|(known, _)| known.name == key.name);
                    if let Some((known, _)) = first {
                        let (name, line) = (&key.name, known.place.line);
                        self.mistakes.push((
                            key.place,
                            text!(
                                "`{name}` appears twice: line {line} has it already",
                                "«{name}» повторяется: уже есть в строке {line}"
                            ),
                        ));
                    } else {
                        entries.push((key, node));
                    }
                }
            },
        }
    }
}

impl Node {
    /// The value of a key.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        match &self.is {
            Is::Map(entries) => entries.iter().find(|(key, _)| key.name == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text, if this is a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.is {
            Is::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The place of a path such as `clients.zavod.topics[3].grants[0].group`, or of the longest part of it that exists. A key may
    /// contain dots.
    pub(super) fn locate(&self, path: &str) -> Place {
        let path = path.strip_prefix('.').unwrap_or(path);
        if let (Some(rest), Is::List(items)) = (path.strip_prefix('['), &self.is) {
            let item = rest.split_once(']').and_then(|(number, rest)| {
                let item = items.get(number.parse::<usize>().ok()?)?;
                Some((item, rest))
            });
            return item.map_or(self.place, |(item, rest)| item.locate(rest));
        }
        let Is::Map(entries) = &self.is else {
            return self.place;
        };
        let next = entries
            .iter()
            .filter_map(|(key, value)| {
                let rest = path.strip_prefix(key.name.as_str())?;
                let ends = rest.is_empty() || rest.starts_with(['.', '[']);
                ends.then_some((key, value, rest))
            })
            .max_by_key(|(key, ..)| key.name.len());
        match next {
            // A nested value may begin on a later line than its key.
            Some((key, value, "")) if value.text().is_none() => key.place,
            Some((_, value, rest)) => value.locate(rest),
            None => self.place,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use simo_common::lang::Lang;

    fn read(yaml: &str) -> (Vec<Node>, Vec<String>) {
        let mut mistakes = Vec::new();
        let nodes = parse(yaml, 0, &mut mistakes);
        let mistakes = mistakes.iter();
        let told = mistakes.map(|(at, text)| format!("{}:{} {}", at.line, at.column, text.get(Lang::En)));
        (nodes, told.collect())
    }

    #[test]
    fn a_scalar_is_what_is_written() {
        let (nodes, mistakes) = read("\u{feff}a: [001, no, 1e3, 'x: y', null, ~]\nb:\n");
        assert_eq!(mistakes, [""; 0]);
        let Is::List(items) = &nodes[0].get("a").unwrap().is else { panic!("{nodes:?}") };
        let texts: Vec<_> = items.iter().map(Node::text).collect();
        assert_eq!(texts, [Some("001"), Some("no"), Some("1e3"), Some("x: y"), Some("null"), None]);
        assert_eq!(nodes[0].get("b").unwrap().is, Is::Nothing);
    }

    #[test]
    fn a_path_leads_to_the_place_or_as_far_as_there_is_something() {
        let (nodes, _) =
            read("clients:\n  a.b:\n    topics:\n      - slug: x\n        grants: [{group: y}]\n");
        let at = |path: &str| {
            let place = nodes[0].locate(path);
            (place.line, place.column)
        };
        assert_eq!(at("clients.a.b.topics[0].grants[0].group"), (5, 26));
        assert_eq!(at("clients.a.b.topics[0].name"), (4, 9));
        assert_eq!(at("clients.a.b"), (2, 3));
        assert_eq!(at("clients.a.b.topics[7]"), (4, 7));
    }

    #[test]
    fn what_is_no_yaml_a_key_twice_and_a_reference_are_told_with_their_places() {
        assert_eq!(read("a: 1\na: 2\n").1, ["2:1 `a` appears twice: line 1 has it already"]);
        assert!(read("a: &x 1\nb: *x\n").1[0].starts_with("2:4 references"));
        assert!(read("a: [1\nb: 2").1[0].contains("this is not YAML"));
        assert!(read(&"[".repeat(200)).1[0].contains("nested too deeply"));
        assert_eq!(read(&"[".repeat(100_000)).1.len(), 1, "the parser itself gives up");
    }
}
