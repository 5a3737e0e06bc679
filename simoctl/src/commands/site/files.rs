//! A site in one file, several, or a directory: read as one, with file, line and column of every mistake.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use simo_common::{
    api::{problem::FieldError, site::Site},
    lang::{Lang, Text},
    text,
};

use super::{
    shape::{self, Reader, SITE, Shape},
    yaml::{self, Is, Mistake, Node, Place},
};
use crate::commands::{called, is_stdio, read_text};

/// The parsed files.
#[derive(Debug)]
pub(crate) struct Files {
    names: Vec<String>,
    root: Node,
    /// The site; if there are mistakes, as much of it as could be parsed.
    pub(crate) site: Site,
    mistakes: Vec<(Place, String, Text)>,
}

/// A file that cannot be read.
pub(crate) type Unreadable = (PathBuf, io::Error);

/// Reads the files named by `paths`: a directory stands for all its `*.yaml` and `*.yml`, `-` for standard input.
pub(crate) fn read(paths: &[PathBuf], lang: Lang) -> Result<Files, Unreadable> {
    let mut texts = Vec::new();
    for path in paths {
        let failed = |cause| (path.clone(), cause);
        if !is_stdio(path) && path.is_dir() {
            let files = within(path).map_err(failed)?;
            if files.is_empty() {
                // A wrong directory must not look like a site without changes.
                return Err(failed(io::ErrorKind::NotFound.into()));
            }
            for file in files {
                let text = read_text(&file).map_err(|cause| (file.clone(), cause))?;
                texts.push((file.display().to_string(), text));
            }
        } else {
            let text = read_text(path).map_err(failed)?;
            texts.push((called(path, lang), text));
        }
    }
    Ok(understand(&texts))
}

/// The site files of a directory, sorted by name.
pub(crate) fn within(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let ends = path.extension().and_then(|end| end.to_str());
        if matches!(ends, Some("yaml" | "yml")) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

pub(super) fn understand(texts: &[(String, String)]) -> Files {
    let names: Vec<String> = texts.iter().map(|(name, _)| name.clone()).collect();
    let shown = |place: Place| shown(&names, place);
    let mut found: Vec<Mistake> = Vec::new();
    let mut root = Node { place: Place { file: 0, line: 1, column: 1 }, is: Is::Nothing };
    for (file, (_, text)) in texts.iter().enumerate() {
        for document in yaml::parse(text, file, &mut found) {
            merge(&mut root, document, SITE, &shown, &mut found);
        }
    }
    let mut reader = Reader { mistakes: &mut found, shown: &shown };
    let value = reader.read(&root, SITE).unwrap_or_default();
    let site = match serde_json::from_value(value) {
        Ok(site) => site,
        Err(error) => {
            // The shape accepts a value that the wire type does not.
            if found.is_empty() {
                found.push((root.place, Text::new(error.to_string(), error.to_string())));
            }
            Site::default()
        }
    };
    let mistakes = found.into_iter().map(|(place, text)| (place, String::new(), text));
    let mistakes = mistakes.collect();
    Files { names, root, site, mistakes }
}

/// Merges a document into those before: lists and maps grow, anything else may appear only once.
fn merge(
    into: &mut Node,
    from: Node,
    shape: Shape,
    shown: &dyn Fn(Place) -> String,
    mistakes: &mut Vec<Mistake>,
) {
    match (&mut into.is, from.is) {
        (Is::Nothing, is) => {
            into.is = is;
            into.place = from.place;
        }
        (_, Is::Nothing) => {}
        (Is::List(items), Is::List(more)) => items.extend(more),
        (Is::Map(entries), Is::Map(more)) => {
            for (key, value) in more {
                let behind = shape::behind(shape, &key.name);
                match entries.iter_mut().find(|(known, _)| known.name == key.name) {
                    None => entries.push((key, value)),
                    Some((_, known)) if behind.is_some_and(shape::is_spread) => {
                        merge(known, value, behind.unwrap_or(shape), shown, mistakes);
                    }
                    Some((known, _)) => {
                        let (name, first) = (&key.name, shown(known.place));
                        let text =
                            text!("`{name}` is said already: {first}", "«{name}» уже указано: {first}");
                        mistakes.push((key.place, text));
                    }
                }
            }
        }
        (_, _) => {
            let first = shown(into.place);
            let text = text!("something else is here: {first}", "здесь указано другое: {first}");
            mistakes.push((from.place, text));
        }
    }
}

fn shown(names: &[String], place: Place) -> String {
    let name = names.get(place.file).map(String::as_str).unwrap_or_default();
    format!("{name}:{}:{}", place.line, place.column)
}

impl Files {
    /// Whether there are no mistakes that can be found without the server.
    pub(crate) fn are_sound(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// Adds the server's errors about the site, in the person's language. An error where a mistake is known already is dropped as
    /// its likely consequence.
    pub(crate) fn take(&mut self, errors: &[FieldError]) {
        for error in errors {
            let path = error.field.strip_prefix("site.").unwrap_or(&error.field);
            let place = self.root.locate(path);
            let known = self.mistakes.iter();
            if !known.clone().any(|(known, path, _)| *known == place && path.is_empty()) {
                let said = self.in_files(&error.detail);
                self.mistakes.push((place, path.to_owned(), Text::new(said.clone(), said)));
            }
        }
    }

    /// Replaces a site path at the end of a text by its place in the files.
    fn in_files(&self, said: &str) -> String {
        match said.rsplit_once(": ") {
            Some((before, path)) if path.starts_with("clients.") || path.starts_with("owners[") => {
                format!("{before}: {}", shown(&self.names, self.root.locate(path)))
            }
            _ => said.to_owned(),
        }
    }

    /// The mistakes as lines: `site.yaml:12:9: clients.zavod.topics[3].grants[0].group: …`.
    pub(crate) fn told(&mut self, lang: Lang) -> Vec<String> {
        self.mistakes.sort_by_key(|(place, ..)| *place);
        let mistakes = self.mistakes.iter();
        mistakes
            .map(|(place, path, text)| {
                let path = if path.is_empty() { String::new() } else { format!("{path}: ") };
                format!("{}: {path}{}", shown(&self.names, *place), text.get(lang))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[(&str, &str)]) -> Files {
        let owned = texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        understand(&owned.collect::<Vec<_>>())
    }

    #[test]
    fn several_files_are_one_site() {
        let files = read(&[
            ("a.yaml", "clients:\n  zavod:\n    name: Завод\n    groups:\n      - slug: a\n"),
            (
                "b.yaml",
                "clients:\n  zavod:\n    groups:\n      - slug: b\n    employees:\n      - personnel_no: 001\n",
            ),
        ]);
        assert!(files.are_sound(), "{:?}", files.mistakes);
        let zavod = &files.site.clients["zavod"];
        assert_eq!(zavod.name.as_deref(), Some("Завод"));
        assert_eq!(zavod.groups.as_ref().map(Vec::len), Some(2));
        assert_eq!(zavod.employees.as_ref().unwrap()[0].personnel_no, "001");
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_their_places_and_the_nearest_word() {
        let mut files = read(&[
            (
                "a.yaml",
                "clients:\n  zavod:\n    nam: Завод\n    default_ttl: soon\n    notification: yes\n    operators:\n      - name: anna\n        role: admn\n      - name: boris\n    groups: smena-a\n",
            ),
            (
                "b.yaml",
                "owner: [x]\nclients:\n  zavod:\n    default_ttl: 72h\n    employees:\n      - personnel_no: 001\n      - {personnel_no: 001}\n      - full_name: Анна\n    topics:\n      - slug: boiler\n        priority: urgent\n        grants:\n          - grup: smena-a\n",
            ),
        ]);
        files.take(&[FieldError {
            field: "clients.zavod.topics[0].grants[0]".to_owned(),
            detail: "name one of".to_owned(),
        }]);
        insta::assert_snapshot!(files.told(Lang::En).join("\n"));
    }
}
