"""Every defect that the existing workspaces are known for, and the tests that ours do not have it.

The numbers are those of the list of defects of workspaces and the API entry; what is not here concerns deployments
alone (12, 28 to 30) or no program (10: tokens of operators; 38: what a machine does not survive).
"""

import pytest

from tests.architecture.test_known_defects import functions

#: On real containers, unless it says otherwise.
LIFE, RUNS, GIT = "system/test_workspace_life.py", "system/test_workspace_runs.py", "system/test_workspace_git.py"
KEYS, LEAVINGS, TRYING = (
    "system/test_workspace_git_keys.py",
    "system/test_workspace_leavings.py",
    "system/test_workspace_trying.py",
)
DATABASES = "system/test_workspace_databases.py"
FORWARDING, SIGNED, FILES = (
    "http/api/test_forwarding.py",
    "http/workspace/test_signed.py",
    "http/workspace/test_files.py",
)
UNIT = "unit/workspace"
ESCAPES, TRANSFERS = "http/workspace/test_escapes.py", "http/workspace/test_transfers.py"
DEFECTS: dict[int, tuple[str, tuple[str, ...]]] = {
    1: (
        "a token names no user",
        (f"{FORWARDING}::test_no_query_reaches_another_user", f"{FORWARDING}::test_no_document_reaches_another_user"),
    ),
    2: (
        "internal calls are passed on for anybody",
        (
            f"{FORWARDING}::test_what_is_internal_is_never_passed_on",
            "contract/test_entry.py::test_what_daemons_say_to_each_other_is_closed",
            f"{LEAVINGS}::test_internal_calls_want_the_apis_signature",
            f"{LEAVINGS}::test_an_empty_or_short_list_removes_nothing",
        ),
    ),
    3: (
        "two readers see two users in one request",
        (
            f"{FORWARDING}::test_names_are_read_once_whatever_they_are",
            f"{FILES}::test_query_and_body_name_one_user_and_one_app",
            f"{FILES}::test_a_name_that_is_given_twice_is_refused",
        ),
    ),
    4: (
        "links lead out of the workspace",
        (
            f"{ESCAPES}::test_no_call_reaches_what_is_outside",
            f"{LEAVINGS}::test_links_are_removed_and_never_followed",
            "contract/test_run_logs.py::test_what_is_no_log_of_the_users_is_left_alone",
        ),
    ),
    5: (
        "what decides lies where users write",
        (
            f"{LIFE}::test_the_next_process_of_the_node_takes_up_what_the_last_one_left",
            f"{RUNS}::test_a_page_is_served_seen_and_stopped",
        ),
    ),
    6: (
        "the machine's git runs in users' folders with one key for all",
        (
            f"{KEYS}::test_a_lent_key_opens_one_repository_until_it_is_taken_back",
            f"{KEYS}::test_a_user_cannot_push_to_another_app",
        ),
    ),
    7: (
        "every container has the account that can drop all databases",
        (
            f"{DATABASES}::test_a_run_reaches_its_own_database_and_nothing_beside_it",
            "contract/test_databases.py::test_an_account_has_a_way_into_its_own_database_and_into_no_other",
            "http/workspace/test_databases.py::test_one_app_sees_nothing_of_another",
            f"{UNIT}/test_databases.py::test_programs_are_told_an_account_of_the_apps_own",
        ),
    ),
    8: ("containers are hardly confined", (f"{LIFE}::test_the_container_is_hardened",)),
    13: (
        "curl commands reach a shell",
        (
            f"{TRYING}::test_no_shell_reads_it",
            f"{TRYING}::test_what_is_no_curl_command_is_400",
            f"{TRYING}::test_the_node_its_neighbours_and_files_are_not_reached",
            f"{UNIT}/test_trying.py::test_it_is_split_as_a_shell_would_and_no_more",
        ),
    ),
    14: (
        "nonces are spent before the proof, and uploads carry none",
        (
            f"{SIGNED}::test_a_request_is_heard_once",
            f"{SIGNED}::test_nothing_unsigned_is_heard",
            f"{SIGNED}::test_a_body_that_is_signed_while_it_is_sent",
            f"{FORWARDING}::test_what_proves_people_stays_here_and_marks_are_for_operators",
        ),
    ),
    15: (
        "a database that fails wipes every workspace",
        (
            f"{LEAVINGS}::test_an_empty_or_short_list_removes_nothing",
            f"{LEAVINGS}::test_orphans_that_are_used_young_or_no_apps_stay",
            f"{UNIT}/test_leavings.py::test_a_list_that_leaves_out_more_than_half_is_not_believed",
            f"{UNIT}/test_leavings.py::test_one_user_who_makes_many_folders_decides_nothing",
        ),
    ),
    16: (
        "a stop leaves builds running",
        (
            f"{RUNS}::test_a_page_is_served_seen_and_stopped",
            "system/test_workspace_terminal.py::test_a_closed_terminal_leaves_nothing_running",
            f"{KEYS}::test_git_that_hangs_is_ended_with_all_that_it_started",
        ),
    ),
    17: ("two writers spoil what is remembered of a run", (f"{RUNS}::test_runs_that_are_begun_at_once_take_turns",)),
    18: (
        "a stopped user's port is given away",
        (f"{UNIT}/test_workspaces.py::test_a_port_is_its_users_for_good",),
    ),
    19: (
        "a look at a workspace starts it and calls the registry",
        (
            f"{LIFE}::test_files_outlive_the_container_and_a_look_starts_nothing",
            f"{LEAVINGS}::test_who_is_busy_and_idle_is_told_and_asking_is_no_use",
        ),
    ),
    20: (
        "nobody is put to sleep after a restart",
        (
            "system/test_workspace_idle.py::test_it_is_frozen_then_stopped_then_woken",
            f"{LIFE}::test_the_next_process_of_the_node_takes_up_what_the_last_one_left",
        ),
    ),
    21: (
        "deleting one app stops the others, and nobody tries again",
        (
            f"{LEAVINGS}::test_the_run_of_another_app_goes_on",
            f"{LEAVINGS}::test_a_deleted_app_ends_and_leaves_nothing_and_the_others_go_on",
            f"{LEAVINGS}::test_what_cannot_be_removed_is_put_aside_told_and_tried_again",
        ),
    ),
    22: (
        "uploads are stored and reported as failed; archives destroy before they are read",
        (
            f"{TRANSFERS}::test_what_no_editor_reads_is_stored_and_the_answer_says_so",
            f"{TRANSFERS}::test_a_bad_archive_leaves_the_app_as_it_was",
        ),
    ),
    23: (
        "git hangs, loses work and has no way on",
        (
            f"{GIT}::test_a_reset_loses_nothing",
            f"{GIT}::test_both_sides_of_a_conflict_are_shown_and_either_settles_it",
            f"{GIT}::test_files_that_were_there_first_have_a_way",
            f"{KEYS}::test_git_that_hangs_is_ended_with_all_that_it_started",
        ),
    ),
    24: (
        "a build installs everything again",
        (f"{UNIT}/test_launch.py::test_a_build_installs_what_is_missing_only",),
    ),
    25: (
        "gateways cannot ask for a user's node",
        ("http/api/test_workspace_nodes.py::test_gateways_are_told_the_node_and_place_nobody",),
    ),
    26: (
        "the gateway's own rules break previews",
        (
            "system/test_previews.py::test_a_server_that_knows_nothing_of_its_path",
            "contract/test_entry.py::test_each_address_reaches_its_own",
        ),
    ),
    27: (
        "a move leaves the files behind, and placing is blind",
        (
            "system/test_workspace_forwarding.py::test_who_has_a_workspace_stays_and_who_has_none_moves",
            "http/api/test_workspace_nodes.py::test_nobody_is_moved_to_a_node_that_takes_no_users",
            "unit/api/test_workspace_placement.py::test_the_least_busy_for_its_weight_wins",
            f"{FORWARDING}::test_reads_place_nobody",
        ),
    ),
    31: ("a GET changes something", (f"{KEYS}::test_a_reset_by_get_is_refused",)),
    32: (
        "a slow node holds a thread for ever",
        (f"{FORWARDING}::test_a_node_that_is_off_or_gone_is_told_from_ones_own_mistakes",),
    ),
    33: (
        "counting busy users starts two programs for each",
        (f"{LEAVINGS}::test_who_is_busy_and_idle_is_told_and_asking_is_no_use",),
    ),
    34: (
        "every file of a dead preview reads all users' folders",
        ("system/test_previews.py::test_nothing_is_served_and_not_yet",),
    ),
    35: (
        "logs and bodies are held in memory, archives are cut off and look whole",
        (
            f"{FORWARDING}::test_a_hundred_megabytes_pass_in_little_memory",
            f"{TRANSFERS}::test_a_broken_archive_does_not_look_whole",
            f"{RUNS}::test_who_serves_is_told_and_the_log_is_bounded_and_cleared",
        ),
    ),
    36: (
        "everybody asks again and again",
        (
            "system/test_workspace_forwarding.py::test_a_terminal_and_the_events_of_a_run",
            "http/api/test_workspace_nodes.py::test_a_heartbeat_tells_of_load_and_disk",
            "http/workspace/test_changes.py::test_what_changes_is_told",
        ),
    ),
    37: (
        "errors are answered with 200",
        (
            f"{FILES}::test_errors_have_real_statuses",
            f"{RUNS}::test_what_cannot_run_says_why",
            f"{FILES}::test_a_text_counts_for_what_it_holds_not_for_how_json_writes_it",
        ),
    ),
    39: (
        "an .npmrc of the inside is committed",
        (
            f"{GIT}::test_an_npmrc_of_the_inside_stays_inside",
            f"{UNIT}/test_launch.py::test_no_run_writes_an_npmrc",
        ),
    ),
}
#: What is designed out in part only: what is left, or why there is nothing to hold off.
IN_PART = {
    9: "secrets are read from the environment; whoever writes them into a file that is committed is not kept from it",
    11: "previews are as public as before, but not on the site of the API; who may see one is the gateway's to ask",
    27: "users who have something on a node stay there: what moves files is still to come",
}


@pytest.mark.parametrize("number", DEFECTS)
def test_each_defect_has_its_tests(number: int) -> None:
    _, tests = DEFECTS[number]
    missing = [test for test in tests if test.partition("::")[2] not in functions(test.partition("::")[0])]
    assert tests and not missing


def test_no_number_is_left_out() -> None:
    assert set(DEFECTS) | set(IN_PART) == {*range(1, 40)} - {10, 12, 28, 29, 30, 38}
