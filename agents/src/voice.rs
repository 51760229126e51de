//! How the built-in experts choose among wordings: by the person and the day, never by chance.
//!
//! Every choice is among three wordings and moves on from one day to the next and from one answer to the next, so that
//! nobody reads the same sentence on two days that follow each other, while the same consult always reads the same.

use crate::{reading::Reading, text::Text};

/// Parts a note's words from the wording they were said in.
const WORDING: &str = "; wording ";

/// Picks wordings for one answer.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    person: u64,
    step: u64,
}

impl Voice {
    pub(crate) fn of(reading: &Reading<'_>) -> Self {
        // One on from the last answer that is remembered; without one, by the day and by what was said on it.
        let last = reading.history.own().find_map(|past| past.note.rsplit_once(WORDING)?.1.parse::<u64>().ok());
        let day = reading.moment.day_number().unsigned_abs() % 3;
        let step = last.map_or(day * 2 + reading.history.spoken_today() as u64, |last| last % 3 + 1);
        Self { person: hash(reading.consult.user.as_str().bytes()), step: step % 3 }
    }

    /// A note that also remembers the wording, so that the next answer takes another one.
    pub(crate) fn note(&self, words: &str) -> Text<64> {
        Text::cut(format!("{words}{WORDING}{}", self.step))
    }

    /// The wording for this person today.
    pub(crate) fn pick<'t>(&self, wordings: &[&'t str; 3]) -> &'t str {
        // The wordings' own text keeps one choice independent of the next.
        let slot = hash(wordings[0].bytes().chain(self.person.to_le_bytes()));
        let index = slot % 3 + self.step;
        match index % 3 {
            0 => wordings[0],
            1 => wordings[1],
            _ => wordings[2],
        }
    }
}

/// FNV-1a: small, stable, and the same on every machine.
fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Fills `{name}` in a wording.
pub(crate) fn fill(wording: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(wording.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// Puts sentences together, each beginning with a capital.
pub(crate) fn speak(sentences: impl IntoIterator<Item = String>) -> String {
    let mut speech = String::new();
    for sentence in sentences {
        let mut letters = sentence.chars();
        let Some(first) = letters.next() else { continue };
        if !speech.is_empty() {
            speech.push(' ');
        }
        speech.extend(first.to_uppercase());
        speech.push_str(letters.as_str());
    }
    speech
}
