//! Chat over HTTP: which pages may connect, and how much one frontend may ask for.

use serde::{Deserialize, Serialize};

/// Chat for frontends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChatSection {
    /// Origins of web pages that may connect besides the node's own.
    pub origins: Vec<String>,
    /// Where A2A clients reach the node, for its agents' cards; as the request named it where it is empty.
    pub public_url: String,
    /// Most sockets and event streams at a time.
    pub max_sockets: usize,
    /// Most of them of one person.
    pub max_sockets_per_user: usize,
    /// Most of them of one address.
    pub max_sockets_per_address: usize,
    /// The largest frame of a client.
    pub max_frame_bytes: usize,
    /// How deep the JSON of a client's frame may be.
    pub max_json_depth: usize,
    /// Frames a second that a client may send; twice as many may come at once.
    pub frames_per_second: u32,
    /// Bytes a second that a client may send in frames; twice as many may come at once.
    pub bytes_per_second: u32,
    /// How often a sign of life is sent. A socket that answers none for twice as long is closed.
    pub heartbeat_ms: u64,
    /// A socket that takes nothing for so long is closed.
    pub slow_ms: u64,
    /// The newest events of a person that are kept in memory.
    pub ring_events: usize,
    /// People who have just left and whose newest events are still kept in memory.
    pub ring_users: usize,
    /// Bytes of the newest events, whosoever they are, that are kept in memory for people who come back soon; none where 0.
    pub tail_bytes: usize,
    /// Reads of the log at a time, for clients that come back after long.
    pub max_log_reads: usize,
}

impl Default for ChatSection {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            public_url: String::new(),
            max_sockets: 10_000,
            max_sockets_per_user: 16,
            max_sockets_per_address: 1_000,
            max_frame_bytes: 32 * 1024,
            max_json_depth: 16,
            frames_per_second: 20,
            bytes_per_second: 64 * 1024,
            heartbeat_ms: 25_000,
            slow_ms: 10_000,
            ring_events: 32,
            ring_users: 1_000,
            tail_bytes: 8 * 1024 * 1024,
            max_log_reads: 8,
        }
    }
}

impl ChatSection {
    /// The first key whose value must not be, and what it must be.
    pub(super) fn fault(&self) -> Option<(&'static str, &'static str)> {
        let faults = [
            (
                !self.origins.iter().all(|origin| is_origin(origin)),
                "chat.origins",
                "must each be scheme, host and port if any, such as https://app.example.org, without a path",
            ),
            (
                !self.public_url.is_empty() && !is_base(&self.public_url),
                "chat.public_url",
                "must be like https://hub.example.org, without a query",
            ),
            (self.max_sockets == 0, "chat.max_sockets", "must be at least 1"),
            (self.max_sockets_per_user == 0, "chat.max_sockets_per_user", "must be at least 1"),
            (self.max_sockets_per_address == 0, "chat.max_sockets_per_address", "must be at least 1"),
            (
                !(256..=1024 * 1024).contains(&self.max_frame_bytes),
                "chat.max_frame_bytes",
                "must be from 256 to 1048576",
            ),
            (!(2..=64).contains(&self.max_json_depth), "chat.max_json_depth", "must be from 2 to 64"),
            (!(1..=10_000).contains(&self.frames_per_second), "chat.frames_per_second", "must be from 1 to 10000"),
            (
                usize::try_from(self.bytes_per_second)
                    .is_ok_and(|bytes| bytes.saturating_mul(2) < self.max_frame_bytes),
                "chat.bytes_per_second",
                "must be at least half of chat.max_frame_bytes, or the largest frame could never be sent",
            ),
            (!(100..=600_000).contains(&self.heartbeat_ms), "chat.heartbeat_ms", "must be from 100 to 600000"),
            (!(100..=600_000).contains(&self.slow_ms), "chat.slow_ms", "must be from 100 to 600000"),
            (!(1..=10_000).contains(&self.ring_events), "chat.ring_events", "must be from 1 to 10000"),
            (self.tail_bytes > 1024 * 1024 * 1024, "chat.tail_bytes", "must be at most 1073741824"),
            (!(1..=256).contains(&self.max_log_reads), "chat.max_log_reads", "must be from 1 to 256"),
        ];
        faults.into_iter().find(|(wrong, ..)| *wrong).map(|(_, key, why)| (key, why))
    }
}

/// An address below which there is more: an origin, and a path where a proxy has one.
fn is_base(url: &str) -> bool {
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    let plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte));
    is_origin(url[..url.len() - path.len()].trim_end_matches('/')) && plain
}

/// As a browser says it.
fn is_origin(origin: &str) -> bool {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    host.is_some_and(|host| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
    })
}
