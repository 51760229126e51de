//! What services outside have answered, kept so that the same questions can be answered again without them.
//!
//! A question is known by the digest of its address and all that was asked; the tape holds no question. It holds answers,
//! which are about people, so its file is its owner's alone.

use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::private_file;

/// Answers of services. Its clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Tape(Arc<Inside>);

#[derive(Debug, Default)]
struct Inside {
    /// Nobody outside is asked.
    plays: bool,
    answers: Mutex<BTreeMap<String, Taped>>,
}

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Taped {
    /// Whether it came as a stream of events.
    pub(super) events: bool,
    pub(super) body: String,
}

/// A line of a tape's file.
#[derive(Serialize, Deserialize)]
struct Line {
    question: String,
    #[serde(flatten)]
    answer: Taped,
}

impl Tape {
    /// A tape that keeps what is answered.
    #[must_use]
    pub fn recording() -> Self {
        Self::default()
    }

    /// A tape that answers with what it holds, so that nobody outside is asked.
    ///
    /// # Errors
    /// [`io::Error`] where the file cannot be read, or is none of a tape.
    pub fn playing(file: &Path) -> io::Result<Self> {
        let mut answers = BTreeMap::new();
        for (number, line) in fs::read_to_string(file)?.lines().enumerate() {
            let wrong = |_| io::Error::new(io::ErrorKind::InvalidData, format!("line {} is no answer", number + 1));
            let Line { question, answer } = serde_json::from_str(line).map_err(wrong)?;
            answers.insert(question, answer);
        }
        Ok(Self(Arc::new(Inside { plays: true, answers: Mutex::new(answers) })))
    }

    /// Writes what was kept into a file, in the place of one that is there; says how many answers there are.
    ///
    /// # Errors
    /// [`io::Error`] where it cannot be written.
    pub fn save(&self, file: &Path) -> io::Result<usize> {
        let answers = self.answers();
        let mut text = String::new();
        for (question, answer) in answers.iter() {
            text += &serde_json::to_string(&Line { question: question.clone(), answer: answer.clone() })?;
            text.push('\n');
        }
        private_file::replace(file, &text)?;
        Ok(answers.len())
    }

    fn answers(&self) -> MutexGuard<'_, BTreeMap<String, Taped>> {
        self.0.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody outside is to be asked.
    pub(super) fn plays(&self) -> bool {
        self.0.plays
    }

    /// The answer to a question.
    pub(super) fn answer(&self, question: &str) -> Option<Taped> {
        self.answers().get(question).cloned()
    }

    /// Keeps an answer.
    pub(super) fn keep(&self, question: String, answer: Taped) {
        self.answers().insert(question, answer);
    }
}

/// What a question is known by.
pub(super) fn question(address: &str, asked: &[u8]) -> String {
    let digest = Sha256::new().chain_update(address).chain_update([0]).chain_update(asked).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_played_and_a_file_that_is_no_tape_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.tape");
        let tape = Tape::recording();
        let (asked, answer) =
            (question("http://a/", b"{}"), Taped { events: true, body: "data: \"x\"\n\n".to_owned() });
        tape.keep(asked.clone(), answer.clone());
        assert_eq!((tape.save(&file).unwrap(), tape.plays()), (1, false));
        let tape = Tape::playing(&file).unwrap();
        assert_eq!((tape.answer(&asked), tape.plays()), (Some(answer), true));
        assert_eq!(tape.answer(&question("http://b/", b"{}")), None);
        fs::write(&file, "nothing").unwrap();
        assert!(Tape::playing(&file).unwrap_err().to_string().contains("line 1 is no answer"));
    }
}
