"""One HTTP front for many slow, unreliable company registries."""

import os
from typing import TYPE_CHECKING

from backendify._core import VERSION

if TYPE_CHECKING:
    from backendify._core import App

__version__ = VERSION
__all__ = ["__version__", "create_app"]


def create_app() -> "App":
    """Make the ASGI app from the environment (`BACKENDIFY_REGISTRIES` and the other options), for any ASGI 3 server.

    With uvicorn: `uvicorn --factory --interface asgi3 backendify:create_app`; it cannot tell by itself that an object
    of Rust is an ASGI 3 callable. Raises :class:`backendify.settings.BadSettings` for what is wrong in the environment.
    """
    # Here, so that `backendify --help` need not import the client.
    from backendify.app import Service, plan_memory  # noqa: PLC0415
    from backendify.cache_file import cache_path  # noqa: PLC0415
    from backendify.configuration import read  # noqa: PLC0415

    settings = read({}, os.environ)
    cache = cache_path(settings, settings.port)
    return Service(settings, plan_memory(settings, cache), cache).app
