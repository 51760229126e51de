//! A record's place as one number: topic, partition and offset packed into the rowid of the log table.
//!
//! SQLite keeps a table in rowid order and looks rowids up faster than anything else, and a table with blobs of a
//! kilobyte is far better off with short keys in its inner pages than as `WITHOUT ROWID`. So the log has one integer
//! key: seven bits of topic number, fifteen of partition, forty of offset. A partition is one contiguous range of it.

/// How many partitions a topic may have.
pub(super) const MAX_PARTITIONS: i32 = 1 << 15;

/// How many topics a file may have.
pub(super) const MAX_TOPICS: i64 = 1 << 7;

/// How many offsets a partition has: a million a second for twelve days, or a thousand a second for 34 years.
pub(super) const OFFSETS: i64 = 1 << 40;

/// The place of offset 0 of a partition.
pub(super) fn base(topic_number: i64, partition: i32) -> i64 {
    (topic_number << 55) | (i64::from(partition) << 40)
}

/// The partition of a place.
pub(super) fn partition(place: i64) -> i32 {
    i32::try_from((place >> 40) & i64::from(MAX_PARTITIONS - 1)).unwrap_or(0)
}

/// The offset of a place.
pub(super) fn offset(place: i64) -> i64 {
    place & (OFFSETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_gives_back_what_it_was_made_of_and_orders_like_it() {
        let mut last = -1;
        for topic in [1, 2, MAX_TOPICS - 1] {
            for part in [0, 1, 11, MAX_PARTITIONS - 1] {
                for at in [0, 1, OFFSETS - 1] {
                    let place = base(topic, part) + at;
                    assert_eq!((place >> 55, partition(place), offset(place)), (topic, part, at));
                    assert!(place > last);
                    last = place;
                }
            }
        }
    }
}
