from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from runs_core.errors import InvalidInput
from runs_core.schema.settings import PluginSwitches, describe_settings, load_settings, load_switches
from runs_core.settings import Settings, Unbudgeted
from runs_core.values.fields import Fact, field


@attrs.frozen(kw_only=True)
class Quiet:
    """A plugin's settings."""

    hours: int = field(Fact(doc="How long.", minimum=0), default=8)
    tone: str | None = field(Fact(doc="How loud."), default=None)


@attrs.frozen(kw_only=True)
class Nested:
    quiet: Quiet = field(Fact(doc="When it is quiet."), factory=Quiet)


HOURS = " (did you mean RUNS_PLUGINS_QUIET_HOURS?)"


def load(text: str | None = None, classes: dict[str, type] | None = None, **environ: str) -> Settings:
    return load_settings(text, "s.yaml", environ, classes or {})[0]


def refusals(text: str | None = None, classes: dict[str, type] | None = None, **environ: str) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        load(text, classes, **environ)
    return [str(problem) for problem in caught.value.problems]


def test_nothing_said_is_the_default() -> None:
    assert load() == load("") == load("# nothing\n") == Settings()


def test_a_file_is_read_in_camel_case() -> None:
    settings = load("starts: {tries: 5, backoff: 90s}\nunbudgeted: Deny\nfleet:\n  resources: {MI300: amd.com/gpu}\n")
    assert (settings.starts.tries, settings.starts.backoff) == (5, timedelta(seconds=90))
    assert settings.unbudgeted is Unbudgeted.DENY
    assert settings.fleet.resource_of("MI300") == "amd.com/gpu"


def test_a_variable_counts_more_than_the_file() -> None:
    settings = load(
        "starts: {tries: 4, backoff: 1s}\n",
        RUNS_STARTS_TRIES="5",
        RUNS_LOCAL_POD_START="1s",
        RUNS_FLEET_TOLERATED="a, b",
        RUNS_FLEET_RESOURCES="x=y.z/gpu",
        RUNS_RANK="",
    )
    assert (settings.starts.tries, settings.starts.backoff) == (5, timedelta(seconds=1))
    assert settings.local.pod_start == timedelta(seconds=1)
    assert (settings.fleet.tolerated, settings.fleet.resources, settings.rank) == (
        ("a", "b"),
        (("x", "y.z/gpu"),),
        None,
    )


def test_every_problem_is_told_by_line_or_by_variable() -> None:
    text = "starts:\n  backof: 1s\n  tries: 0\nhooks: {timeot: 1s}\nunbudgeted: deny\n"
    assert refusals(text, RUNS_LOCAL_POD_START="1") == [
        "s.yaml:5 unbudgeted: got 'deny' (did you mean Deny?), want Allow or Deny",
        "s.yaml:2 starts.backof: got an unknown field (did you mean backoff?), want backoff or tries",
        "s.yaml:3 starts.tries: got 0, want a whole number of at least 1",
        "s.yaml:4 hooks.timeot: got an unknown field (did you mean timeout?), want recheck or timeout",
        "RUNS_LOCAL_POD_START: got '1', want a duration such as 90s, 30m or 1h30m",
    ]


def test_a_variable_that_is_nearly_a_setting_is_refused() -> None:
    assert refusals(RUNS_STARTS_TRYS="5", RUNS_HOOK_TIMEOUT="1s", RUNS_FLEET_X="y") == [
        "RUNS_FLEET_X: got a variable of no setting, want it unset or renamed",
        "RUNS_HOOK_TIMEOUT: got a variable of no setting (did you mean RUNS_HOOKS_TIMEOUT?), want it unset or renamed",
        "RUNS_STARTS_TRYS: got a variable of no setting (did you mean RUNS_STARTS_TRIES?), want it unset or renamed",
    ]


def test_variables_that_are_no_settings_are_left_alone() -> None:
    others = (
        "RUNS_LOCAL",
        "RUNS_CONFIG",
        "RUNS_DEBUG",
        "RUNS_PLUGINS",
        "RUNS_TEST_KUBE",
        "RUNS_DIR",
        "RUNS_GROUP_RANK",
    )
    assert load_settings(None, "", dict.fromkeys(others, "x"), {})[0] == Settings()


def test_no_variable_of_a_setting_is_one_of_the_command_lines() -> None:
    named = {row.variable for row in describe_settings(Settings)}
    assert "RUNS_LOCAL_POD_START" in named
    assert not named & {"RUNS_LOCAL", "RUNS_CONFIG", "RUNS_DEBUG", "RUNS_PLUGINS", "RUNS_GROUP", "RUNS_GROUP_RANK"}
    assert not [name for name in named if name.startswith(("RUNS_TEST_", "RUNS_PLUGINS_"))]
    assert len(named) == len(describe_settings(Settings))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("5", "s.yaml:1: got 5, want a map of settings"),
        ("a: 1\n---\nb: 2\n", "s.yaml:3: got 2 documents, want one"),
        ("plugins: 5", "s.yaml:1 plugins: got 5, want a map of plugin names"),
        ("plugins:\n  a: 5", "s.yaml:2 plugins.a: got 5, want a map"),
        ("plugins:\n  a: {enabled: 1}", "s.yaml:2 plugins.a.enabled: got 1, want true or false"),
        ("starts: 5", "s.yaml:1 starts: got 5, want a map"),
        ("starts: {tries: 1}\nstarts: {tries: 2}", "s.yaml:2 starts: got this key a second time, want it once"),
    ],
)
def test_what_is_no_settings_file_is_refused(text: str, told: str) -> None:
    assert refusals(text) == [told]


def test_a_plugins_settings_are_read_as_its_class() -> None:
    text = "plugins:\n  quiet: {enabled: true, hours: 3}\n"
    settings = load(text, {"quiet": Quiet}, RUNS_PLUGINS_QUIET_TONE="low")
    assert settings.plugins == {"quiet": Quiet(hours=3, tone="low")}
    assert load(None, {"quiet": Quiet}).plugins == {"quiet": Quiet()}
    assert load(None, {"n-x": Nested}, RUNS_PLUGINS_N_X_QUIET_HOURS="5").plugins == {
        "n-x": Nested(quiet=Quiet(hours=5))
    }


def test_a_plugins_settings_are_judged_like_cores() -> None:
    text = "plugins:\n  quiet:\n    hours: -1\n    ton: x\n"
    assert refusals(text, {"quiet": Quiet}) == [
        "s.yaml:4 plugins.quiet.ton: got an unknown field (did you mean tone?), want hours or tone",
        "s.yaml:3 plugins.quiet.hours: got -1, want a whole number of at least 0",
    ]
    assert refusals(None, {"quiet": Quiet}, RUNS_PLUGINS_QUIET_HOURS="x", RUNS_PLUGINS_QUIET_HOUR="1") == [
        f"RUNS_PLUGINS_QUIET_HOUR: got a variable of no setting{HOURS}, want it unset or renamed",
        "RUNS_PLUGINS_QUIET_HOURS: got 'x', want a whole number of at least 0",
    ]


def test_settings_of_a_plugin_that_nobody_has_are_refused() -> None:
    (told,) = refusals("plugins:\n  quite: {hours: 1}\n", {"quiet": Quiet})
    assert told.startswith(
        "s.yaml:2 plugins.quite: got settings (did you mean quiet?), want none: no plugin of this name"
    )


def test_settings_of_a_plugin_that_is_off_are_not_read() -> None:
    assert load("plugins: {quiet: {enabled: false, hours: much}}").plugins == {}
    assert load("plugins: {quiet: {hours: much}}", RUNS_PLUGINS="", RUNS_PLUGINS_QUIET_HOURS="x").plugins == {}


def test_switches_are_read_before_anything_else() -> None:
    text = "starts: {tries: 0}\nplugins: {a: {enabled: false, x: 1}, b: {}}\n"
    switches = load_switches(text, "s.yaml", {"RUNS_STARTS_TRYS": "x"})
    assert [switches.allows(name) for name in "abc"] == [False, True, True]


def test_a_list_of_allowed_plugins_counts_more_than_the_file() -> None:
    text = "plugins: {a: {enabled: false}}\n"
    allowed = load_switches(text, "s.yaml", {"RUNS_PLUGINS": " a ,c"})
    assert [allowed.allows(name) for name in "abc"] == [True, False, True]
    assert load_switches(None, "", {"RUNS_PLUGINS": ""}) == PluginSwitches(allowed=())


@pytest.mark.parametrize(
    ("text", "allowed", "told"),
    [
        ("", "budget", "RUNS_PLUGINS: got budget (did you mean budgets?), want budgets or quiet, which are installed"),
        ("plugins: {budget: {enabled: false}}", None, "s.yaml:1 plugins.budget: got budget (did you mean budgets?), "),
        ("plugins: {nope: {enabled: true}}", None, "s.yaml:1 plugins.nope: got nope, want budgets or quiet, which "),
    ],
)
def test_a_plugin_that_is_not_installed_cannot_be_let_in(text: str, allowed: str | None, told: str) -> None:
    environ = {} if allowed is None else {"RUNS_PLUGINS": allowed}
    with pytest.raises(InvalidInput) as refused:
        load_switches(text, "s.yaml", environ, ("budgets", "quiet"))
    assert str(refused.value).startswith(told)


def test_a_plugin_that_is_not_installed_may_be_off() -> None:
    assert not load_switches("plugins: {nope: {enabled: false}}", "", {}, ("budgets",)).allows("nope")
    assert load_switches("plugins: {budget: {}}", "", {"RUNS_PLUGINS": "budgets"}, ("budgets",)).allows("budgets")


def test_settings_are_described_as_the_file_spells_them() -> None:
    rows = {row.path: row for row in describe_settings(Settings)}
    assert (rows["local.podStart"].type, rows["local.podStart"].default) == ("duration", "2s")
    assert rows["fleet.flavorLabels"].default == "runs.dev/gpu-flavor, nvidia.com/gpu.product"
    assert (rows["unbudgeted"].type, rows["unbudgeted"].default) == ("Allow or Deny", "Allow")
    (row,) = [row for row in describe_settings(Quiet, "plugins.quiet") if row.path == "plugins.quiet.hours"]
    assert (row.variable, row.doc, row.default) == ("RUNS_PLUGINS_QUIET_HOURS", "How long.", "8")
    assert all(row.doc and row.type for row in rows.values())


LABEL = "want a label key such as team or example.com/team"
RESOURCE = "want a resource with its domain such as nvidia.com/gpu"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("fleet: {flavorLabels: []}", "fleet.flavorLabels: got 0 entries, want at least 1"),
        ("fleet: {flavorLabels: [a b]}", f"fleet.flavorLabels[0]: got 'a b', {LABEL}"),
        ("fleet: {flavorLabels: [a, a]}", "fleet.flavorLabels[1]: got 'a' again, as in entry 0, want each once"),
        ("fleet: {regionLabel: ''}", f"fleet.regionLabel: got '', {LABEL}"),
        ("fleet: {clusterLabel: a b}", f"fleet.clusterLabel: got 'a b', {LABEL}"),
        ("fleet: {domainLabel: /a}", f"fleet.domainLabel: got '/a', {LABEL}"),
        ("fleet: {resource: bad resource}", f"fleet.resource: got 'bad resource', {RESOURCE}"),
        ("fleet: {resource: cpu}", f"fleet.resource: got 'cpu', {RESOURCE}"),
        ("fleet: {resources: {H100: gpu}}", f"fleet.resources.H100: got 'gpu', {RESOURCE}"),
        ("fleet: {resources: {a b: a.b/gpu}}", "fleet.resources[a b]: got the key 'a b', want letters, digits, and -,"),
        ("fleet: {tolerated: [a b]}", f"fleet.tolerated[0]: got 'a b', {LABEL}"),
        ("hooks: {timeout: 0s}", "hooks.timeout: got '0s', want 10ms or more"),
        ("hooks: {timeout: 1ns}", "hooks.timeout: got '1ns', want 10ms or more"),
        ("hooks: {recheck: 0s}", "hooks.recheck: got '0s', want 1s or more"),
        ("starts: {backoff: 0s}", "starts.backoff: got '0s', want 1s or more"),
        ("retention: {archive: ''}", "retention.archive: got '', want one line of text"),
        ("election: {retryPeriod: 0s}", "election.retryPeriod: got '0s', want 100ms or more"),
        ("election: {leaseDuration: 2562047h}", "election.leaseDuration: got '2562047h', want 24h or less"),
        ("audit: {period: 1ms}", "audit.period: got '1ms', want 1s or more"),
        ("audit: {grace: 0s}", "audit.grace: got '0s', want 1s or more"),
    ],
)
def test_what_could_not_work_is_refused(text: str, told: str) -> None:
    (problem,) = refusals(text)
    assert problem.startswith(f"s.yaml:1 {told}")
