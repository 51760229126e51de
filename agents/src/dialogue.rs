//! Dialogues: what an agent is asked in a file, and what its answer must and must not say.
//!
//! A file is TOML with a table `[[case]]` for each case: an agent's name, a cause (`trigger`, or what a person `says`), what
//! was measured as metadata (`recent`), what was said before (`past`, `panel`), and what is expected of the answer
//! (`expect`). Nothing in it is judged by a model: words are looked for, and findings, confidence and sentences are counted.
//!
//! ```
//! let cases = auren_agents::dialogue::parse("sleeper", r#"
//!     [[case]]
//!     name = "says good night"
//!     agent = "sleeper"
//!     says = "I am tired"
//!     expect.all = ["good night"]
//!     expect.max_sentences = 2
//! "#)?;
//! let advice = auren_agents::Advice::say("Sleep well.");
//! assert_eq!(cases[0].faults(&advice), [r#"lacks "good night""#]);
//! # Ok::<(), auren_agents::dialogue::Unreadable>(())
//! ```

mod expect;

use std::{fs, path::Path, time::Duration};

use serde::Deserialize;

pub use self::expect::{Expect, sentences};
use crate::{
    Advice, Agent, AgentId, Cause, Consult, ConsultId, ConversationId, EventId, Finding, Neuroscientist, Observation,
    PanelAdvice, Parts, PastAdvice, Score, Text, Timestamp, TriggerType, UserId, events::BiometricType,
};

/// The dialogues of the built-in agents, by file.
const SHIPPED: [(&str, &str); 4] = [
    ("care", include_str!("../dialogues/care.toml")),
    ("coach", include_str!("../dialogues/coach.toml")),
    ("messages", include_str!("../dialogues/messages.toml")),
    ("neuroscientist", include_str!("../dialogues/neuroscientist.toml")),
];

/// A file of dialogues that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {why}")]
pub struct Unreadable {
    /// The file, or the folder.
    pub file: String,
    /// What is wrong with it.
    pub why: String,
}

/// One case: a question to an agent, and what is expected of its answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dialogue {
    /// The file it stands in, without its ending.
    #[serde(skip)]
    pub file: String,
    /// What it is about; with the file, it names the case.
    pub name: String,
    /// Who is asked.
    pub agent: AgentId,
    /// The person. Another person may read another wording.
    #[serde(default = "somebody")]
    pub user: UserId,
    #[serde(default = "morning")]
    at: Timestamp,
    trigger: Option<TriggerType>,
    #[serde(default = "clear")]
    severity: Score,
    /// What the person wrote, where no trigger is the cause.
    says: Option<Text<4096>>,
    #[serde(default)]
    recent: Vec<Seen>,
    #[serde(default)]
    past: Vec<Said>,
    #[serde(default)]
    panel: Vec<Spoke>,
    /// Whether the neuroscientist answers the same question first, and is on the panel.
    #[serde(default)]
    after_neuroscientist: bool,
    expect: Expect,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    #[serde(rename = "type")]
    kind: BiometricType,
    measure: Option<Text<32>>,
    at: Timestamp,
    rank: Score,
    severity: Score,
    #[serde(default)]
    trend: Text<64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    at: Timestamp,
    agent: AgentId,
    about: Text<64>,
    #[serde(default = "clear")]
    severity: Score,
    #[serde(default)]
    note: Text<64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spoke {
    agent: AgentId,
    message: Text<16384>,
    #[serde(default)]
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Dialogue>,
}

fn somebody() -> UserId {
    UserId::new("somebody").expect("it is an id")
}

fn morning() -> Timestamp {
    Timestamp::parse("2024-05-16T07:10:00+02:00").expect("it is a time")
}

fn clear() -> Score {
    Score::clamped(0.55)
}

/// The cases of a file's text.
///
/// # Errors
/// [`Unreadable`] names the place and what is wrong there.
pub fn parse(file: &str, text: &str) -> Result<Vec<Dialogue>, Unreadable> {
    let wrong = |why: String| Unreadable { file: file.to_owned(), why };
    let File { mut case } = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
    for dialogue in &mut case {
        dialogue.file = file.to_owned();
        if dialogue.trigger.is_some() == dialogue.says.is_some() {
            return Err(wrong(format!("case {:?} must have a `trigger`, or what a person `says`", dialogue.name)));
        }
    }
    Ok(case)
}

/// The cases of every `.toml` file of a folder, in the order of their names.
///
/// # Errors
/// [`Unreadable`] where the folder or a file of it cannot be read, or there is no case.
pub fn in_folder(folder: impl AsRef<Path>) -> Result<Vec<Dialogue>, Unreadable> {
    let folder = folder.as_ref();
    let wrong = |path: &Path, why: String| Unreadable { file: path.display().to_string(), why };
    let entries = fs::read_dir(folder).map_err(|error| wrong(folder, error.to_string()))?;
    let files: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut files = files.map_err(|error| wrong(folder, error.to_string()))?;
    files.retain(|file| file.extension().is_some_and(|ending| ending == "toml"));
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).map_err(|error| wrong(&file, error.to_string()))?;
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        cases.extend(parse(&stem, &text).map_err(|error| wrong(&file, error.why))?);
    }
    if cases.is_empty() {
        return Err(wrong(folder, "holds no dialogue (a .toml file with [[case]])".to_owned()));
    }
    Ok(cases)
}

/// The cases of the built-in agents.
#[must_use]
pub fn shipped() -> Vec<Dialogue> {
    let cases = SHIPPED.iter().map(|(file, text)| parse(file, text).expect("the shipped dialogues can be read"));
    cases.flatten().collect()
}

/// Asks an agent every case of a folder that names it, and says what is wrong with its answers. For an agent's own tests.
pub async fn faults(folder: impl AsRef<Path>, agent: &impl Agent) -> Vec<String> {
    let own = agent.card().id;
    let cases = match in_folder(folder) {
        Ok(cases) => cases,
        Err(unreadable) => return vec![unreadable.to_string()],
    };
    let mut faults = Vec::new();
    let mut asked = 0;
    for case in cases.iter().filter(|case| case.agent == own) {
        asked += 1;
        let wrong = match agent.consult(case.consult()).await {
            Ok(advice) => case.faults(&advice),
            Err(error) => vec![error.to_string()],
        };
        faults.extend(wrong.into_iter().map(|fault| format!("{}: {fault}", case.title())));
    }
    if asked == 0 {
        faults.push(format!("no case names the agent {own}"));
    }
    faults
}

impl Dialogue {
    /// The file and the name.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}: {}", self.file, self.name)
    }

    /// What the agent is asked.
    #[must_use]
    pub fn consult(&self) -> Consult {
        let id = |text: &str| EventId::derived(&[&self.name, text]);
        let cause = match &self.trigger {
            Some(trigger_type) => Cause::Trigger {
                id: id("cause"),
                trigger_type: trigger_type.clone(),
                severity: self.severity,
                message: Text::cut("A rule noticed something."),
            },
            None => Cause::Message { id: id("cause"), text: self.says.clone().unwrap_or_default() },
        };
        let seen = |(number, seen): (usize, &Seen)| Observation {
            event_id: id(&number.to_string()),
            event_type: seen.kind.clone(),
            timestamp: seen.at.clone(),
            measure: seen.measure.clone(),
            percentile_rank: seen.rank,
            severity_score: seen.severity,
            trend: seen.trend.clone(),
        };
        let said = |said: &Said| PastAdvice {
            at: said.at.clone(),
            agent: said.agent.clone(),
            about: said.about.clone(),
            severity: said.severity,
            note: said.note.clone(),
        };
        let spoke = |spoke: &Spoke| PanelAdvice {
            event: id(spoke.agent.as_str()),
            agent: spoke.agent.clone(),
            message: spoke.message.clone(),
            findings: spoke.findings.clone(),
            hand_off: None,
        };
        let mut consult = Consult {
            id: ConsultId::derived(&[&self.name]),
            agent: self.agent.clone(),
            user: self.user.clone(),
            conversation: ConversationId::derived(&["conversation"]),
            turn: 1,
            cause,
            at: self.at.clone(),
            recent: self.recent.iter().enumerate().map(seen).collect(),
            past: self.past.iter().map(said).collect(),
            panel: self.panel.iter().map(spoke).collect(),
            deadline: Duration::from_secs(10),
            parts: Parts::default(),
            trace: None,
        };
        if self.after_neuroscientist {
            let own = std::mem::replace(&mut consult.agent, Neuroscientist.card().id);
            let found = Neuroscientist.advise(&consult);
            consult.panel.push(spoken(&consult.agent, &found));
            consult.agent = own;
        }
        consult
    }

    /// What is wrong with an answer; nothing where it is as expected.
    #[must_use]
    pub fn faults(&self, advice: &Advice) -> Vec<String> {
        self.expect.faults(advice)
    }
}

/// An answer as those who speak later on the panel see it.
#[must_use]
pub fn spoken(agent: &AgentId, advice: &Advice) -> PanelAdvice {
    PanelAdvice {
        event: EventId::derived(&["spoke", agent.as_str()]),
        agent: agent.clone(),
        message: advice.message.clone(),
        findings: advice.findings.clone(),
        hand_off: advice.hand_off.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_that_cannot_be_asked_is_said_with_its_place() {
        let wrong = |text: &str| parse("mine", text).unwrap_err().to_string();
        let begins = "[[case]]\nname = \"n\"\nagent = \"coach\"\n";
        assert!(
            wrong(&format!("{begins}expect.all = [\"a\"]\n")).starts_with("mine: case \"n\" must have a `trigger`")
        );
        assert!(wrong(&format!("{begins}says = \"hi\"\nexpects.all = []\n")).contains("unknown field `expects`"));
        assert!(wrong(&format!("{begins}says = \"hi\"\nseverity = 2.0\nexpect = {{}}\n")).contains("from 0 to 1"));
        let folder = env!("CARGO_MANIFEST_DIR");
        assert!(in_folder(format!("{folder}/no-such")).unwrap_err().to_string().contains("no-such: "));
    }

    #[test]
    fn the_shipped_dialogues_are_those_of_the_folder() {
        let folder = in_folder(concat!(env!("CARGO_MANIFEST_DIR"), "/dialogues")).unwrap();
        let titles = |cases: &[Dialogue]| cases.iter().map(Dialogue::title).collect::<Vec<_>>();
        assert_eq!(titles(&folder), titles(&shipped()));
    }
}
