"""`srsdk live --web`: a page that upscales the browser's own camera, or shows another.

The page sends the camera by WebRTC, `Session` upscales it through `Live`, and the picture goes back
the same way. Or a source of this machine is upscaled, and the page only shows it. Needs the extra
`web` (aiohttp and aiortc).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from srsdk.errors import BackendUnavailableError

if TYPE_CHECKING:
    from srsdk.live.sources import Source
    from srsdk.live.web.models import Models


def serve(
    models: Models,
    *,
    open_source: Callable[[], Source] | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
    token: str | None = None,
    say: Callable[[str], object] = print,
) -> None:
    """Serve the page until Ctrl-C.

    Args:
        models: What can be chosen on the page.
        open_source: Opens what the page shows, once for each visitor; None: the page upscales its
            visitor's camera.
        host: Address to listen on; others than this machine's own need a token.
        port: Port; 0 takes any free one.
        token: What the page's URL must carry as `?token=`.
        say: Told the page's URL, and who comes and goes.

    Raises:
        InputError: The address is reachable by others and there is no token.
        VideoError: The address or port cannot be listened on.
        BackendUnavailableError: The extra `web` is not installed.
    """
    try:
        from srsdk.live.web.server import run
    except ImportError as error:
        raise BackendUnavailableError(
            f"the web page needs aiohttp and aiortc: run `pip install 'srsdk[web]'` ({error})"
        ) from error
    run(models, open_source=open_source, host=host, port=port, token=token, say=say)
