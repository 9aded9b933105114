"""What a new user and an operator tried on the terminal, line by line, and the tests that hold what it does now.

Commands as a person starts them; on a pseudo-terminal where it is about one, at 60, 80 and 120 columns, in UTF-8 and
ASCII.

Prompt (`sql`)
    Ctrl-C in the middle of a statement
        test_ctrl_c_at_the_prompt_drops_what_was_typed
    Ctrl-C in a running query
        test_ctrl_c_stops_a_query_and_the_prompt_goes_on
    quit, exit, help, why X, incidents --open
        test_the_prompt_answers
    continuation, completion, history
        test_the_prompt_completes_and_remembers
    a syntax error's line and caret
        test_a_syntax_error_shows_where_to_a_person_and_is_one_line_for_a_program
    CREATE TEMP TABLE answers Count
        test_a_statement_that_only_changes_something_answers_nothing
    ; is "no such question"
        test_a_statement_of_nothing_is_no_unknown_question

Output
    status over four lines a row, ids broken
        test_no_line_is_longer_than_the_terminal_and_names_are_whole
        test_every_answer_fits_the_terminal
        test_a_table_is_as_straight_on_the_screen_as_it_was_sent
    NaN and Infinity in --json
        test_json_is_valid_in_any_encoding_and_for_any_number
    PYTHONIOENCODING=ascii
        test_an_ascii_terminal_is_no_error
    > /dev/full
        test_a_full_disk_behind_any_command_is_one_line
    no stdin or stdout
        test_any_command_without_standard_files_says_so_or_does_its_work
    | head -1
        test_a_reader_that_leaves_before_any_command_answers_is_no_error
    signals early in any command
        test_a_signal_in_the_first_two_seconds_is_no_traceback
    unreadable folders
        test_a_folder_that_cannot_be_read_is_one_line
        test_a_folder_that_cannot_be_written_to_is_one_line
    other versions' files
        test_a_newer_releases_snapshot_is_one_line
        test_a_newer_releases_state_is_one_line_of_the_flow
    nothing shows for seconds
        test_help_answers_at_once
        test_an_answer_takes_less_than_a_second_of_a_processor
        test_a_terminal_shows_something_before_a_second_of_a_processor_is_used
    report takes seconds to say nothing is there
        test_a_report_about_nothing_says_so_at_once
    report without HOME
        test_a_report_needs_no_home_folder
    report over any file, and to -
        test_a_report_is_written_over_no_other_file
    an interrupted demo
        test_an_interrupted_demo_says_that_it_stopped_early

Hints and suggestions
    hints carry the folder
        test_what_to_type_next_is_about_the_folder_that_was_filled
    input of which nothing can be read
        test_input_that_cannot_be_read_names_the_first_reason_and_where_all_of_it_is
    CHECKINS_PATH without SOURCE=file
        test_a_path_of_check_ins_that_the_demo_would_not_read_is_refused
    another source over the demo's folder
        test_the_demos_data_is_not_mixed_with_others_silently
    why 303/x --project 101
        test_options_that_contradict_are_refused
    what is set and not used
        test_what_is_set_and_not_used_is_said
    a slug nearly right; timeline nosuch
        test_a_slug_that_there_is_not_is_named_with_those_nearly_like_it
    a question nearly right
        test_a_question_nearly_right_brings_a_suggestion
    the list of questions leaves out why
        test_the_list_of_questions_has_why
    ./run.sh status could just work
        test_a_question_is_asked_by_its_name_alone
    --at before and after all data
        test_a_time_after_all_data_is_said_and_one_before_it_too
    10:30, now, yesterday 3:00, a zone's name
        test_a_time_is_what_a_person_types
        test_a_time_that_is_none_is_one_line_with_examples
    send of something unknown
        test_a_control_of_something_unknown_is_doubted_where_a_snapshot_is_at_hand
    --help of lock, format, lint, types, setup
        test_help_of_a_developers_command_runs_nothing
    recovery PATH is relative to the caller
        test_paths_are_meant_from_where_the_caller_stands
    recovery prints nothing
        test_recovery_and_report_say_what_they_made
    ~ makes a folder of that name
        test_the_home_folder_is_meant_where_the_shell_has_left_its_sign
    send without a broker
        test_a_broker_that_is_away_is_one_line_of_send
    -r without -b
        test_what_a_recovery_store_needs_beside_it_is_one_line
    a projects file: which key, twice
        test_a_wrong_projects_file_says_which_key
    a byte order mark
        test_a_projects_file_may_begin_with_a_byte_order_mark
        test_check_ins_may_begin_with_a_byte_order_mark

At three in the morning
    as of when
        test_an_answer_about_now_says_as_of_when_and_how_old_it_is
    "ok" from a dead flow, nothing to probe
        test_a_dead_flow_is_not_well
        test_probes_are_answered_and_a_moved_data_folder_is_noticed
    /metrics hangs with the flow
        test_a_flow_that_hangs_is_answered_for
    muted is nowhere
        test_status_says_what_is_muted_and_what_is_disabled
        test_the_report_says_what_is_muted
    overdue_by after a time-out
        test_a_job_that_hung_and_never_came_again_is_overdue_since_the_first_run_that_never_came
    incidents takes no slug, project or period
        test_incidents_are_narrowed_by_slug_project_and_period
    what began together
        test_incidents_that_began_together_are_shown_together
        test_status_is_grouped_by_what_began_together
    status by project, owner, environment, text
        test_status_is_narrowed
    status --watch
        test_status_is_watched_until_ctrl_c
    tail prints a fingerprint as "incident"
        test_a_resolution_names_the_monitor_whose_failure_was_read
    the slug of a muted monitor's end is 1/?
        test_a_resolution_of_what_was_sent_before_is_looked_up_in_the_snapshot
    the times of an end in incidents and why differ
        test_why_says_of_an_end_when_it_was_and_when_the_run_began_that_incidents_names
    lag is no question
        test_lag_says_how_much_is_not_read_yet
    a disk that fills
        test_a_disk_that_fills_is_a_metric_and_an_alert
    a data folder moved away
        test_probes_are_answered_and_a_moved_data_folder_is_noticed
    no page "I need to ..."
        test_every_answer_is_what_is_printed
        test_every_alert_has_its_part
        test_every_exit_line_is_on_the_page_and_no_other
        test_every_processing_error_has_its_line
    overlaps of a job with itself
        test_a_run_that_overlaps_with_the_one_before_is_a_question
    late by a constant hour
        test_a_job_that_is_early_or_late_by_an_hour_is_a_question
"""

from __future__ import annotations

import re
from pathlib import Path


def test_every_test_of_the_table_is_there():
    named = re.findall(r"\btest_\w{10,}", __doc__ or "")
    assert len(named) > 60
    there = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        there.update(re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    there.add("test_trials_output")
    assert [name for name in named if name not in there] == []
