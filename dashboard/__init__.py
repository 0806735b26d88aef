"""The browser side: pages over a store, and the server they run on. Never imports TensorFlow."""

from dashboard.app import create_app

__all__ = ["create_app"]
