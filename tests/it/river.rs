//! What the river does, from readings to conversations: every behaviour is one function, and a test of its own on each bus.

mod a2a_agents;
mod absence;
mod agents;
mod bad_input;
mod erase;
mod failing;
mod failing_user;
mod far_agents;
mod hand_off;
mod kafka_agents;
mod kafka_only;
mod limits;
mod llm_agents;
mod llm_tools;
mod messages;
mod nodes;
mod panels;
mod parking;
mod redis;
mod replay;
pub mod rules;
mod shadows;
mod trigger;
mod whole;
mod wrong;

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
                a_message_that_is_sent_again_is_answered_once, a_message_goes_the_way_that_is_configured,
                a_conversation_lasts_until_a_quiet_spell,
                a_trigger_and_a_message_of_one_id_are_two_causes, a_new_hub_knows_yesterday_s_conversation;
            agents: an_unknown_agent_is_said_to_be_unknown_and_the_panel_goes_on,
                an_agent_that_fails_leaves_the_panel_to_the_others,
                a_panic_over_one_person_takes_nothing_from_another, a_huge_answer_is_cut_to_what_a_record_takes,
                an_answer_after_its_deadline_is_not_awaited, a_slow_agent_holds_nobody_else_up,
                any_actor_that_handles_a_consult_is_an_agent;
            hand_off: an_agent_that_is_handed_the_turn_goes_on_in_it_and_knows_why,
                an_agent_that_is_to_come_anyway_comes_sooner,
                a_hand_off_in_a_circle_ends_and_the_person_has_their_answers,
                a_hand_off_to_nobody_or_once_too_often_is_said, a_question_that_is_only_passed_on_is_answered,
                a_question_passed_on_in_a_circle_is_answered_by_somebody_else,
                what_was_handed_on_when_its_hub_died_is_asked_again_and_answered_once;
            panels: agents_that_are_asked_at_once_wait_for_nobody_and_read_nobody,
                a_panel_that_stays_partial_says_who_is_missing, the_first_answer_is_the_only_one,
                where_nobody_answers_first_it_is_said_once, a_panel_is_asked_as_its_trigger_s_type_says,
                what_a_panel_waited_for_when_its_hub_died_is_asked_again_and_answered_once,
                a_stopped_turn_stops_everybody_who_was_asked_at_once,
                whoever_sums_up_has_read_everybody, an_agent_may_have_more_time_than_the_others;
            failing: an_agent_that_hangs_has_one_final_word_and_the_others_answer,
                an_agent_that_hangs_when_it_is_asked_again_is_late_all_the_same,
                an_agent_that_panics_is_started_again_and_asked_again,
                a_question_that_breaks_an_agent_is_given_up_after_its_attempts,
                an_agent_that_is_away_for_a_moment_answers_once, an_agent_that_refuses_is_not_asked_again,
                an_agent_that_keeps_failing_is_left_alone_until_it_answers_again,
                more_open_questions_than_an_agent_may_have_are_answered_at_once,
                another_agent_answers_in_the_place_of_one_that_does_not,
                an_agent_that_answers_for_two_nodes_is_heard_once,
                what_waited_for_its_next_attempt_when_its_hub_died_is_asked_again_at_once,
                a_stopped_turn_is_not_asked_again, an_answer_of_five_megabytes_is_cut_to_what_a_record_takes,
                an_actor_that_has_ended_is_started_again_where_the_hub_knows_how,
                an_actor_that_has_ended_for_good_opens_its_circuit;
            far_agents: an_agent_in_python_sits_on_a_panel_with_the_coach,
                an_agent_far_away_is_told_what_the_others_are_told_and_nothing_else,
                an_answer_that_is_streamed_is_its_last_word,
                whatever_an_agent_far_away_does_wrong_its_panel_goes_on_and_the_log_has_one_word,
                a_guarded_agent_is_left_out_of_what_calls_for_care_and_names_no_disease,
                an_agent_far_away_speaks_to_whom_it_was_asked_about_and_to_nobody_else,
                an_agent_far_away_that_is_gone_for_a_moment_is_asked_again_under_the_same_key,
                a_question_that_nobody_waits_for_any_more_is_taken_back,
                the_token_of_an_agent_far_away_may_be_in_a_file,
                what_is_told_of_a_failure_repeats_neither_question_nor_answer;
            a2a_agents: an_a2a_agent_of_the_official_sdk_sits_on_a_panel_with_the_coach,
                an_a2a_agent_is_asked_in_words_and_data_and_its_parts_are_told,
                an_a2a_task_that_nobody_waits_for_any_more_is_taken_back,
                whatever_an_a2a_agent_does_wrong_its_panel_goes_on_and_the_log_has_one_word;
            kafka_agents: an_agent_over_topics_is_asked_by_a_record_and_answers_by_one,
                of_an_agent_over_topics_one_answer_counts_and_the_others_are_told_apart,
                an_answer_that_came_while_its_hub_was_dead_is_taken_by_the_next,
                whatever_an_agent_over_topics_does_wrong_its_panel_goes_on_and_the_log_has_one_word,
                a_hub_does_not_start_without_the_topics_of_its_agents;
            shadows: a_shadow_is_asked_the_same_and_shown_to_nobody;
            llm_agents: a_language_model_sits_on_a_panel_with_the_coach,
                whatever_a_language_model_does_wrong_its_panel_goes_on_and_the_log_has_one_word,
                a_built_in_expert_answers_in_the_place_of_a_model_that_is_away,
                what_calls_for_care_is_not_left_to_a_language_model,
                what_is_unfit_is_not_told_to_whoever_looks_on_either;
            llm_tools: a_model_calls_tools_and_is_told_of_nobody_but_its_person,
                what_a_model_calls_wrongly_it_is_told_and_it_answers_all_the_same,
                a_model_that_never_stops_calling_has_no_answer, a_model_hands_a_question_on_with_words_or_without,
                an_agent_that_has_spent_its_day_s_budget_is_answered_for,
                what_a_model_does_not_tell_of_its_tokens_is_estimated;
            failing_user: a_user_whose_turns_panic_is_parked_alone_and_comes_back,
                a_session_that_fails_at_its_beginning_takes_nobody_with_it,
                a_parked_user_is_tried_now_and_then_and_goes_on_once_a_turn_succeeds,
                what_a_user_waits_for_comes_although_a_turn_behind_it_fails,
                what_fails_whenever_it_comes_is_not_waited_for_for_ever,
                who_waits_for_a_time_and_is_parked_is_told_it_later_without_a_record,
                a_user_whose_state_cannot_be_read_is_parked_alone_and_comes_back;
            parking: a_parked_answer_has_a_commit_of_its_own,
                what_was_open_when_its_hub_died_is_asked_again_and_answered_once,
                what_was_open_when_its_hub_stopped_is_asked_again_and_answered_once,
                several_open_questions_are_asked_again_in_their_order,
                a_person_who_asks_too_much_at_once_is_told_so, a_stopped_turn_is_not_answered_any_more;
            replay: a_question_is_rebuilt_from_the_log_as_it_was_put;
            limits: a_record_as_large_as_its_topic_takes_is_worked_where_it_belongs_and_filed_elsewhere,
                a_trace_that_is_none_is_not_carried_on,
                a_record_whose_effect_would_be_too_large_is_a_dead_letter_and_the_next_is_worked;
            nodes: of_two_nodes_with_one_name_one_gives_up_and_the_other_goes_on;
            erase: an_erased_person_is_forgotten_by_every_role_and_by_every_hub,
                a_node_that_has_a_key_at_hand_drops_it_when_it_hears_of_the_erasure,
                to_forget_somebody_unknown_or_twice_harms_nobody;
            bad_input: a_record_that_nobody_can_use_is_one_dead_letter_and_holds_nobody_up;
            rules: a_rule_pushed_while_events_flow_judges_each_event_once_and_skips_none,
                a_bad_rule_is_refused_and_the_old_one_stays_also_after_a_restart;
            absence: an_absence_is_said_without_an_event_once_and_again_after_the_next_one,
                an_absence_is_said_once_although_the_node_is_gone_when_its_time_comes,
                what_people_sent_while_the_node_was_away_comes_before_what_they_did_not,
                a_rule_that_is_changed_or_taken_back_changes_what_is_waited_for,
                who_is_to_be_woken_is_known_from_redis_and_without_it;
            whole: a_data_set_always_gives_the_same_conversation, a_restart_in_the_middle_changes_nothing,
                sessions_that_were_put_to_sleep_say_the_same, two_nodes_share_the_work_and_one_finishes_it_alone,
                no_measured_value_leaves_the_sealed_boundary;
            redis: sessions_that_redis_keeps_say_the_same, a_redis_that_is_emptied_again_and_again_changes_nothing,
                a_redis_that_goes_away_and_comes_back_changes_nothing, what_happened_without_redis_is_known_with_it,
                who_waited_when_the_hub_died_is_known_from_redis;
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
        absence: an_absence_is_said_once_although_nodes_are_killed;
        kafka_only: a_record_of_two_megabytes_is_a_dead_letter_and_the_next_is_answered,
            a_hub_goes_on_behind_every_kind_of_trouble_and_says_everything_once;
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
