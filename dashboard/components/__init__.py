"""Arguments to Dash components, all alike on every page; they see no store."""
