"""Arrays to figures, pure; `theme` decides every color.

Plain dictionaries: `plotly.graph_objects` would check each property again at each click, which took
nine tenths of a callback. The tests have it check them instead.
"""
