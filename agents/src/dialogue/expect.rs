//! What is expected of an answer. Every check is deterministic, and words are compared in lower case.

use serde::Deserialize;

use crate::{Advice, Score};

/// How much of an answer are its first words, in characters.
const FIRST: usize = 140;

/// What an answer must be.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// It says each of these.
    all: Vec<String>,
    /// It says at least one of each of these lists.
    any: Vec<Vec<String>>,
    /// It says none of these.
    none: Vec<String>,
    /// Its first words hold one of these.
    first: Vec<String>,
    min_findings: Option<usize>,
    max_findings: Option<usize>,
    /// The subjects of its findings, in their order.
    subjects: Option<Vec<String>>,
    /// Its note begins with this.
    note: Option<String>,
    /// Whom it hands off to; nobody where it is empty.
    hand_off: Option<String>,
    max_sentences: Option<usize>,
    min_confidence: Option<f64>,
    max_confidence: Option<f64>,
}

impl Expect {
    /// What is wrong with an answer.
    #[must_use]
    pub fn faults(&self, advice: &Advice) -> Vec<String> {
        let said = advice.message.to_lowercase();
        let holds = |words: &String| said.contains(&words.to_lowercase());
        let mut faults = Vec::new();
        let mut check = |holds: bool, fault: String| {
            if !holds {
                faults.push(fault);
            }
        };
        for words in &self.all {
            check(holds(words), format!("lacks {words:?}"));
        }
        for choice in &self.any {
            check(choice.iter().any(holds), format!("has none of {choice:?}"));
        }
        for words in &self.none {
            check(!holds(words), format!("must not say {words:?}"));
        }
        let beginning: String = said.chars().take(FIRST).collect();
        let first = self.first.is_empty() || self.first.iter().any(|words| beginning.contains(&words.to_lowercase()));
        check(first, format!("does not begin with one of {:?}", self.first));
        let found = advice.findings.len();
        check(self.min_findings.is_none_or(|least| found >= least), format!("has {found} findings"));
        check(self.max_findings.is_none_or(|most| found <= most), format!("has {found} findings"));
        if let Some(subjects) = &self.subjects {
            let got: Vec<_> = advice.findings.iter().map(|finding| finding.subject.to_string()).collect();
            check(got == *subjects, format!("found {got:?} and not {subjects:?}"));
        }
        check(
            self.note.as_ref().is_none_or(|note| advice.note.starts_with(note)),
            format!("notes {:?}", &*advice.note),
        );
        let handed = advice.hand_off.as_ref().map(|hand_off| hand_off.to.as_str().to_owned()).unwrap_or_default();
        check(self.hand_off.as_ref().is_none_or(|to| handed == *to), format!("hands off to {handed:?}"));
        let sentences = sentences(&advice.message).len();
        check(self.max_sentences.is_none_or(|most| sentences <= most), format!("has {sentences} sentences"));
        let sure = advice.confidence.map_or(0.0, Score::get);
        check(self.min_confidence.is_none_or(|least| sure >= least), format!("is sure to {sure}"));
        check(self.max_confidence.is_none_or(|most| sure <= most), format!("is sure to {sure}"));
        faults
    }
}

/// The sentences of an answer.
#[must_use]
pub fn sentences(message: &str) -> Vec<&str> {
    message.split_inclusive(['.', '?', '!']).map(str::trim).filter(|sentence| !sentence.is_empty()).collect()
}
