"""The suite tests by what they ask, as the faults of the proxy and the defects of the stub name them.

A name that no suite has is an error in tests.mutation.
"""

from __future__ import annotations

SOAK = "test_nothing_drifts"
BOOTS = "test_every_boot_is_right_and_alike"  # several launches
BOOT, SIGNATURE = "test_answers_first_token", "test_leaves_a_signature"
FACTS, SUMS, RECALL = "test_knows_facts", "test_does_arithmetic", "test_recalls_across_turns"
SAMPLED = "test_sound_as_it_is_sampled"
TEXT, LENGTHS = "test_text_is_not_degenerate", "test_right_across_prompt_lengths"
WITHIN, BEYOND = "test_finds_the_needle_within_index_topk", "test_finds_the_needle_beyond_index_topk"
INVENTS = "test_invents_no_needle"
CALL, NO_TOOL = "test_calls_the_right_tool", "test_answers_without_a_tool"
MISSING, RESULT, STREAM = "test_refuses_a_missing_tool", "test_uses_the_tool_result", "test_stream_equals_non_stream"
CHOICE, REQUIRED = "test_obeys_tool_choice", "test_obeys_required_tool_choice"
THINK, THINK_CALL = "test_answers_after_thinking", "test_calls_after_thinking"
THINK_STREAM, THINK_CUT = "test_stream_equals_whole_with_thinking", "test_obeys_a_budget_inside_the_thought"
THINK_BESIDE_TOOLS, THINK_LEAKS = "test_answers_beside_tools_after_thinking", "test_thoughts_do_not_leak"
THINK_SWITCH, THINK_EFFORT = "test_obeys_the_thinking_switch", "test_obeys_reasoning_effort"
SCHEMAS, SCHEMAS_STREAMED = "test_takes_schemas_as_clients_write_them", "test_streams_arguments_as_it_sends_them_whole"
PARTS, NEWER_LIMIT = "test_reads_content_in_parts", "test_obeys_the_newer_name_of_the_limit"
PARALLEL_STREAMED = "test_streams_parallel_calls_apart"
FIFTY, LOOP = "test_finds_one_of_fifty_tools", "test_works_through_an_agent_loop"
THINK_LOOP = "test_thinks_through_an_agent_loop"
SCHEMA, SCHEMA_THOUGHT = "test_obeys_a_json_schema", "test_obeys_a_json_schema_after_thinking"
SCHEMA_OTHER = "test_obeys_each_json_schema_whole_and_streamed"
OBJECT, CHOICES = "test_answers_with_a_json_object", "test_answers_with_one_of_the_choices"
STOPPED, BIASED = "test_stops_at_a_stop_string", "test_obeys_a_logit_bias"
STOPPED_ANY, HOT_TEXTS = "test_stops_at_any_of_its_stop_strings", "test_samples_where_it_is_asked_to"
HELD_BACK = "test_gives_back_what_a_stop_string_held"
SEVERAL, SEEDED = "test_returns_as_many_choices_as_asked", "test_samples_alike_with_one_seed"
LEFT = "test_answers_alike_after_streams_were_left"
EXACT, CUT_SHORT = "test_says_the_answer_and_no_more", "test_ends_at_max_tokens"
GOES_ON, COUNTABLE = "test_goes_on_where_it_must", "test_obeys_what_can_be_counted"
COMPLETIONS, RESPONSES = "test_completes_a_rendered_prompt", "test_answers_over_responses"
MESSAGES = "test_answers_over_messages"
SINGLE, LOADED = "test_single_stream_speed", "test_speed_under_load"
BY_CONTEXT, PREFILL = "test_decode_speed_by_context", "test_prefill_cold_and_warm"
SWEEP = "test_concurrency_sweep"
OPEN = "test_keeps_up_with_arrivals_by_the_clock"
MTP, CHUNKS = "test_drafts_are_accepted", "test_prefills_in_chunks"
INDEXCACHE = "test_changes_output_only_beyond_index_topk"
EFFECT, EFFECTIVE = "test_requested_features_are_in_effect", "test_requested_equals_effective"
REFERENCE = "test_numbers_agree_with_the_reference"
SELECTED_ONLY = "test_attends_to_the_selected_tokens_only"
MARKERS, NEIGHBOURS = "test_markers_do_not_leak", "test_same_numbers_alone_and_among_others"
SECOND_TURN = "test_second_turn_reads_a_long_prefix"
PREFIX, COUNTED = "test_prefix_cache_changes_nothing", "test_counts_prompt_tokens_exactly"
OVER, RIGHT_UNDER_LOAD = "test_refuses_a_prompt_over_the_context", "test_answers_right_under_load"
COMPANY, STREAMS_BEYOND = "test_answers_alike_alone_and_in_company", "test_streams_alike_beyond_index_topk"
CALLS_COMPANY, FIELDS_COMPANY = "test_calls_alike_alone_and_in_company", "test_takes_no_field_of_others"
OWN_WORDS = "test_stops_at_its_own_words_alone"
NUMBERED = "test_numbers_every_token_of_a_stream"
BIASED_NAMED = "test_biases_the_token_that_is_named"
UNWATCHED, PENALTY = "test_says_the_same_without_logprobs", "test_obeys_a_penalty"
CHOICES_THOUGHT, CHOICES_SEEDED = "test_thinks_apart_in_every_choice", "test_draws_every_choice_from_the_seed"
INVALID, FOR_NOBODY = "test_refuses_what_is_invalid", "test_stops_working_for_nobody"
MALFORMED = "test_refuses_what_is_malformed"
HALF_CALLS = "test_lives_on_with_half_a_call_in_its_history"
THINK_BESIDE, CUT_CALL = "test_thinks_where_it_is_asked_to_and_nowhere_else", "test_tells_no_cut_call_as_a_call"
HALF_READ, FILLED = "test_a_prefix_that_was_left_half_read_is_no_prefix", "test_fills_the_context_to_its_end"
TALK = "test_a_talk_is_the_same_from_the_cache"
MTP_COMPANY = "test_drafts_are_accepted_in_company"
LAUNCH = "launch.ready"  # fixtures.launch.readiness, which every launcher passes through
IDENTITY = "attach.identity"  # matrix.judging.identity, which attaching asks before the first question
BASELINE = "throughput.not_slower"  # the check against earlier launches, on what the throughput suite records
RELEASE = "throughput.not_slower_than_release"  # the same against one launch of an earlier release

ALL_TEXT = (FACTS, SUMS, RECALL, WITHIN, BEYOND, RESULT)  # whatever answers in words
ANY_REPLY = (BOOT, FACTS, SUMS, RECALL, CALL, RESULT)
