"""`runs manifests`: all that an installation needs, ready for kubectl."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

Runs = Callable[..., Result]
URL = ("--webhook-url", "https://10.0.0.5:9443")


def printed(runs: Runs, *words: str) -> list[dict[str, Any]]:
    answer = runs("manifests", *words)
    assert answer.exit_code == 0, answer.output
    return list(yaml.safe_load_all(answer.stdout))


def said(runs: Runs, *words: str) -> tuple[int, str]:
    answer = runs("manifests", *words)
    assert answer.stdout == ""
    return answer.exit_code, answer.stderr


def test_all_is_the_parts_in_the_order_in_which_they_are_applied(runs: Runs) -> None:
    parts = [one for part in ("crds", "rbac", "policies") for one in printed(runs, part)]
    hooks = printed(runs, "webhooks", *URL)
    assert len(hooks) == 2
    assert printed(runs, "all", *URL) == [*parts, *hooks]
    assert printed(runs, "all") == parts


def test_they_are_the_same_bytes_each_time(runs: Runs) -> None:
    first, second = (runs("manifests", "all", *URL).stdout for _ in range(2))
    assert first == second
    assert first.startswith("apiVersion: apiextensions.k8s.io/v1\n")


def test_a_list_as_json_and_the_names_alone(runs: Runs) -> None:
    listed = json.loads(runs("manifests", "policies", "-o", "json").stdout)
    names = runs("manifests", "policies", "-o", "name").stdout.splitlines()
    assert (listed["kind"], len(listed["items"])) == ("List", len(names))
    assert names[0] == "validatingadmissionpolicy/runs-gpu-pods"


@pytest.mark.parametrize("words", [("rbac", "-n", "gangs"), ("rbac", "--namespace", "gangs")])
def test_the_namespace_is_named_before_or_after(runs: Runs, words: tuple[str, ...]) -> None:
    assert printed(runs, *words) == list(yaml.safe_load_all(runs("-n", "gangs", "manifests", "rbac").stdout))
    assert printed(runs, *words)[0]["metadata"]["name"] == "gangs"


def test_a_service_that_cannot_be_is_refused(runs: Runs) -> None:
    code, told = said(runs, "webhooks", "--webhook-service", "A_B")
    assert code == 2
    assert told.startswith("Error: --webhook-service: got 'A_B', want lower-case letters, digits and - between them")


def test_the_service_account_can_be_another(runs: Runs) -> None:
    assert "system:serviceaccount:runs-system:conductor" in json.dumps(
        printed(runs, "policies", "--service-account", "conductor")
    )


def test_what_counts_as_a_gpu_are_the_resources_of_the_settings(runs: Runs, tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("fleet: {resource: amd.com/gpu}\n")
    policy = printed(runs, "policies", "--config", str(config))[0]
    (asks,) = [one["expression"] for one in policy["spec"]["matchConditions"] if "c.resources" in one["expression"]]
    assert '"amd.com/gpu" in c.resources.limits' in asks


def test_the_mode_of_the_policy_is_one_of_three(runs: Runs) -> None:
    modes = {mode: printed(runs, "policies", "--policy-mode", mode) for mode in ("off", "warn", "deny")}
    about = {mode: {one["metadata"]["name"] for one in found} for mode, found in modes.items()}
    assert about["warn"] == about["deny"] == about["off"] | {"runs-gpu-pods"}
    assert "runs-gpu-pods" not in about["off"]
    assert "runs-ledger" in about["off"]
    assert said(runs, "policies", "--policy-mode", "audit")[0] == 2


def test_an_older_api_server_is_spared_the_kind_that_it_does_not_know(runs: Runs) -> None:
    """It is named as `kubectl version` names it."""
    for part in ("policies", "all"):
        today, then = (printed(runs, part, "--kubernetes", version) for version in ("1.36", "v1.35.3+k3s1"))
        left_out = [one["kind"] for one in today if one not in then]
        assert left_out == ["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"] * 2
        assert printed(runs, part) == today


@pytest.mark.parametrize("version", ["1.29", "1", "new", "2"])
def test_a_version_that_is_none_or_too_old_is_refused(runs: Runs, version: str) -> None:
    code, message = said(runs, "policies", "--kubernetes", version)
    assert (code, f"--kubernetes: got '{version}', want a version such as 1.30, the oldest" in message) == (2, True)


def test_a_service_is_reached_in_the_namespace_of_the_scheduler(runs: Runs) -> None:
    found = printed(runs, "webhooks", "--webhook-service", "runs-webhook", "-n", "gangs", "--failure-policy", "Fail")
    client = found[0]["webhooks"][0]["clientConfig"]
    assert client == {"service": {"namespace": "gangs", "name": "runs-webhook", "path": "/default", "port": 443}}
    assert found[1]["webhooks"][0]["failurePolicy"] == "Fail"


def test_a_given_authority_is_carried_along_and_a_key_is_not(runs: Runs, tmp_path: Path) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_text("-----BEGIN CERTIFICATE-----\n")
    found = printed(runs, "webhooks", *URL, "--ca-file", str(ca))
    assert found[0]["webhooks"][0]["clientConfig"]["caBundle"] == "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="
    ca.write_text("-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n")
    code, message = said(runs, "webhooks", *URL, "--ca-file", str(ca))
    assert (code, "want certificates as PEM, and no key" in message) == (2, True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "name --webhook-url or --webhook-service"),
        ((*URL, "--webhook-service", "a"), "--webhook-url or --webhook-service: name one of them"),
        (("--webhook-url", "http://10.0.0.5"), "--webhook-url: got 'http://10.0.0.5', want https://HOST:PORT"),
        (("--webhook-url", "https://"), "want https://HOST:PORT"),
        (("--webhook-url", "https://a:x"), "want https://HOST:PORT"),
        (("--webhook-url", "https://a?b"), "want https://HOST:PORT"),
        ((*URL, "-n", "Gangs"), "namespace: got 'Gangs', want lower-case letters"),
        ((*URL, "--service-account", "it's"), 'service account: got "it\'s", want lower-case letters'),
        ((*URL, "--ca-file", "/no/such/file"), "--ca-file: /no/such/file cannot be read: No such file or directory"),
        ((*URL, "--failure-policy", "Maybe"), "Maybe"),
    ],
)
def test_what_cannot_be_is_answered_in_one_sentence(runs: Runs, words: tuple[str, ...], sentence: str) -> None:
    code, message = said(runs, "webhooks", *words)
    assert (code, sentence in message) == (2, True), message
    assert "Traceback" not in message
