"""The HTTP surface: a FastAPI application over a `Broker`."""

from trademind.api.app import create_app

__all__ = ["create_app"]
