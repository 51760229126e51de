//! A stream of JSON documents from a file or standard input: one a line, or pretty-printed over several.
//!
//! After a broken document the next one is read: a `{` at the beginning of a line always begins one, as no printer of
//! JSON puts a nested one there. Reading happens on a thread of its own, so that an interrupt is heard meanwhile.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    thread,
};

use anyhow::Context as _;
use tokio::sync::mpsc;

/// The most bytes of one document. Larger ones no topic takes.
const DOCUMENT_MAX: usize = 4 << 20;
/// Documents that wait to be taken.
const AHEAD: usize = 2000;

/// One document, whole or broken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Document {
    /// The line it begins on, from 1.
    pub(crate) line: u64,
    /// Its text; none where it is longer than any topic takes.
    pub(crate) text: Option<Vec<u8>>,
    /// Bytes of the input up to its end.
    pub(crate) end: u64,
}

/// Documents as they are read.
pub(crate) struct Documents {
    /// The documents, then the error that ended the input early, if one did.
    pub(crate) receiver: mpsc::Receiver<io::Result<Document>>,
    /// Bytes of the whole input, where that is known.
    pub(crate) size: Option<u64>,
}

/// Opens a file, or standard input where it is named `-`.
pub(crate) fn open(file: &Path) -> anyhow::Result<(Box<dyn Read + Send>, Option<u64>)> {
    if file.as_os_str() == "-" {
        return Ok((Box::new(io::stdin()), None));
    }
    let opened = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    let about = opened.metadata().with_context(|| format!("cannot read {}", file.display()))?;
    anyhow::ensure!(!about.is_dir(), "{} is a folder; name a file, or - for standard input", file.display());
    Ok((Box::new(opened), about.is_file().then_some(about.len())))
}

impl Documents {
    /// Begins to read.
    pub(crate) fn open(file: &Path) -> anyhow::Result<Self> {
        let (input, size) = open(file)?;
        let (sender, receiver) = mpsc::channel(AHEAD);
        thread::Builder::new().name("auren-input".to_owned()).spawn(move || {
            if let Err(error) = split(BufReader::new(input), |document| sender.blocking_send(Ok(document)).is_ok()) {
                // Where nobody waits for documents any more, nobody waits for the error.
                let _ = sender.blocking_send(Err(error));
            }
        })?;
        Ok(Self { receiver, size })
    }
}

/// Splits the input into documents until `take` wants no more.
fn split(mut input: impl BufRead, mut take: impl FnMut(Document) -> bool) -> io::Result<()> {
    let mut splitter = Splitter::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        // A line without an end is taken in pieces, so that no input fills the memory.
        let read = input.by_ref().take(DOCUMENT_MAX as u64).read_until(b'\n', &mut line)?;
        if read == 0 {
            splitter.finish(&mut take);
            return Ok(());
        }
        if !splitter.feed(&line, &mut take) {
            return Ok(());
        }
    }
}

/// Where in the input it is.
struct Splitter {
    /// The document so far.
    text: Vec<u8>,
    /// The line it began on.
    begun: u64,
    too_long: bool,
    /// Brackets that are open.
    depth: usize,
    quoted: bool,
    escaped: bool,
    line: u64,
    at_line_start: bool,
    bytes: u64,
}

impl Default for Splitter {
    fn default() -> Self {
        let text = Vec::new();
        let (begun, line) = (1, 1);
        Self {
            text,
            begun,
            too_long: false,
            depth: 0,
            quoted: false,
            escaped: false,
            line,
            at_line_start: true,
            bytes: 0,
        }
    }
}

impl Splitter {
    /// Reads a line, or a piece of one. `false` where no more documents are wanted.
    fn feed(&mut self, line: &[u8], take: &mut impl FnMut(Document) -> bool) -> bool {
        if self.at_line_start && line.first() == Some(&b'{') && !self.emit(take) {
            return false;
        }
        for &byte in line {
            self.bytes += 1;
            if self.is_between() {
                if byte.is_ascii_whitespace() {
                    self.line += u64::from(byte == b'\n');
                    continue;
                }
                self.begun = self.line;
            }
            let newline = byte == b'\n';
            // Of JSON, a string may not go on over a line's end; what is no object or list ends with its line.
            let broken = newline && (self.quoted || self.depth == 0);
            if !broken {
                self.push(byte);
            }
            self.line += u64::from(newline);
            if (broken || self.closes(byte)) && !self.emit(take) {
                return false;
            }
        }
        self.at_line_start = line.last() == Some(&b'\n');
        true
    }

    /// Ends the input.
    fn finish(&mut self, take: &mut impl FnMut(Document) -> bool) {
        self.emit(take);
    }

    fn is_between(&self) -> bool {
        self.text.is_empty() && !self.too_long
    }

    fn push(&mut self, byte: u8) {
        if self.text.len() >= DOCUMENT_MAX {
            self.too_long = true;
            self.text = Vec::new();
        }
        if !self.too_long {
            self.text.push(byte);
        }
    }

    /// Follows brackets and strings; whether this byte closes the document.
    fn closes(&mut self, byte: u8) -> bool {
        if self.escaped {
            self.escaped = false;
        } else if self.quoted {
            self.escaped = byte == b'\\';
            self.quoted = byte != b'"';
        } else {
            match byte {
                b'"' => self.quoted = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 0 => {
                    self.depth -= 1;
                    return self.depth == 0;
                }
                _ => {}
            }
        }
        false
    }

    fn emit(&mut self, take: &mut impl FnMut(Document) -> bool) -> bool {
        let wanted = if self.is_between() {
            true
        } else {
            let text = std::mem::take(&mut self.text);
            take(Document { line: self.begun, text: (!self.too_long).then_some(text), end: self.bytes })
        };
        (self.too_long, self.depth, self.quoted, self.escaped) = (false, 0, false, false);
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(text: &str) -> Vec<(u64, Option<String>)> {
        let mut found = Vec::new();
        split(text.as_bytes(), |document| {
            found.push((document.line, document.text.map(|text| String::from_utf8(text).unwrap())));
            true
        })
        .unwrap();
        found
    }

    fn check(text: &str, expected: &[(u64, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(line, text)| (*line, Some((*text).to_owned()))).collect();
        assert_eq!(documents(text), expected, "{text:?}");
    }

    #[test]
    fn documents_come_one_a_line_or_over_several_or_several_on_one() {
        check("{\"a\":1}\n\n{\"b\":2}", &[(1, "{\"a\":1}"), (3, "{\"b\":2}")]);
        check(
            "{\n  \"a\": {\n    \"b\": \"}\"\n  }\n}\n{}\n",
            &[(1, "{\n  \"a\": {\n    \"b\": \"}\"\n  }\n}"), (6, "{}")],
        );
        check("{} {}[1]\r\n", &[(1, "{}"), (1, "{}"), (1, "[1]")]);
        check(r#"{"a":"\"}\\"}"#, &[(1, r#"{"a":"\"}\\"}"#)]);
        check("", &[]);
    }

    #[test]
    fn a_broken_document_does_not_take_the_next_one_along() {
        check("{\"a\":1\n{\"b\":2}\n", &[(1, "{\"a\":1\n"), (2, "{\"b\":2}")]);
        check("{\"a\":\"x\n{\"b\":2}\n", &[(1, "{\"a\":\"x"), (2, "{\"b\":2}")]);
        check("hello {\n}\n{\"b\":2}\n", &[(1, "hello {\n}"), (3, "{\"b\":2}")]);
        check("hello\n}\n{\"b\":2}\n", &[(1, "hello"), (2, "}"), (3, "{\"b\":2}")]);
    }

    #[test]
    fn a_document_without_an_end_does_not_fill_the_memory() {
        let found = documents(&format!("{{\"a\":\"{}\"}}\n{{}}\n", "x".repeat(DOCUMENT_MAX * 2)));
        assert_eq!(found, [(1, None), (2, Some("{}".to_owned()))]);
    }
}
