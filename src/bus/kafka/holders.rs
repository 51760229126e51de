//! What the brokers tell of a group's members. The assignment that a member was given is in the format of Kafka's classic
//! consumer protocol: a version, then topics with their partitions, all big-endian.

use std::collections::BTreeSet;

use rdkafka::groups::GroupMemberInfo;
use uuid::Uuid;

use crate::bus::Holder;

pub(super) fn holder(member: &GroupMemberInfo) -> Holder {
    let partitions = member.assignment().and_then(partitions).unwrap_or_default();
    Holder { member: name(member.id()).to_owned(), partitions: partitions.into_iter().collect() }
}

/// A member's id is its own name and a UUID that the brokers put behind it.
fn name(id: &str) -> &str {
    let named = id.len().checked_sub(37).and_then(|end| Some((id.get(..end)?, id.get(end..)?.strip_prefix('-')?)));
    named.filter(|(_, uuid)| Uuid::try_parse(uuid).is_ok()).map_or(id, |(name, _)| name)
}

/// The partitions of all topics; none where it is no such assignment.
fn partitions(assignment: &[u8]) -> Option<BTreeSet<i32>> {
    let mut rest = Rest(assignment);
    rest.short()?;
    let mut partitions = BTreeSet::new();
    for _ in 0..rest.long()? {
        let length = usize::try_from(rest.short()?).ok()?;
        rest.take(length)?;
        for _ in 0..rest.long()? {
            partitions.insert(rest.long()?);
        }
    }
    Some(partitions)
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn short(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn long(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_the_partitions_of_all_its_topics() {
        let mut bytes = vec![0, 1, 0, 0, 0, 2];
        for (topic, of) in [("a", &[0_i32, 2][..]), ("b.c", &[2, 3])] {
            bytes.extend([0, u8::try_from(topic.len()).unwrap()]);
            bytes.extend(topic.as_bytes());
            bytes.extend([0, 0, 0, u8::try_from(of.len()).unwrap()]);
            of.iter().for_each(|partition| bytes.extend(partition.to_be_bytes()));
        }
        bytes.extend([0xff; 4]);
        assert_eq!(partitions(&bytes), Some(BTreeSet::from([0, 2, 3])));
        assert_eq!(partitions(&bytes[..bytes.len() - 6]), None);
        assert_eq!(partitions(&[]), None);
    }

    #[test]
    fn a_member_is_known_by_its_own_name() {
        assert_eq!(name("node-1-converse-0-5bfa0a4e-2d1e-4b5c-9f43-2c4c9b8f5a10"), "node-1-converse-0");
        for id in ["", "node-1", "node-1-converse-0-5bfa0a4e-2d1e-4b5c-9f43-2c4c9b8f5a1x"] {
            assert_eq!(name(id), id);
        }
    }
}
