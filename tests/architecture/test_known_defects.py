"""Every defect that the existing control plane is known for, and the tests that ours does not have it.

The numbers are those of the list of known defects: 1 to 10 are about the queue, 31 to 47 about the control plane and
security. A test is named by its module and its name; one that is renamed or removed fails here.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
#: The schedules find most of the first ten by themselves; the rest says it for each of them alone.
SCHEDULES = "model/test_schedules.py::test_no_schedule_over_sqlite_breaks_a_rule"
DEFECTS: dict[int, tuple[str, tuple[str, ...]]] = {
    1: (
        "a claim is not atomic",
        (
            "contract/test_store_races.py::test_concurrent_claims_never_give_a_job_twice",
            "contract/test_claim_order.py::test_a_claim_sent_to_both_replicas_at_once_gets_one_job",
            "http/deploy/test_replicas.py::test_every_job_is_claimed_once_and_events_are_the_same_everywhere",
        ),
    ),
    2: (
        "lost updates: a heartbeat resurrects a job that was reported or cancelled",
        (
            "model/test_known_defects.py::test_a_heartbeat_never_brings_an_ended_job_back",
            "contract/test_store_races.py::test_concurrent_saves_from_one_version_let_one_win",
            "contract/test_store.py::test_a_save_loses_against_a_newer_version",
            SCHEDULES,
        ),
    ),
    3: (
        "check-then-insert lets two creates through",
        (
            "contract/test_store_races.py::test_concurrent_creates_for_one_app_leave_exactly_one",
            "http/deploy/test_replicas.py::test_fifty_creates_at_two_replicas_leave_one_job",
            "contract/test_supersede_races.py::test_a_request_that_races_with_itself_makes_one_job",
        ),
    ),
    4: (
        "an expired attempt does not block a new job, and runs beside it later",
        (
            "model/test_known_defects.py::test_an_expired_attempt_is_still_the_apps_active_job",
            "contract/test_store.py::test_a_running_job_cannot_go_back_to_pending_while_another_is",
            "http/deploy/test_supersede.py::test_an_expired_job_makes_room_for_the_one_that_waits",
        ),
    ),
    5: (
        "expired jobs starve, are tried without end, and wait for somebody to claim",
        (
            "model/test_known_defects.py::test_an_expired_job_is_not_starved_by_newer_ones",
            "http/deploy/test_jobs.py::test_an_expired_lease_goes_back_in_line_then_fails_for_good",
            "unit/deploy/test_jobs.py::test_an_expired_lease_is_tried_again_after_longer_and_longer_pauses",
        ),
    ),
    6: (
        "no lease token and no fence",
        (
            "model/test_known_defects.py::test_two_processes_with_one_runner_id_are_told_apart_by_their_leases",
            "http/deploy/test_jobs.py::test_a_stale_lease_changes_nothing",
            "contract/test_store_races.py::test_fences_strictly_rise",
            "system/test_whole_path.py::test_a_runner_that_wakes_after_its_lease_neither_reports_nor_deploys",
        ),
    ),
    7: (
        "the longest running time is enforced by the runner's goodwill",
        ("http/deploy/test_jobs.py::test_an_attempt_that_runs_too_long_is_failed_though_its_runner_renews",),
    ),
    8: (
        "a long error message makes the report of a failure fail",
        (
            "http/deploy/test_jobs.py::test_a_failure_keeps_the_head_and_tail_of_what_was_printed_and_the_last_deployment",
            "http/deploy/test_existing_runner.py::test_the_whole_output_of_a_failed_command_is_taken",
            "contract/test_store.py::test_a_job_comes_back_as_it_was_written",
        ),
    ),
    9: (
        "retention deletes whatever is old, and what does not fit becomes null",
        (
            "contract/test_store.py::test_pruning_keeps_the_newest_ended_jobs_and_every_active_one",
            "http/deploy/test_jobs.py::test_ten_ended_jobs_of_an_app_are_kept",
            "contract/test_store_faults.py::test_a_value_that_does_not_fit_is_an_error_and_not_cut_off",
        ),
    ),
    10: ("reading creates placements", ("http/deploy/test_jobs.py::test_reading_never_writes",)),
    31: (
        "stop, purge and cleanup are not guarded",
        (
            "http/deploy/test_access.py::test_every_role_against_every_route",
            "http/deploy/test_access.py::test_every_route_is_in_the_table_of_access_and_in_this_one",
        ),
    ),
    32: (
        "the runner protocol is open to anybody, and runners pile up",
        (
            "http/deploy/test_access.py::test_every_role_against_every_route",
            "http/deploy/test_jobs.py::test_a_stale_lease_changes_nothing",
            "contract/test_store.py::test_a_runner_keeps_what_it_does_not_repeat",
        ),
    ),
    33: (
        "the allowlist believes the client, tokens are compared in varying time, paths are matched by parts",
        (
            "http/deploy/test_access.py::test_the_allowlist_judges_the_peer_and_believes_only_listed_proxies",
            "http/deploy/test_access.py::test_no_path_trick_reaches_a_guarded_route",
            "unit/kit/test_auth.py::test_no_text_but_a_token_proves_and_none_crashes",
        ),
    ),
    34: (
        "one token for all agents goes to whatever address a node registers",
        (
            "http/deploy/test_nodes.py::test_a_node_registers_and_moves_only_to_where_agents_may_be",
            "unit/deploy/test_addresses.py::test_others_are_refused_and_so_is_what_only_looks_private",
            "unit/deploy/test_agent.py::test_the_token_goes_to_no_address_where_no_agent_may_be",
            "http/deploy/test_audit.py::test_a_change_is_told_with_author_address_before_and_after",
        ),
    ),
    35: (
        "secrets in files of the repository",
        (
            "architecture/test_packaging.py::test_an_example_does_not_start_until_its_secrets_are_set",
            "unit/deploy/test_settings.py::test_a_missing_placeholder_or_weak_secret_stops_the_start_and_is_named",
        ),
    ),
    36: (
        "cleaning the registry removes what a payload names",
        (
            "unit/deploy/test_releases.py::test_only_the_apps_own_repository_in_the_registry_of_the_settings_may_be_cleaned",
            "http/deploy/test_releases.py::test_cleaning_up_an_app_removes_exactly_its_own_repository",
        ),
    ),
    37: (
        "cleaning up while the node is away leaves a container without a record, and a running job deploys again",
        (
            "system/test_operations.py::test_a_stop_and_a_delete_survive_the_death_of_everybody_and_are_done_when_the_node_is_back",
            "http/deploy/test_nodes.py::test_cleanup_keeps_the_record_of_an_app_that_may_still_run",
            "http/deploy/test_operations.py::test_a_cleanup_cancels_the_running_job_which_can_then_neither_go_live_nor_report",
        ),
    ),
    38: (
        "calls to the registry have no time limit, and callers give up before an agent is done",
        (
            "contract/test_image_registry.py::test_a_registry_that_never_answers_has_failed",
            "contract/test_store_operations.py::test_what_fails_is_tried_again_until_it_is_done",
        ),
    ),
    39: (
        "nodes flap when they call as seldom as they become stale",
        ("unit/deploy/test_nodes.py::test_an_agent_that_does_not_say_how_often_it_calls_is_observed",),
    ),
    40: (
        "a drain moves rows and no containers",
        (
            "http/deploy/test_drains.py::test_a_drain_is_shown_then_carried_out_two_at_a_time_and_the_node_is_cordoned",
            "http/deploy/test_drains.py::test_a_failed_move_is_tried_elsewhere_and_leaves_the_app_where_it_serves",
            "contract/test_moves.py::test_an_app_is_not_moved_away_from_the_node_that_a_claim_just_chose",
            "http/deploy/test_operations.py::test_a_copy_that_an_app_left_behind_is_stopped",
        ),
    ),
    41: (
        "a burst lands on one node, and node ids grow without bound",
        (
            "unit/deploy/test_placement.py::test_a_burst_within_one_interval_spreads_though_nodes_report_in_the_middle_of_it",
            "http/deploy/test_nodes.py::test_a_burst_spreads_over_equal_nodes",
            "contract/test_store.py::test_nodes_get_small_ids_and_keep_their_figures",
        ),
    ),
    42: (
        "an app stays tied to the node on which it never came up",
        ("http/deploy/test_jobs.py::test_an_app_that_never_came_up_is_not_tied_to_its_node",),
    ),
    43: (
        "the API guesses how jobs ended, does not ask whose they are, and counts before it inserts",
        (
            "http/api/test_apps.py::test_the_status_follows_the_jobs",
            "http/api/test_results_from_the_plane.py::test_the_api_learns_how_a_job_ended_without_asking",
            "contract/test_store_webhooks.py::test_the_result_is_written_with_the_end_of_the_job_or_not_at_all",
            "contract/test_store_webhooks.py::test_what_was_sent_before_a_crash_is_sent_again_under_the_same_key",
            "http/api/test_results.py::test_a_delivery_is_taken_once_and_an_older_result_never_replaces_a_newer_one",
            "http/api/test_ownership.py::test_only_the_owner_gets_through",
            "contract/test_api_stores.py::test_many_deployments_at_once_take_exactly_the_places_there_are",
        ),
    ),
    44: (
        "errors are answered 200 and tell what an exception said",
        (
            "unit/kit/test_web.py::test_errors_are_answered_by_their_family_and_unknown_ones_without_their_text",
            "http/deploy/test_bad_input.py::test_a_bad_payload_is_400_that_names_its_field",
        ),
    ),
    45: (
        "one instance only, silently in memory without a database",
        (
            "http/deploy/test_replicas.py::test_work_and_cancels_cross_from_one_replica_to_the_other",
            "contract/test_store_singletons.py::test_the_lease_of_one_that_was_killed_runs_out",
            "http/deploy/test_process.py::test_a_database_address_that_makes_no_sense_stops_the_start",
        ),
    ),
    46: (
        "no audit trail, events, logs, figures, rollback",
        (
            "http/deploy/test_audit.py::test_every_route_that_changes_something_is_audited_or_excused",
            "http/deploy/test_audit.py::test_a_change_is_told_with_author_address_before_and_after",
            "http/deploy/test_audit.py::test_no_event_carries_a_secret",
            "http/deploy/test_events.py::test_a_deployment_is_told_in_order",
            "http/deploy/test_logs.py::test_a_follower_gets_what_comes_and_ends_with_the_job",
            "http/deploy/test_nodes.py::test_figures_are_exposed_for_prometheus",
            "http/deploy/test_releases.py::test_a_rollback_is_a_job_without_a_build_and_becomes_a_release",
        ),
    ),
    47: ("hardly any tests", (SCHEDULES,)),
}
#: What is designed out in part only: what is left.
IN_PART = {
    34: "whoever holds the nodes' token may still register as another node, within the agents' own networks",
}


@cache
def functions(module: str) -> frozenset[str]:
    """The names of a module's functions."""
    tree = ast.parse((TESTS / module).read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


@pytest.mark.parametrize("number", DEFECTS)
def test_each_defect_has_its_tests(number: int) -> None:
    _, tests = DEFECTS[number]
    missing = [test for test in tests if test.partition("::")[2] not in functions(test.partition("::")[0])]
    assert tests and not missing


def test_no_number_is_left_out() -> None:
    assert sorted(DEFECTS) == [*range(1, 11), *range(31, 48)] and IN_PART.keys() <= DEFECTS.keys()
