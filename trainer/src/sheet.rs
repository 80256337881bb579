//! Tables that people write: CSV with a header, separated by commas, semicolons or tabs, with line ends of any system.

mod text;

use crate::error::{Result, TrainerError};
use csv::{ByteRecord, ReaderBuilder, StringRecord, Trim};
use std::path::Path;

/// A table in memory.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// The names of the columns.
    pub headers: Vec<String>,
    /// Every row with the line that it begins in, from 1. A row may have more or fewer fields than there are columns.
    pub rows: Vec<(u32, StringRecord)>,
    /// What separates the columns.
    separator: u8,
}

impl Sheet {
    /// Reads a table.
    ///
    /// # Errors
    /// When the file cannot be read or is neither UTF-8 nor UTF-16, and when a quote is never closed.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&text::read(path)?).map_err(|(line, problem)| {
            TrainerError::data(format!("{}, line {line}", path.display()), problem, "mend the line")
        })
    }

    fn parse(text: &str) -> std::result::Result<Self, (u32, String)> {
        let said = said_separator(text);
        let delimiter = said.unwrap_or_else(|| separator(text));
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .delimiter(delimiter)
            .from_reader(text.as_bytes());
        let (mut lines, mut rows, mut record) = (Lines::new(text), Vec::new(), ByteRecord::new());
        loop {
            let begin = reader.position().byte() as usize;
            let line = lines.of(begin as u64);
            match reader.read_byte_record(&mut record) {
                Ok(false) => break,
                Ok(true) => {
                    let ended = reader.position().byte() as usize >= text.len();
                    if ended && open(text.get(begin..).unwrap_or_default(), delimiter) {
                        return Err((line, "a quote is opened in this row and never closed".into()));
                    }
                    let row = StringRecord::from_byte_record(record.clone()).map_err(|e| (line, e.to_string()))?;
                    rows.push((line, row));
                }
                Err(e) => return Err((line, e.to_string())),
            }
        }
        let mut rows = rows.into_iter().skip(usize::from(said.is_some()));
        let headers = rows.next().map(|(_, row)| row.iter().map(tidy).collect()).unwrap_or_default();
        Ok(Self { headers, rows: rows.collect(), separator: delimiter })
    }

    /// The place of the first column that has one of `names`, in any case.
    pub fn column(&self, names: &[&str]) -> Option<usize> {
        self.headers.iter().position(|header| names.iter().any(|name| header.eq_ignore_ascii_case(name)))
    }

    /// The names of the columns, for people.
    pub fn columns(&self) -> String {
        self.headers.join(", ")
    }

    /// What is wrong with a row's length, if anything.
    pub fn wrong_length(&self, row: &StringRecord) -> Option<String> {
        let (has, wanted) = (row.len(), self.headers.len());
        (has != wanted).then(|| format!("has {has} fields, the header has {wanted}"))
    }

    /// Refuses a row of `place`, which names the file and the line, whose length is not the header's.
    ///
    /// # Errors
    /// [`TrainerError::Data`] with both lengths.
    pub fn check_length(&self, place: &str, row: &StringRecord) -> Result<()> {
        let Some(problem) = self.wrong_length(row) else { return Ok(()) };
        let decimal = self.separator == b',' && row.len() > self.headers.len();
        let mend = match decimal {
            true => "put a field that holds a comma in quotes (\"12,50\"), or separate the columns by semicolons",
            false => "mend the line (quote fields that hold a separator)",
        };
        Err(TrainerError::data(place, problem, mend))
    }
}

/// A name with single spaces: a header may break its line.
fn tidy(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The separator that a spreadsheet names in a line before the header: `sep=;`.
fn said_separator(text: &str) -> Option<u8> {
    let first = text.lines().next()?;
    match first.strip_prefix("sep=")?.as_bytes() {
        [separator @ (b',' | b';' | b'\t')] => Some(*separator),
        _ => None,
    }
}

/// What separates the columns: of comma, semicolon and tab the one that the first line has most of, outside quotes.
fn separator(text: &str) -> u8 {
    let (mut quoted, mut counts) = (false, [(b',', 0), (b';', 0), (b'\t', 0)]);
    let first = text.trim_start_matches(['\r', '\n']);
    for byte in first.bytes().take_while(|byte| !matches!(byte, b'\r' | b'\n')) {
        quoted ^= byte == b'"';
        counts.iter_mut().filter(|count| !quoted && count.0 == byte).for_each(|count| count.1 += 1);
    }
    // The first of equals: a header of one column has none of them.
    counts.into_iter().rev().max_by_key(|count| count.1).map_or(b',', |count| count.0)
}

/// Whether a row that goes to the end of its table ends inside quotes: the reader takes all that follows for one field. A quote
/// opens where a field begins; inside, two stand for one.
fn open(row: &str, delimiter: u8) -> bool {
    let (mut quoted, mut begins) = (false, true);
    for byte in row.bytes() {
        match (quoted, byte) {
            // Of two quotes the second opens again what the first has closed.
            (true, b'"') => (quoted, begins) = (false, true),
            (false, b'"') if begins => quoted = true,
            (false, byte) => begins = byte == delimiter || matches!(byte, b'\r' | b'\n'),
            (true, _) => {}
        }
    }
    quoted
}

/// Line numbers of places that come in order.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0, line: 1 }
    }

    /// The line of the first character from byte `from` on that is no line end: a reader may stop in the middle of one.
    fn of(&mut self, from: u64) -> u32 {
        while let Some(byte) = self.bytes.get(self.at) {
            let end = matches!(byte, b'\r' | b'\n');
            if self.at as u64 >= from && !end {
                break;
            }
            let pair = *byte == b'\r' && self.bytes.get(self.at + 1) == Some(&b'\n');
            self.line += u32::from(end && !pair);
            self.at += 1;
        }
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_numbers_are_an_editors_with_every_kind_of_line_end() {
        let text = "file,title\na,b\n\n\"c\n\",d\ne,f\n\n\ng,h";
        for end in ["\n", "\r\n", "\r"] {
            let sheet = Sheet::parse(&text.replace('\n', end)).unwrap();
            let lines: Vec<u32> = sheet.rows.iter().map(|row| row.0).collect();
            assert_eq!(lines, [2, 4, 6, 9], "{end:?}");
            assert_eq!(sheet.rows[1].1.get(0), Some("c"), "{end:?}");
        }
    }

    #[test]
    fn the_header_says_what_separates() {
        for (text, columns) in [
            ("file;title;tags\na.jpg;Hat, red;x,y\n", "file|title|tags"),
            ("file\ttitle\r\na.jpg\tHat; red, old\r\n", "file|title"),
            ("file,\"a;b;c\"\na.jpg,x\n", "file|a;b;c"),
            ("\r\nfile\na.jpg\n", "file"),
            ("", ""),
        ] {
            let sheet = Sheet::parse(text).unwrap();
            assert_eq!(sheet.headers.join("|"), columns);
            assert!(sheet.rows.iter().all(|(_, row)| sheet.wrong_length(row).is_none()), "{text}");
        }
        for (text, line) in [("a,b\n1,\"2\n3,4\n", 2), ("a,b\n1,2\n3,\"4\"\"\n", 3), ("a,\"b", 1)] {
            let (found, problem) = Sheet::parse(text).unwrap_err();
            assert!(found == line && problem.contains("never closed"), "{text}: {found} {problem}");
        }
        for text in ["a,b\n1,5\" nail", "a,b\n1,\"5\"\" \n nail\"\n", "a,b\n1,\"\"", "a;b\n1;x,\"y\n"] {
            assert_eq!(Sheet::parse(text).unwrap().rows.len(), 1, "{text}");
        }
        let named = Sheet::parse("sep=;\r\nfile;\"net\nweight\"\r\na.jpg;3,5\r\n").unwrap();
        assert_eq!(
            (named.headers.join("|"), named.rows[0].0, &named.rows[0].1[1]),
            ("file|net weight".into(), 4, "3,5")
        );
        let sheet = Sheet::parse("a,b\n1,2,3\n4\n").unwrap();
        let refused = |row: usize| sheet.check_length("t.csv, line 2", &sheet.rows[row].1).unwrap_err().to_string();
        assert!(
            refused(0).contains("line 2: has 3 fields, the header has 2; put a field that holds a comma in quotes")
        );
        assert!(
            refused(1).ends_with("has 1 fields, the header has 2; mend the line (quote fields that hold a separator)")
        );
        assert_eq!(sheet.wrong_length(&sheet.rows[0].1).unwrap(), "has 3 fields, the header has 2");
        assert_eq!((sheet.column(&["none", "B"]), sheet.columns()), (Some(1), "a, b".to_owned()));
    }
}
