"""Pure decisions: a world, settings and now in; decisions out."""
