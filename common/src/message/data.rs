//! The `data` that a message carries for the app.

use std::fmt::Write as _;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, Unexpected},
};
use serde_json::value::RawValue;

use super::limits::DATA_DEPTH;

/// A JSON object that the app gets as its sender wrote it: all digits of its numbers, its names in their order, duplicates
/// included. Only whitespace between tokens is dropped, and `\u….` escapes are replaced by their characters.
#[derive(Debug, Clone)]
pub struct Data(Box<RawValue>);

impl Data {
    /// The object as compact JSON.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The same, consuming it.
    pub fn into_string(self) -> String {
        String::from(Box::<str>::from(self.0))
    }

    /// The object pretty-printed, one part a line.
    pub fn pretty(&self) -> String {
        let mut written = Written::new(true);
        // Text that was rewritten once can be rewritten again.
        let _ = written.rewrite(self.as_str());
        written.text
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl std::str::FromStr for Data {
    type Err = serde_json::Error;

    fn from_str(json: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(json)
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        if !json.get().starts_with('{') {
            return Err(D::Error::invalid_type(Unexpected::Other("something else"), &"an object"));
        }
        let mut written = Written::new(false);
        written.rewrite(json.get()).map_err(D::Error::custom)?;
        if written.text == json.get() {
            return Ok(Self(json));
        }
        RawValue::from_string(written.text).map(Self).map_err(D::Error::custom)
    }
}

/// JSON being rewritten from one layout to another.
struct Written {
    text: String,
    for_people: bool,
    depth: usize,
}

impl Written {
    fn new(for_people: bool) -> Self {
        Self { text: String::new(), for_people, depth: 0 }
    }

    /// Rewrites JSON whose syntax is valid. Checks what its parser did not, the escapes in texts and the depth, and reports
    /// errors in the parser's words.
    fn rewrite(&mut self, json: &str) -> Result<(), String> {
        self.text.reserve(json.len());
        let mut rest = json;
        let mut just_opened = false;
        while let Some(byte) = rest.bytes().next() {
            let length = if byte == b'"' { text_length(rest) } else { 1 };
            // Everything but texts is ASCII.
            let (part, behind) = rest.split_at(length);
            rest = behind;
            if part.trim_ascii().is_empty() {
                continue;
            }
            let closes = matches!(byte, b'}' | b']');
            if just_opened && !closes {
                self.new_line();
            }
            match byte {
                b'"' if part.contains('\\') => {
                    let text: String = serde_json::from_str(part).map_err(|error| error.to_string())?;
                    let _ = write!(self.text, "{}", serde_json::Value::String(text));
                }
                b'{' | b'[' => {
                    self.depth += 1;
                    if self.depth > DATA_DEPTH {
                        return Err("recursion limit exceeded".to_owned());
                    }
                    self.text.push_str(part);
                }
                b'}' | b']' => {
                    self.depth -= 1;
                    if !just_opened {
                        self.new_line();
                    }
                    self.text.push_str(part);
                }
                b',' => {
                    self.text.push_str(part);
                    self.new_line();
                }
                b':' if self.for_people => self.text.push_str(": "),
                _ => self.text.push_str(part),
            }
            just_opened = matches!(byte, b'{' | b'[');
        }
        Ok(())
    }

    fn new_line(&mut self) {
        if self.for_people {
            let _ = write!(self.text, "\n{:1$}", "", self.depth * 2);
        }
    }
}

/// Length in bytes, quotes included, of the text at the start of `json`.
fn text_length(json: &str) -> usize {
    let mut escaped = true;
    let end = json.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(json.len(), |end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(json: &str) -> String {
        json.parse::<Data>().unwrap().as_str().to_owned()
    }

    fn refused(json: &str) -> String {
        json.parse::<Data>().unwrap_err().to_string()
    }

    #[test]
    fn what_a_number_or_a_name_means_is_the_apps_business() {
        for json in [
            "{}",
            r#"{"z":1,"a":2,"z":3}"#,
            r#"{"a":123456789012345678901234567890,"b":0.1234567890123456789012,"c":1.0,"d":-0,"e":1E+400}"#,
            r#"{"$serde_json::private::RawValue":"[1]"}"#,
            r#"{"$serde_json::private::Number":{"x":5}}"#,
            r#"{"a":[],"b":{},"c":[null,true,false,"\\\"\n"]}"#,
        ] {
            assert_eq!(kept(json), json);
        }
    }

    #[test]
    fn space_and_escapes_do_not_count() {
        assert_eq!(kept("{ \"a b\" :\n\t[ 1 , \"x  y\" ] }\r\n"), r#"{"a b":[1,"x  y"]}"#);
        assert_eq!(kept(r#"{"\u0431":"\u041f\/\ud83d\ude00\\u0041\""}"#), r#"{"б":"П/😀\\u0041\""}"#);
    }

    #[test]
    fn only_an_object_of_characters_is_data() {
        for json in ["[]", "5", "\"{}\"", "null"] {
            assert!(refused(json).contains("expected an object"), "{json}");
        }
        for half in [r#"{"a":"\ud800"}"#, r#"{"\udc00":1}"#, r#"{"a":"\ud800\u0041"}"#] {
            assert!(refused(half).contains("hex escape"), "{}", refused(half));
        }
        let deep = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        assert_eq!(kept(&deep(126)), deep(126));
        assert!(refused(&deep(127)).contains("recursion limit"));
    }

    #[test]
    fn people_get_a_line_for_each_part() {
        let data: Data = r#"{"a":{},"b":[1.50,{"c":"x"}],"d":[]}"#.parse().unwrap();
        assert_eq!(
            data.pretty(),
            "{\n  \"a\": {},\n  \"b\": [\n    1.50,\n    {\n      \"c\": \"x\"\n    }\n  ],\n  \"d\": []\n}"
        );
    }
}
