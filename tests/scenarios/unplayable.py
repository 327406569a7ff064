"""Scenarios that a real API server tells otherwise, with the reason: each is played there as well, and must differ."""

from __future__ import annotations

GONE_AT_ONCE = "an API server deletes a Run at once and asks nobody: its leases outlive it, and there is no more record"

UNPLAYABLE = {
    "test_a_deleted_run_goes_when_its_pods_have_gone": GONE_AT_ONCE,
    "test_a_deleted_run_that_only_waited_is_gone_at_once": GONE_AT_ONCE,
    "test_a_suspended_run_can_be_deleted": GONE_AT_ONCE,
    "test_an_upstream_that_is_submitted_anew_in_time_is_waited_for": GONE_AT_ONCE,
    "test_an_upstream_that_is_submitted_anew_too_late_is_waited_for_no_more": GONE_AT_ONCE,
}
