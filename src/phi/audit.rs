//! Who did what with measured values and keys: a chain of entries, each behind the hash of the one before it, and
//! signatures over its newest entry now and then.
//!
//! The chain alone shows edits, deletions and reordering to whoever recomputes it, unless everything behind was recomputed
//! too; the signatures (Ed25519, under a key that the master key wraps) show that as well. Cutting off the end shows
//! against checkpoints that are kept elsewhere: a hub writes them to `system.events`.

use std::collections::BTreeMap;

use auren_agents::{Timestamp, UserId};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::binding::length_prefixed;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Measured values were sealed.
    Tokenise,
    /// Tokens were opened for somebody.
    Detokenise,
    /// Tokens were opened for somebody in an emergency.
    BreakGlass,
    /// Keys were wrapped anew.
    Rewrap,
    /// A person's key was destroyed.
    Erase,
    /// Something was asked for and refused.
    Refusal,
}

/// One thing that somebody did. It never holds a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Act {
    /// When.
    pub at: Timestamp,
    /// What.
    pub deed: Deed,
    /// Who: a caller's name, or a command.
    pub actor: String,
    /// Whom it was about, where it was one person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// How much, why, and how it ended.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub detail: serde_json::Value,
}

impl Act {
    /// Something that happens now.
    #[must_use]
    pub fn new(deed: Deed, actor: &str) -> Self {
        Self { at: Timestamp::now(), deed, actor: actor.to_owned(), user: None, detail: serde_json::Value::Null }
    }

    /// It is about this person.
    #[must_use]
    pub fn about(mut self, user: &UserId) -> Self {
        self.user = Some(user.clone());
        self
    }

    /// More about it.
    #[must_use]
    pub fn with(mut self, detail: serde_json::Value) -> Self {
        self.detail = detail;
        self
    }
}

/// One link of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place, from 1 on.
    pub seq: i64,
    /// The [`Act`] as JSON, as it was hashed.
    pub body: String,
    /// SHA-256 over the hash before it, its place and its body.
    pub hash: Vec<u8>,
}

impl Entry {
    /// The entry behind another, or the first.
    #[must_use]
    pub fn after(before: Option<&Entry>, body: String) -> Self {
        let seq = before.map_or(0, |before| before.seq) + 1;
        let hash = link(before.map_or(&[0; 32], |before| &before.hash), seq, &body);
        Self { seq, body, hash }
    }
}

fn link(before: &[u8], seq: i64, body: &str) -> Vec<u8> {
    let mut digest = Sha256::new_with_prefix(b"auren audit entry 1");
    digest.update(before);
    digest.update(seq.to_be_bytes());
    digest.update(body.as_bytes());
    digest.finalize().to_vec()
}

/// A signature over the chain up to one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The entry's place.
    pub seq: i64,
    /// Its hash.
    pub hash: Vec<u8>,
    /// Ed25519, over what [`Checkpoint::signed`] says.
    pub signature: Vec<u8>,
}

impl Checkpoint {
    pub(super) fn sign(tenant: &str, head: &Entry, seed: &[u8; 32]) -> Self {
        let signature = SigningKey::from_bytes(seed).sign(&Self::signed(tenant, head.seq, &head.hash));
        Self { seq: head.seq, hash: head.hash.clone(), signature: signature.to_bytes().to_vec() }
    }

    /// What is signed: a name, the tenant behind its length, the place in eight bytes, and the hash.
    fn signed(tenant: &str, seq: i64, hash: &[u8]) -> Vec<u8> {
        let mut bytes = b"auren audit checkpoint 1".to_vec();
        bytes.extend(length_prefixed(&[tenant]));
        bytes.extend(seq.to_be_bytes());
        bytes.extend(hash);
        bytes
    }

    fn is_signed_by(&self, tenant: &str, key: &VerifyingKey) -> bool {
        let signature = Signature::from_slice(&self.signature);
        let message = Self::signed(tenant, self.seq, &self.hash);
        signature.is_ok_and(|signature| key.verify_strict(&message, &signature).is_ok())
    }
}

/// What is wrong with an audit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// An entry does not follow from the one before it.
    #[error("entry {0} is not as it was written: it, or one before it, was altered, put elsewhere or slipped in")]
    Altered(i64),
    /// Entries are missing.
    #[error("entries {0} to {1} are missing")]
    Missing(i64, i64),
    /// A checkpoint signs more than there is.
    #[error("a checkpoint signs entry {signed}, and the audit ends with {last}: its end was cut off")]
    CutOff {
        /// The entry that was signed.
        signed: i64,
        /// The last there is.
        last: i64,
    },
    /// A checkpoint signs another entry than there is.
    #[error("entry {0} is another one than was signed: everything up to it was written anew")]
    Rewritten(i64),
    /// A checkpoint that this audit's key did not sign.
    #[error("the checkpoint of entry {0} is not signed by this audit's key")]
    Forged(i64),
}

/// What is found when an audit is looked through.
#[derive(Debug)]
pub struct Verdict {
    /// How many entries there are.
    pub entries: u64,
    /// How many checkpoints hold.
    pub checkpoints: u64,
    /// The last entry that is signed; what is behind it could be cut off and nobody would know.
    pub signed_to: i64,
    /// What is wrong, in the order in which it was found.
    pub flaws: Vec<Flaw>,
    last: Entry,
    waiting: BTreeMap<i64, Vec<Vec<u8>>>,
}

impl Verdict {
    pub(super) fn new(tenant: &str, seed: &[u8; 32], checkpoints: Vec<Checkpoint>) -> Self {
        let key = SigningKey::from_bytes(seed).verifying_key();
        let last = Entry { seq: 0, body: String::new(), hash: vec![0; 32] };
        let mut verdict =
            Self { entries: 0, checkpoints: 0, signed_to: 0, flaws: Vec::new(), last, waiting: BTreeMap::new() };
        for checkpoint in checkpoints {
            if checkpoint.is_signed_by(tenant, &key) {
                verdict.waiting.entry(checkpoint.seq).or_default().push(checkpoint.hash);
            } else {
                verdict.flaws.push(Flaw::Forged(checkpoint.seq));
            }
        }
        verdict
    }

    /// Looks at the next entry.
    pub(super) fn see(&mut self, entry: &Entry) {
        self.entries += 1;
        if entry.seq != self.last.seq + 1 {
            self.flaws.push(Flaw::Missing(self.last.seq + 1, entry.seq - 1));
        } else if link(&self.last.hash, entry.seq, &entry.body) != entry.hash {
            self.flaws.push(Flaw::Altered(entry.seq));
        }
        for hash in self.waiting.remove(&entry.seq).unwrap_or_default() {
            if hash == entry.hash {
                self.checkpoints += 1;
                self.signed_to = entry.seq;
            } else {
                self.flaws.push(Flaw::Rewritten(entry.seq));
            }
        }
        self.last = entry.clone();
    }

    /// There are no more entries: checkpoints that are left sign what is gone.
    pub(super) fn end(mut self) -> Self {
        let last = self.last.seq;
        let gone = std::mem::take(&mut self.waiting).into_keys();
        // One within the audit stands in a gap, which was told.
        self.flaws.extend(gone.filter(|signed| *signed > last).map(|signed| Flaw::CutOff { signed, last }));
        self
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.flaws.is_empty()
    }
}
