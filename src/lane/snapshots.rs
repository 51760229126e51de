//! Snapshots of states in Redis: what lets a worker take a partition without reading all of it, and keep in memory only
//! the states it is using.
//!
//! The states of a partition are one Redis hash: a field for each user, a second for one who waits for a time, one for the
//! mark, one for who waits for something. So a partition
//! is there as a whole or not at all, whatever is evicted, flushed or fails over, and every answer says by its mark how
//! far it goes. The [`Mark`] is a position in the compacted state topic: the hash holds every state written before it.
//! Writes are compared with the mark first: one that does not follow on the last changes nothing, so a worker that has lost
//! the partition and does not know it cannot spoil it.

use std::{borrow::Cow, fmt, time::Duration};

use auren_agents::UserId;
use bytes::Bytes;
use redis::{
    Client, ClientTlsConfig, ErrorKind, RedisError, Script, TlsCertificates,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use super::{Wake, state::Written};
use crate::bus::Topic;

/// Field names that no user's id can be: ids have no control characters and at least one byte.
const MARK: &str = "";
const WAITING: &str = "\n";
/// Stands before the id of a user in the field that says when they are to be woken.
const WAKES: &str = "\t";
/// About how many fields of a hash Redis looks at in one call.
const SCAN: usize = 10_000;
/// Users of one call: Redis takes no more than about 8000 arguments within a script.
const CALL: usize = 1000;

/// Writes fields and the next mark, if the present mark is the expected one; answers with the mark that then stands.
const WRITE: &str = r"
local found = redis.call('HGET', KEYS[1], '') or ''
if found ~= ARGV[1] then return found end
local set, gone = {'', ARGV[2]}, {}
for i = 3, #ARGV, 2 do
    if ARGV[i + 1] == '' then
        gone[#gone + 1] = ARGV[i]
    else
        set[#set + 1] = ARGV[i]
        set[#set + 1] = ARGV[i + 1]
    end
end
redis.call('HSET', KEYS[1], unpack(set))
if #gone > 0 then redis.call('HDEL', KEYS[1], unpack(gone)) end
return ARGV[2]";

/// What TLS needs besides the address, in PEM.
#[derive(Clone, Default)]
pub struct Papers {
    /// Who may sign Redis's certificate, if not whom the system trusts.
    pub authority: Option<Vec<u8>>,
    /// A certificate of one's own and its key, where Redis asks for one.
    pub own: Option<(Vec<u8>, Vec<u8>)>,
}

/// Where Redis is, and how long it may take.
#[derive(Clone)]
pub struct SnapshotSettings {
    client: Client,
    prefix: String,
    limit: Duration,
    pub(super) every: Duration,
}

/// Why Redis gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("Redis: {why}{}", next(why))]
pub struct SnapshotError {
    #[from]
    why: RedisError,
}

/// What to do where Redis is there and does not take this client, or the client does not take it.
fn next(error: &RedisError) -> &'static str {
    let said = error.to_string();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if says(&["invalid peer certificate", "UnknownIssuer"]) {
        "; redis.ca_file must name the authority that signed its certificate, and redis.url a name that stands in it"
    } else if error.kind() == ErrorKind::AuthenticationFailed || says(&["WRONGPASS", "NOAUTH"]) {
        "; look at user and password in redis.url"
    } else if says(&["NOPERM"]) {
        "; its user must be allowed the commands and keys that docs/production.md names"
    } else {
        ""
    }
}

/// The snapshots of one installation.
#[derive(Clone)]
pub(super) struct Snapshots {
    connection: ConnectionManager,
    write: Script,
    prefix: String,
    /// Whether anybody may wait for a time.
    wakes: bool,
}

/// How far the snapshots of a partition go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// There are none.
    Nothing,
    /// They are being written by whoever drew this number; nobody may read them.
    Warming(u64),
    /// Every state below this offset of the state topic, as written at this time (milliseconds since the epoch).
    Below { offset: i64, at_ms: i64 },
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) mark: Mark,
    /// The states asked for, in that order.
    pub(super) states: Vec<Option<Bytes>>,
}

/// A state as it is to be held.
#[derive(Debug)]
pub(super) struct Change<'a> {
    user: &'a UserId,
    /// None is one that is gone.
    state: Option<&'a [u8]>,
    /// When the user is to be woken, in words; empty where never.
    wake: String,
}

impl<'a> Change<'a> {
    /// A state that was written.
    pub(super) fn of(written: &'a Written) -> Self {
        let wake = written.wake.map_or(String::new(), |wake| wake.to_string());
        Self { user: &written.user, state: written.state.as_deref(), wake }
    }
}

impl Snapshots {
    /// The snapshots in a Redis that is connected to when it is first asked.
    pub(super) fn open(settings: &SnapshotSettings, wakes: bool) -> Self {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(settings.limit))
            .set_response_timeout(Some(settings.limit))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_lazy_with_config(settings.client.clone(), config)
            .expect("only a connection that is to subscribe can be configured wrongly");
        Self { connection, write: Script::new(WRITE), prefix: settings.prefix.clone(), wakes }
    }

    /// The mark of a partition, and the users who wait for something.
    pub(super) async fn waiting(&self, topic: Topic, partition: i32) -> Result<(Mark, Vec<UserId>), SnapshotError> {
        let (mark, waiting): (Option<String>, Option<String>) = redis::cmd("HMGET")
            .arg(self.key(topic, partition))
            .arg(MARK)
            .arg(WAITING)
            .query_async(&mut self.connection.clone())
            .await?;
        let users = waiting.iter().flat_map(|users| users.split(WAITING)).filter_map(|user| UserId::new(user).ok());
        Ok((Mark::parse(mark.as_deref()), users.collect()))
    }

    /// When users of a partition are to be woken. Whoever asks compares the mark before and after.
    pub(super) async fn wakes(&self, topic: Topic, partition: i32) -> Result<Vec<(UserId, Wake)>, SnapshotError> {
        let mut found = Vec::new();
        if !self.wakes {
            return Ok(found);
        }
        let mut place = 0_u64;
        loop {
            let mut ask = redis::cmd("HSCAN");
            ask.arg(self.key(topic, partition)).arg(place).arg("MATCH").arg(format!("{WAKES}*")).arg("COUNT").arg(SCAN);
            let (next, fields): (u64, Vec<(String, String)>) = ask.query_async(&mut self.connection.clone()).await?;
            found.extend(
                fields.iter().filter_map(|(field, wake)| {
                    Some((UserId::new(field.strip_prefix(WAKES)?).ok()?, wake.parse().ok()?))
                }),
            );
            if next == 0 {
                return Ok(found);
            }
            place = next;
        }
    }

    /// The states of some users of a partition.
    pub(super) async fn read(&self, topic: Topic, partition: i32, users: &[UserId]) -> Result<Found, SnapshotError> {
        let (mut mark, mut states) = (None, Vec::with_capacity(users.len()));
        for users in users.chunks(CALL) {
            let mut ask = redis::cmd("HMGET");
            ask.arg(self.key(topic, partition)).arg(MARK);
            for user in users {
                ask.arg(user.as_str());
            }
            let mut found: Vec<Option<Vec<u8>>> = ask.query_async(&mut self.connection.clone()).await?;
            let here = found.first_mut().and_then(Option::take).and_then(|mark| String::from_utf8(mark).ok());
            let here = Mark::parse(here.as_deref());
            if mark.is_some_and(|before| before != here) {
                // It was written between two calls, and not by the one who asks.
                return Ok(Found { mark: Mark::Nothing, states: Vec::new() });
            }
            mark = Some(here);
            states.extend(found.into_iter().skip(1).map(|state| state.map(Bytes::from)));
        }
        Ok(Found { mark: mark.unwrap_or(Mark::Nothing), states })
    }

    /// Begins a partition anew, whatever is there: `warming` is then its mark, and it holds nothing.
    pub(super) async fn begin(&self, topic: Topic, partition: i32, warming: Mark) -> Result<(), SnapshotError> {
        let key = self.key(topic, partition);
        let mut anew = redis::pipe();
        anew.atomic().cmd("DEL").arg(&key).ignore();
        anew.cmd("HSET").arg(&key).arg(MARK).arg(warming.to_string()).ignore();
        Ok(anew.query_async(&mut self.connection.clone()).await?)
    }

    /// Writes states on top of `from`; `to` is the mark once all are written. Answers with the mark that stands: another
    /// one where `from` was not what stood, and then nothing more was written.
    pub(super) async fn write(
        &self,
        topic: Topic,
        partition: i32,
        (from, to): (Mark, Mark),
        changes: &[Change<'_>],
        waiting: Option<&str>,
    ) -> Result<Mark, SnapshotError> {
        let mut fields: Vec<(Cow<'_, str>, &[u8])> = Vec::with_capacity(2 * changes.len() + 1);
        for Change { user, state, wake } in changes {
            fields.push((user.as_str().into(), state.unwrap_or_default()));
            if self.wakes {
                fields.push((format!("{WAKES}{user}").into(), wake.as_bytes()));
            }
        }
        fields.extend(waiting.map(|users| (WAITING.into(), users.as_bytes())));
        let mut calls = fields.chunks(CALL).peekable();
        loop {
            // Without a field, too, there is a mark to set.
            let fields = calls.next().unwrap_or_default();
            let next = if calls.peek().is_some() { from } else { to };
            let stands = self.call(topic, partition, (from, next), fields).await?;
            if stands != next || calls.peek().is_none() {
                return Ok(stands);
            }
        }
    }

    async fn call(
        &self,
        topic: Topic,
        partition: i32,
        (from, to): (Mark, Mark),
        fields: &[(Cow<'_, str>, &[u8])],
    ) -> Result<Mark, SnapshotError> {
        let mut call = self.write.key(self.key(topic, partition));
        call.arg(from.to_string()).arg(to.to_string());
        for (field, value) in fields {
            call.arg(&**field).arg(*value);
        }
        let stands: String = call.invoke_async(&mut self.connection.clone()).await?;
        Ok(Mark::parse(Some(&stands)))
    }

    fn key(&self, topic: Topic, partition: i32) -> String {
        format!("{}{topic}:{partition}", self.prefix)
    }
}

impl SnapshotSettings {
    /// A Redis at `redis://[user:password@]host:port/[database]`, or `rediss://` with TLS, with these papers. It may take so long for an answer; `prefix` stands before every
    /// key, and what was committed is written so often.
    ///
    /// # Errors
    /// [`SnapshotError`] where the address cannot be one.
    pub fn new(
        url: &str,
        papers: Papers,
        prefix: String,
        limit: Duration,
        every: Duration,
    ) -> Result<Self, SnapshotError> {
        let client = if url.starts_with("rediss:") {
            crate::tls::choose_provider();
            let client_tls = papers.own.map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
            Client::build_with_tls(url, TlsCertificates { client_tls, root_cert: papers.authority })
        } else {
            Client::open(url)
        };
        Ok(Self { client: client?, prefix, limit, every })
    }

    /// The Redis itself, the prefix, and how long an answer may take: for whoever else asks it.
    pub(crate) fn parts(&self) -> (Client, &str, Duration) {
        (self.client.clone(), &self.prefix, self.limit)
    }

    /// Where it is: never the address as it was given, a password may stand in it.
    #[must_use]
    pub fn place(&self) -> String {
        self.client.get_connection_info().addr().to_string()
    }

    /// Asks Redis whether it answers; says its version and what it does when its memory is full, and what time it is there,
    /// in milliseconds, where it tells.
    ///
    /// # Errors
    /// [`SnapshotError`] where it does not answer.
    pub async fn ask(&self) -> Result<(String, Option<i64>), SnapshotError> {
        let mut connection = Snapshots::open(self, false).connection;
        let info: String = redis::cmd("INFO").query_async(&mut connection).await?;
        let line = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("unknown").trim();
        let time_ms = line("server_time_usec:").parse::<i64>().ok().map(|time| time / 1000);
        Ok((format!("Redis {}, maxmemory-policy {}", line("redis_version:"), line("maxmemory_policy:")), time_ms))
    }
}

/// Without the address: it may hold a password.
impl fmt::Debug for SnapshotSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotSettings").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Mark {
    /// Every state below this offset is there.
    pub(super) fn next(self) -> i64 {
        match self {
            Self::Below { offset, .. } => offset,
            Self::Nothing | Self::Warming(_) => 0,
        }
    }

    fn parse(text: Option<&str>) -> Self {
        let parse = |text: &str| {
            let (first, second) = text.split_once(' ')?;
            Some(match first {
                "warming" => Self::Warming(second.parse().ok()?),
                offset => Self::Below { offset: offset.parse().ok()?, at_ms: second.parse().ok()? },
            })
        };
        text.and_then(parse).unwrap_or(Self::Nothing)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Warming(number) => write!(f, "warming {number}"),
            Self::Below { offset, at_ms } => write!(f, "{offset} {at_ms}"),
        }
    }
}

impl fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshots").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_is_written_and_anything_else_is_none() {
        for mark in [Mark::Nothing, Mark::Warming(7), Mark::Below { offset: 12, at_ms: 1_800_000_000_000 }] {
            assert_eq!(Mark::parse(Some(&mark.to_string())), mark);
        }
        for text in ["12", "warming", "warming x", "12 x", " "] {
            assert_eq!(Mark::parse(Some(text)), Mark::Nothing, "{text}");
        }
        assert_eq!(Mark::parse(None), Mark::Nothing);
    }
}
