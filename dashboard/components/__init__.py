"""Arguments to Dash components; no callbacks, no stores."""
