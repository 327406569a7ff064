"""`runs budgets`: who may use what, and who does."""

from __future__ import annotations

from runs_cli.command import LazyGroup, Place

budgets = LazyGroup(
    name="budgets",
    places={
        "list": Place("runs_budgets.commands.overview:list_command", "The Budgets, and whether each is in order."),
        "tree": Place("runs_budgets.commands.overview:tree_command", "The family: who has how much, and who uses it."),
        "usage": Place("runs_budgets.commands.overview:usage_command", "Each envelope: who uses it, what it has left."),
        "show": Place("runs_budgets.commands.show:show_command", "One Budget: family, envelopes, caps, conditions."),
        "request": Place(
            "runs_budgets.commands.request:request_command", "A manifest for another quota, and its effect."
        ),
    },
    examples=(
        ("Who uses what, and what is left?", "runs budgets usage"),
        ("Who belongs to whom?", "runs budgets tree"),
        ("What would 64 GPUs more do?", "runs budgets request vision --envelope h100 --gpus 160"),
    ),
    help="Quota: who may use how many GPUs, and who does.",
)
