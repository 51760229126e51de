//! What the river does, from readings to conversations: every behaviour is one function, and a test of its own on each bus.

mod agents;
mod bad_input;
mod erase;
mod kafka_only;
mod limits;
mod messages;
mod nodes;
mod parking;
mod trigger;
mod whole;

/// Every behaviour of the river, by file.
macro_rules! behaviours {
    ($on:ident) => {
        $on! {
            trigger: the_mission_s_trigger_is_answered_by_each_agent_it_names,
                a_record_in_the_wrong_partition_is_moved_and_answered_once,
                the_mission_s_biometric_event_becomes_a_trigger_and_a_conversation,
                an_event_without_cause_for_concern_says_nothing,
                the_same_trigger_twice_is_answered_once,
                the_same_reading_twice_is_one_event, a_long_past_that_is_sent_again_brings_no_event_twice,
                a_trace_goes_on_from_the_cause_to_its_answers;
            messages: a_message_goes_to_whom_it_names_or_concerns_or_who_spoke_last,
                a_message_that_is_sent_again_is_answered_once, a_conversation_lasts_until_a_quiet_spell,
                a_trigger_and_a_message_of_one_id_are_two_causes, a_new_hub_knows_yesterday_s_conversation;
            agents: an_unknown_agent_is_said_to_be_unknown_and_the_panel_goes_on,
                an_agent_that_fails_leaves_the_panel_to_the_others, an_agent_that_panics_is_started_again,
                a_panic_over_one_person_takes_nothing_from_another, a_huge_answer_is_cut_to_what_a_record_takes,
                an_answer_after_its_deadline_is_not_awaited, a_slow_agent_holds_nobody_else_up,
                any_actor_that_handles_a_consult_is_an_agent;
            parking: a_parked_answer_has_a_commit_of_its_own,
                what_was_open_when_its_hub_died_is_asked_again_and_answered_once,
                what_was_open_when_its_hub_stopped_is_asked_again_and_answered_once,
                several_open_questions_are_asked_again_in_their_order,
                a_person_who_asks_too_much_at_once_is_told_so, a_stopped_turn_is_not_answered_any_more;
            limits: a_record_as_large_as_its_topic_takes_is_worked_where_it_belongs_and_filed_elsewhere,
                a_trace_that_is_none_is_not_carried_on,
                a_record_whose_effect_would_be_too_large_is_a_dead_letter_and_the_next_is_worked;
            nodes: of_two_nodes_with_one_name_one_gives_up_and_the_other_goes_on;
            erase: an_erased_person_is_forgotten_by_every_role_and_by_every_hub,
                a_node_that_has_a_key_at_hand_drops_it_when_it_hears_of_the_erasure,
                to_forget_somebody_unknown_or_twice_harms_nobody;
            bad_input: a_record_that_nobody_can_use_is_one_dead_letter_and_holds_nobody_up;
            whole: a_data_set_always_gives_the_same_conversation, a_restart_in_the_middle_changes_nothing,
                sessions_that_were_put_to_sleep_say_the_same, two_nodes_share_the_work_and_one_finishes_it_alone,
                no_measured_value_leaves_the_sealed_boundary;
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
    tests! {
        kafka_only: a_record_of_two_megabytes_is_a_dead_letter_and_the_next_is_answered;
    }
}

/// The same on a cluster that ZooKeeper keeps.
mod kafka_on_zookeeper {
    const KIND: crate::support::Kind = crate::support::Kind::KafkaOnZooKeeper;

    tests! {
        trigger: the_mission_s_trigger_is_answered_by_each_agent_it_names,
            a_record_in_the_wrong_partition_is_moved_and_answered_once;
        whole: a_restart_in_the_middle_changes_nothing;
    }
}
