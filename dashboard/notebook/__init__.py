"""The dashboard within a notebook: a server in the kernel's own process, and a frame of it."""

from dashboard.notebook.view import View, show

__all__ = ["View", "show"]
