"""docs/reference/settings.md."""

from __future__ import annotations

from docs.generate.text import code, head, table

from runs_core.schema.settings import ALLOWED, describe_settings
from runs_core.settings import Settings

WORDS = """
Settings stand in a YAML file that `--config FILE` or `RUNS_CONFIG` names, and in `RUNS_*` variables. A variable counts
more than the file. What neither says is at its default. An unknown key, a variable that can only be meant as a setting
and is none, and a value that cannot be, is refused with its place; then nothing starts.

A path `starts.tries` is written

```yaml
starts:
  tries: 5
```

and its variable is `RUNS_STARTS_TRIES`. In a variable, a list is `a,b` and a map `key=value,key=value`. A duration is
in the notation of Go: `90s`, `30m`, `1h30m`.
"""
PLUGINS = f"""
## Plugins

A plugin that is installed is on, unless the file says otherwise:

```yaml
plugins:
  NAME:
    enabled: false
```

`{ALLOWED}=a,b` lets these plugins in and no others; `{ALLOWED}=`, empty, runs the bare core. A plugin's own settings
stand beside `enabled`; `runs plugins show NAME` lists them with their meaning and default.

## Other variables

| variable | says |
|---|---|
| `RUNS_LOCAL` | as `--local`: the state file of the embedded cluster |
| `RUNS_CONFIG` | as `--config`: the settings file |
| `RUNS_DEBUG` | as `--debug`: show where an error came from |
| `NO_COLOR`, `FORCE_COLOR`, `TERM=dumb` | no colour, colour even into a pipe, neither colour nor movement |
"""


def page() -> str:
    """The whole page."""
    rows = [
        [code(row.path), row.type, code(row.default) or "none", row.doc, code(row.variable)]
        for row in describe_settings(Settings)
    ]
    start = head("Settings", "runs_core/settings.py", WORDS)
    return start + "\n" + table(["setting", "type", "default", "meaning", "variable"], rows) + PLUGINS
