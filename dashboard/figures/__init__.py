"""Arrays to `plotly.graph_objects.Figure`, pure; `theme` decides every colour."""
