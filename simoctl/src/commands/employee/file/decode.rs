//! Detects a file's encoding and delimiter. A file whose encoding is uncertain is refused: a misread name would be stored wrong.

use csv::{ReaderBuilder, Trim};
use encoding_rs::{Encoding, UTF_8, WINDOWS_1251};
use simo_common::lang::Lang;

use super::{Mistake, header::count_known};

/// Decodes a file; returns the text and the encoding.
pub(super) fn text(bytes: &[u8], lang: Lang) -> Result<(String, &'static str), Mistake> {
    if bytes.starts_with(b"PK\x03\x04") {
        return Err(Mistake::of_line(
            1,
            lang.pick(
                "this is a workbook, not a text; save it as “CSV UTF-8”",
                "это книга Excel, а не текст; сохраните её как «CSV UTF-8»",
            ),
        ));
    }
    let (encoding, mark) = Encoding::for_bom(bytes).unwrap_or((UTF_8, 0));
    let rest = &bytes[mark..];
    let decoded = encoding.decode_without_bom_handling_and_without_replacement(rest);
    if let Some(text) = decoded.filter(|text| !text.contains('\0')) {
        return Ok((text.into_owned(), encoding.name()));
    }
    if let Ok(text) = str::from_utf8(rest)
        && let Some(line) = line_of_nul(text)
    {
        return Err(Mistake::of_line(
            line,
            lang.pick(
                "there is a NUL character, which no text has: the file is damaged",
                "есть символ NUL, которого в тексте не бывает: файл повреждён",
            ),
        ));
    }
    let (text, _) = WINDOWS_1251.decode_without_bom_handling(rest);
    if mark == 0 && !is_broken_utf8(bytes) && is_russian(&text) {
        return Ok((text.into_owned(), WINDOWS_1251.name()));
    }
    let good = str::from_utf8(rest).map_or_else(|error| error.valid_up_to(), |_| rest.len());
    let line = rest[..good].split(|byte| *byte == b'\n').count();
    Err(Mistake::of_line(
        line as u64,
        lang.pick(
            "this is neither UTF-8 nor Windows-1251; save the file as “CSV UTF-8”",
            "это не UTF-8 и не Windows-1251; сохраните файл как «CSV UTF-8»",
        ),
    ))
}

/// The line of a text's first NUL. A text full of NULs is UTF-16 without a BOM.
fn line_of_nul(text: &str) -> Option<u64> {
    let nuls = text.bytes().filter(|byte| *byte == 0).count();
    let first = text.find('\0').filter(|_| nuls * 4 < text.len())?;
    Some(text[..first].matches('\n').count() as u64 + 1)
}

/// The line of an opening quote that is never closed and so would swallow the rest of the file.
pub(super) fn unclosed_quote(text: &str, delimiter: u8) -> Option<u64> {
    let (mut line, mut opened) = (1, None);
    let mut is_start = true;
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, opened) {
            (b'"', None) if is_start => opened = Some(line),
            // Two quotes inside a value stand for one.
            (b'"', Some(_)) if bytes.next_if_eq(&b'"').is_none() => opened = None,
            _ => {}
        }
        is_start = byte == delimiter || byte == b'\n';
        line += u64::from(byte == b'\n');
    }
    opened
}

/// Whether most non-ASCII bytes are valid UTF-8: then the file is damaged UTF-8, not in another encoding.
fn is_broken_utf8(bytes: &[u8]) -> bool {
    let (mut good, mut bad) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        bad += chunk.invalid().len();
    }
    good >= bad
}

/// Whether a text decoded as Windows-1251 looks like Russian. CP866 would show letters of other alphabets, KOI8-R small letters
/// before capitals.
fn is_russian(text: &str) -> bool {
    let is_stray = |c: char| {
        (c.is_control() && !matches!(c, '\t' | '\r' | '\n'))
            || matches!(c, 'Ђ' | 'Ѓ' | 'ѓ' | 'Љ' | 'Њ' | 'Ќ' | 'Ћ' | 'Џ' | 'ђ' | 'љ' | 'њ' | 'ќ' | 'ћ' | 'џ')
    };
    if text.contains(is_stray) {
        return false;
    }
    let is_turned = |word: &str| {
        let mut letters = word.chars().zip(word.chars().skip(1));
        letters.any(|(first, second)| first.is_lowercase() && second.is_uppercase())
    };
    let words = || text.split(|c: char| !c.is_alphabetic()).filter(|word| word.len() > 1 && !word.is_ascii());
    words().filter(|word| is_turned(word)).count() * 2 <= words().count()
}

/// Takes the separator out of a first line `sep=;`, which Excel understands, and turns old Mac line ends into countable ones. The
/// line itself stays, empty, so that the others keep their numbers.
pub(super) fn unwrapped(text: String) -> (String, Option<u8>) {
    let text = if text.contains('\n') { text } else { text.replace('\r', "\n") };
    let first = text.lines().next().unwrap_or_default();
    match first.to_ascii_lowercase().strip_prefix("sep=").map(str::as_bytes) {
        Some(&[separator]) => (text[first.len()..].to_owned(), Some(separator)),
        _ => (text, None),
    }
}

/// The column separator: the one that yields the most known columns.
pub(super) fn delimiter(text: &str) -> u8 {
    let fits = |delimiter: &u8| {
        let mut reader =
            ReaderBuilder::new().delimiter(*delimiter).trim(Trim::All).from_reader(text.as_bytes());
        reader.headers().map_or((0, 0), |header| (count_known(header), header.len()))
    };
    // On a tie `max_by_key` takes the last: the comma.
    [b'\t', b';', b','].into_iter().max_by_key(fits).unwrap_or(b',')
}

/// A delimiter's name.
pub(super) fn named(delimiter: u8, lang: Lang) -> &'static str {
    match delimiter {
        b'\t' => lang.pick("tabs", "табуляция"),
        b';' => lang.pick("semicolons", "точка с запятой"),
        _ => lang.pick("commas", "запятая"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Табельный номер;ФИО;Группы\r\n1;Ёлкин Пётр;it\r\n";

    #[test]
    fn a_nul_is_told_by_its_line_and_a_quote_by_where_it_begins() {
        let mistake = text(b"a;b\n1;\0\n2;3\n", Lang::En).unwrap_err();
        assert_eq!(mistake.place().0, 2);
        assert!(mistake.in_words(Lang::En).contains("NUL"));
        assert_eq!(unclosed_quote("a;b\n1;\"x\n2;3\n4;5\n", b';'), Some(2));
        assert_eq!(unclosed_quote("a;\"b\nc\"\n1;\"\"\"x\"\"\"\n5\";6\n", b';'), None);
    }

    #[test]
    fn the_encodings_of_russian_programs_are_told_apart() {
        let read = |bytes: &[u8]| text(bytes, Lang::En);
        assert_eq!(read(TEXT.as_bytes()), Ok((TEXT.to_owned(), "UTF-8")));
        assert_eq!(read(format!("\u{feff}{TEXT}").as_bytes()), Ok((TEXT.to_owned(), "UTF-8")));
        let (bytes, ..) = WINDOWS_1251.encode(TEXT);
        assert_eq!(read(&bytes), Ok((TEXT.to_owned(), "windows-1251")));
        let utf16: Vec<u8> = format!("\u{feff}{TEXT}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(read(&utf16), Ok((TEXT.to_owned(), "UTF-16LE")));
    }

    #[test]
    fn what_may_be_something_else_is_refused_with_its_line() {
        let line = |bytes: &[u8]| text(bytes, Lang::En).map_err(|mistake| mistake.place().0);
        for other in [encoding_rs::KOI8_R, encoding_rs::IBM866] {
            let (bytes, ..) = other.encode("Иванов Иван Иванович, Петров Пётр");
            let bytes = [b"personnel_no,full_name,groups\n1,", &*bytes, b",\n"].concat();
            assert_eq!(line(&bytes), Err(2), "{}", other.name());
        }
        let mut broken = TEXT.as_bytes().to_vec();
        broken[60] = 0xff;
        assert!(line(&broken).is_err());
        assert_eq!(line(b"PK\x03\x04rest"), Err(1));
        assert!(line("a\0b".as_bytes()).is_err());
    }

    #[test]
    fn a_line_that_names_the_separator_is_no_header_and_a_macs_line_ends_are_some() {
        let unwrapped = |text: &str| unwrapped(text.to_owned());
        assert_eq!(unwrapped("sep=;\r\na;b\r\n"), ("\r\na;b\r\n".to_owned(), Some(b';')));
        assert_eq!(unwrapped("a;b\r1;2\r"), ("a;b\n1;2\n".to_owned(), None));
        assert_eq!(unwrapped("a,b\n"), ("a,b\n".to_owned(), None));
    }

    #[test]
    fn the_delimiter_is_the_one_that_makes_sense_of_the_header() {
        for (header, expected) in [
            ("personnel_no,full_name,groups", b','),
            ("Таб. №;«Фамилия, имя, отчество»;Подразделение", b';'),
            ("Таб. №\tФИО\tГруппы", b'\t'),
            ("\"Таб. №\",\"Фамилия; имя; отчество\",Группы", b','),
            ("", b','),
        ] {
            assert_eq!(delimiter(header), expected, "{header}");
        }
    }
}
