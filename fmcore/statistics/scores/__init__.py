"""Scores of filters from pooled tables and labels, each with its chance level."""
