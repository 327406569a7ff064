"""What the commands do: one module for each module of `runs_cli.commands`, imported when it runs."""
