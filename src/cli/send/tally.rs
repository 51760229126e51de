//! What becomes of what is sent: where it goes, and what is said of each.

use anyhow::Context as _;
use auren::{
    bus::{BusError, Cursor, SharedBus, Topic},
    intake::{Intake, Untaken},
};
use serde_json::json;

use super::record::Ready;
use crate::cli::{Context, Exit};

/// What became of the documents.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) json: bool,
    /// Whether it came from the arguments, which have no lines.
    pub(super) single: bool,
    pub(super) sent: u64,
    pub(super) failed: u64,
}

/// Where it goes.
pub(super) enum Door {
    /// To the bus, as it is.
    Bus(SharedBus),
    /// To the intake, which seals it.
    Intake(Intake),
}

/// Why something was not taken, and whether it alone is at fault.
struct Failure {
    error: anyhow::Error,
    alone: bool,
}

impl Door {
    /// Sends what can be; one answer for each, in order.
    async fn take(&self, ready: Vec<Ready>) -> Vec<Result<(String, Topic, Cursor), Failure>> {
        match self {
            Self::Bus(bus) => {
                let of = |one| if let Ready::Record { id, record } = one { Some((id, record)) } else { None };
                let (ids, records): (Vec<_>, Vec<_>) = ready.into_iter().filter_map(of).unzip();
                let topics: Vec<_> = records.iter().map(|record| record.topic).collect();
                let answers = bus.publish(records).await.into_iter().zip(ids.into_iter().zip(topics));
                let answered = |(answer, (id, topic)): (Result<Cursor, BusError>, _)| match answer {
                    Ok(cursor) => Ok((id, topic, cursor)),
                    Err(error) => Err(Failure { alone: error.is_of_the_record(), error: error.into() }),
                };
                answers.map(answered).collect()
            }
            Self::Intake(intake) => {
                let of = |one| if let Ready::Reading(row) = one { Some(row) } else { None };
                let rows: Vec<_> = ready.into_iter().filter_map(of).collect();
                let answered = |untaken: Untaken| Failure { alone: untaken.is_of_the_reading(), error: untaken.into() };
                let taken = intake.take("auren send", &rows).await.into_iter();
                taken
                    .map(|one| one.map(|one| (one.event_id.to_string(), Topic::Readings, one.cursor)).map_err(answered))
                    .collect()
            }
        }
    }
}

impl Tally {
    /// Sends what can be and says of each what became of it, in order.
    pub(super) async fn publish(
        &mut self,
        door: &Door,
        batch: Vec<(u64, Result<Ready, String>)>,
        context: &mut Context,
    ) -> anyhow::Result<()> {
        let (mut lines, mut ready) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for (line, one) in batch {
            lines.push((line, one.map(|one| ready.push(one))));
        }
        let answers = door.take(ready).await;
        // Where nothing at all was taken, the rest will not be either.
        let down = !answers.is_empty() && answers.iter().all(|answer| matches!(answer, Err(failure) if !failure.alone));
        let (mut answers, mut why) = (answers.into_iter(), None);
        for (line, one) in lines {
            let answer = match one {
                Err(error) => Err(error),
                Ok(()) => match answers.next() {
                    Some(Err(failure)) if down => {
                        why.get_or_insert(failure.error);
                        continue;
                    }
                    Some(Err(failure)) => Err(failure.error.to_string()),
                    Some(Ok(taken)) => Ok(taken),
                    None => Err(BusError::Closed.to_string()),
                },
            };
            self.tell(line, answer, context)?;
        }
        context.console.flush()?;
        match why {
            Some(error) if self.sent > 0 => Err(error).with_context(|| format!("{} were sent, then", self.sent)),
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn tell(
        &mut self,
        line: u64,
        answer: Result<(String, Topic, Cursor), String>,
        context: &mut Context,
    ) -> anyhow::Result<()> {
        match answer {
            Ok((id, topic, cursor)) => {
                self.sent += 1;
                if self.json {
                    return context.console.json(&json!({ "line": line, "id": id, "cursor": cursor.to_string() }));
                }
                let line = if self.single { String::new() } else { format!("line {line}: ") };
                context.console.line(format_args!("{line}{id} is at {cursor} in {topic}"))
            }
            Err(error) => {
                self.failed += 1;
                if self.json {
                    return context.console.json(&json!({ "line": line, "error": error }));
                }
                let line = if self.single { String::new() } else { format!("line {line}: ") };
                context.console.note(format_args!("{line}{error}"));
                Ok(())
            }
        }
    }

    pub(super) fn end(&self, context: &mut Context) -> anyhow::Result<Exit> {
        context.console.finish()?;
        let Self { sent, failed, .. } = self;
        if context.interrupt.came() {
            context.console.note(format_args!("interrupted: {sent} sent, {failed} refused, the rest not read"));
            return Ok(Exit::Interrupted);
        }
        if *failed > 0 || sent + failed > 1 && !self.json {
            context.console.note(format_args!("{sent} sent, {failed} refused"));
        }
        if sent + failed == 0 {
            context.console.note("the input holds no record; nothing was sent");
        }
        Ok(if *failed > 0 { Exit::Failed } else { Exit::Done })
    }
}
