"""A command of its own: `runs house-rules`."""

from __future__ import annotations

import attrs
import click
from runs_core import fact_of

from runs_houserules.rules import HouseRules


@click.command("house-rules")
def house_rules() -> None:
    """Show the settings of the house rules, with their defaults."""
    for setting in attrs.fields(HouseRules):
        fact = fact_of(setting)
        click.echo(f"{setting.name} (default {setting.default}): {fact.doc if fact else ''}")
