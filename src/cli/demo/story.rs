//! How a demonstration reads: turns with their cause, speakers with their words, and what wearers ask.

use auren::client::message;
use auren_agents::{ConversationEvent, InboxRecord, MessageType, Text, Timestamp, UserId};
use chrono::{NaiveDate, TimeDelta};

use crate::cli::Console;

/// How wide a line of speech is, and where it begins.
const WIDTH: usize = 100;
const MARGIN: usize = 17;

/// What has been shown so far.
pub(super) struct Story {
    json: bool,
    turn: Option<(UserId, u64)>,
    day: Option<NaiveDate>,
    turns: u64,
    said: u64,
}

impl Story {
    pub(super) fn new(json: bool) -> Self {
        Self { json, turn: None, day: None, turns: 0, said: 0 }
    }

    /// Shows what was said.
    pub(super) fn tell(&mut self, event: &ConversationEvent, console: &mut Console) -> anyhow::Result<()> {
        self.said += 1;
        let turn = (event.user_id.clone(), event.metadata.turn);
        let new = self.turn.as_ref() != Some(&turn);
        self.turns += u64::from(new);
        if self.json {
            return console.json(event);
        }
        if new {
            console.line("")?;
            console.line(heading(event))?;
            self.turn = Some(turn);
        }
        let speaker = match event.message_type {
            MessageType::UserInput => "(asks)",
            MessageType::SystemMessage => "(auren)",
            MessageType::SpecialistResponse => event.specialist_id.as_str(),
        };
        for (number, line) in wrapped(&event.content, WIDTH - MARGIN).iter().enumerate() {
            let speaker = if number == 0 { speaker } else { "" };
            console.line(format_args!("  {speaker:<14} {line}"))?;
        }
        Ok(())
    }

    /// A new day has begun.
    pub(super) fn day(&mut self, day: NaiveDate, console: &mut Console) -> anyhow::Result<()> {
        let week = self.day.is_none_or(|shown| day - shown >= TimeDelta::days(7));
        if !self.json && week {
            self.day = Some(day);
            console.line("")?;
            console.line(format_args!("── {} ──", day.format("%-d %B %Y")))?;
            self.turn = None;
        }
        console.flush()
    }

    /// All is over.
    pub(super) fn end(&self, console: &mut Console) -> anyhow::Result<()> {
        if self.json {
            return Ok(());
        }
        console.line("")?;
        console.line(format_args!("{} turns, {} conversation events.", self.turns, self.said))
    }
}

/// When, whose, and why.
fn heading(event: &ConversationEvent) -> String {
    let at = event.timestamp.at().format("%a %-d %b, %H:%M");
    let user: String = event.user_id.as_str().chars().take(8).collect();
    match (&event.metadata.trigger_type, event.metadata.severity) {
        (Some(kind), Some(severity)) => format!("{at}  {user}  {} (severity {:.2})", &**kind, severity.get()),
        _ => format!("{at}  {user}"),
    }
}

/// Text in lines of at most `width` characters, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let full = lines
            .last()
            .is_some_and(|line| !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// What a wearer asks about an answer.
pub(super) struct Question {
    user: UserId,
    at: Timestamp,
    text: &'static str,
    id: String,
}

impl Question {
    /// Behind the last answer to every second trigger a wearer asks something, later that day.
    pub(super) fn about(event: &ConversationEvent) -> Option<Self> {
        let last = event.metadata.panel.as_ref().is_some_and(|panel| panel.seat == panel.seats);
        if event.metadata.trigger_type.is_none() || !last || event.metadata.turn.is_multiple_of(2) {
            return None;
        }
        let texts = [
            "Why do I see this?",
            "@coach may I train today?",
            "Is it my sleep?",
            "coach, what is the plan for tomorrow?",
        ];
        let choice = event.event_id.as_str().bytes().map(usize::from).sum::<usize>() % texts.len();
        let at = event.timestamp.at() + TimeDelta::minutes(40);
        Some(Self {
            user: event.user_id.clone(),
            at: Timestamp::from(at),
            text: texts[choice],
            id: format!("demo-{}", event.metadata.turn),
        })
    }

    /// The record that brings it to the hub.
    pub(super) fn record(&self) -> InboxRecord {
        message(self.user.clone(), Text::cut(self.text), None, Some(Text::cut(self.id.as_str())), self.at.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("a bb ccc dddd", 6), ["a bb", "ccc", "dddd"]);
        assert_eq!(wrapped("", 6), [""]);
        assert_eq!(wrapped("longerthanaline b", 6), ["longerthanaline", "b"]);
    }
}
