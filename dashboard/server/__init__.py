"""Requests on their way to a page or the API; knows no filter and no class."""
