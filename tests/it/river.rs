//! What the river does, from readings to conversations: every behaviour is one function, and a test of its own on each bus.

mod trigger;

/// Every behaviour of the river, by file.
macro_rules! behaviours {
    ($on:ident) => {
        $on! {
            trigger: the_mission_s_trigger_is_answered_by_each_agent_it_names,
                a_record_in_the_wrong_partition_is_moved_and_answered_once,
                the_mission_s_biometric_event_becomes_a_trigger_and_a_conversation,
                an_event_without_cause_for_concern_says_nothing,
                the_same_trigger_twice_is_answered_once,
                the_same_reading_twice_is_one_event,
                a_trace_goes_on_from_the_cause_to_its_answers;
        }
    };
}

/// Makes a test of each behaviour, on the kind of bus that the module names as `KIND`.
macro_rules! tests {
    ($($file:ident: $($name:ident),+;)+) => {
        $($(#[test]
        fn $name() {
            crate::support::on_system(async { super::$file::$name(crate::support::River::open(KIND).await).await });
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
}

/// The same on a cluster that ZooKeeper keeps.
mod kafka_on_zookeeper {
    const KIND: crate::support::Kind = crate::support::Kind::KafkaOnZooKeeper;

    tests! {
        trigger: the_mission_s_trigger_is_answered_by_each_agent_it_names,
            a_record_in_the_wrong_partition_is_moved_and_answered_once;
    }
}
