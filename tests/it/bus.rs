//! What both buses do: every behaviour is one function, and a test of its own on each bus.

mod backlog;
mod commit;
mod embedded_only;
mod hand_over;
mod kafka_only;
mod publish;
mod read;
mod topics;
mod trouble;

/// Every behaviour of the contract, by file.
macro_rules! behaviours {
    ($on:ident) => {
        $on! {
            topics: topics_are_created_once_and_counted, a_missing_topic_is_named_by_everything_that_needs_it,
                the_river_shares_one_partition_count, differing_partition_counts_are_refused;
            publish: records_come_back_as_they_went_in, a_key_chooses_its_partition_by_murmur2,
                answers_come_in_the_order_of_the_records, a_record_that_is_too_large_is_refused_alone,
                a_partition_that_is_not_there_is_refused, a_compacted_topic_takes_no_record_without_a_key;
            read: a_read_to_the_end_brings_everything_and_ends, a_read_begins_where_it_is_told_to,
                the_last_records_are_counted_without_what_is_not_one, a_time_finds_the_first_record_not_older,
                a_follower_brings_what_is_written_later, the_newest_end_skips_what_is_there,
                some_partitions_can_be_read_alone, watermarks_tell_how_far_each_partition_reaches;
            commit: records_come_only_after_the_member_is_ready, a_commit_becomes_visible_as_a_whole,
                a_refused_commit_leaves_nothing, a_commit_to_no_partition_leaves_nothing,
                commits_are_worked_in_order, offsets_alone_can_be_committed,
                a_membership_for_offsets_takes_no_outputs, a_group_can_begin_at_the_newest_end,
                a_group_reads_only_its_own_topics, two_groups_read_the_same_records;
            hand_over: two_members_divide_the_partitions_by_range, a_member_without_a_partition_waits_for_one,
                a_dropped_member_leaves_its_records_to_its_successor,
                a_member_that_left_leaves_its_partitions_to_the_others,
                a_member_that_comes_back_under_its_name_fences_the_old_one,
                what_is_in_flight_is_committed_before_a_hand_over, what_was_handed_over_cannot_be_committed;
            backlog: a_role_that_takes_nothing_loses_nothing, batches_are_as_large_as_was_asked_at_most,
                restarts_neither_lose_nor_repeat;
        }
    };
}

/// Makes a test of each behaviour, on the kind of bus that the module names as `KIND`.
macro_rules! tests {
    ($($file:ident: $($name:ident),+;)+) => {
        $($(#[test]
        fn $name() {
            crate::support::run(async { super::$file::$name(crate::support::Stage::open(KIND).await).await });
        })+)+
    };
}

mod embedded {
    const KIND: crate::support::Kind = crate::support::Kind::Embedded;

    behaviours!(tests);
}

mod kafka {
    const KIND: crate::support::Kind = crate::support::Kind::Kafka;

    behaviours!(tests);
    tests! {
        kafka_only: an_open_transaction_is_invisible_and_a_bounded_read_waits_for_it,
            what_a_member_that_is_gone_left_open_holds_nobody_up,
            a_dropped_receiver_ends_its_thread, a_dropped_member_ends_its_threads,
            a_bus_that_nobody_answers_says_so, an_unknown_property_is_refused;
        trouble: a_commit_that_happened_and_was_not_answered_is_not_made_again,
            a_commit_that_arrives_too_late_does_nothing, a_fatal_error_ends_the_life_and_the_next_one_goes_on,
            a_record_that_the_brokers_refuse_takes_its_whole_transaction_back_at_once,
            a_producer_that_somebody_else_took_over_is_fenced,
            a_member_that_the_group_lost_commits_nothing_and_is_told_so,
            a_member_that_does_not_let_go_loses_its_partitions_when_the_limit_is_over;
    }
}

/// The same on a cluster that ZooKeeper keeps, for what its brokers do differently.
mod kafka_on_zookeeper {
    const KIND: crate::support::Kind = crate::support::Kind::KafkaOnZooKeeper;

    tests! {
        topics: topics_are_created_once_and_counted;
        commit: a_commit_becomes_visible_as_a_whole;
        hand_over: two_members_divide_the_partitions_by_range,
            a_member_that_comes_back_under_its_name_fences_the_old_one;
        trouble: a_commit_that_happened_and_was_not_answered_is_not_made_again,
            a_commit_that_arrives_too_late_does_nothing;
        backlog: restarts_neither_lose_nor_repeat;
    }
}
