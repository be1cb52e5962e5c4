"""`backendify top`: a running server live, as its operators' listener tells it."""

from backendify.top.command import run

__all__ = ["run"]
