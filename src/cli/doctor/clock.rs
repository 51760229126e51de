//! Whether the clocks of this machine and of what it talks to agree. Kafka tells nobody what time it is there.

use std::time::{Duration, Instant};

use super::{Finding, bad, good, note};

/// A difference up to here is nothing; behind the second, tokens that have just been made or are about to expire are
/// mistaken, and events are dated wrongly.
const LIMITS_MS: (u64, u64) = (2_000, 30_000);

/// What others have said of the time.
#[derive(Debug, Default)]
pub(super) struct Clocks(Vec<(&'static str, i64, Duration)>);

impl Clocks {
    /// Somebody who was asked at this moment, and has just answered, says that it is so many milliseconds past 1970.
    pub(super) fn told(&mut self, who: &'static str, asked: Instant, time_ms: Option<i64>) {
        let Some(time_ms) = time_ms else { return };
        let took = asked.elapsed();
        let half = i64::try_from(took.as_millis() / 2).unwrap_or(i64::MAX);
        // It was said somewhere in between.
        let then_ms = chrono::Utc::now().timestamp_millis().saturating_sub(half);
        self.0.push((who, time_ms - then_ms, took));
    }

    /// A line each.
    pub(super) fn findings(&self) -> Vec<Finding> {
        self.0.iter().map(|(who, ahead_ms, took)| judge(who, *ahead_ms, *took)).collect()
    }
}

fn judge(who: &str, ahead_ms: i64, took: Duration) -> Finding {
    let apart_ms = ahead_ms.unsigned_abs();
    let doubt_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).div_ceil(2);
    let which = if ahead_ms < 0 { "behind" } else { "ahead of" };
    let found = format!("{who}'s is {apart_ms} ms {which} this machine's, give or take {doubt_ms} ms");
    let apart_ms = apart_ms.saturating_sub(doubt_ms);
    let next = "run a time service (chrony, systemd-timesyncd) on both";
    if apart_ms <= LIMITS_MS.0 {
        good("clock", found)
    } else if apart_ms <= LIMITS_MS.1 {
        note("clock", format!("{found}; {next}"))
    } else {
        let why = "tokens are refused or believed too long, and events are dated wrongly";
        bad("clock", format!("{found}: {why}; {next}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::State, *};

    #[test]
    fn a_difference_counts_only_beyond_what_asking_took() {
        let took = Duration::from_millis(1000);
        for (ahead_ms, state) in [
            (0, State::Good),
            (-2_500, State::Good),
            (2_501, State::Note),
            (-30_500, State::Note),
            (30_501, State::Bad),
        ] {
            assert_eq!(judge("Redis", ahead_ms, took).state, state, "{ahead_ms}");
        }
        assert!(judge("Redis", -3_000, took).found.starts_with("Redis's is 3000 ms behind this machine's"));
    }
}
