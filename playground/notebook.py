"""The playground in a Jupyter notebook."""

import asyncio
import threading
from concurrent.futures import Future

from IPython.display import IFrame

from playground.server import Playground
from playground.settings import Settings
from playground.take_away import from_config


def show(config: str | None = None, height: int = 900) -> IFrame:
    """Shows the playground below a cell, `height` pixels high, and begins with a config of `train.py` if one is given.

    The browser must run on the same machine as the notebook.

    Raises:
        InputError: If the config cannot be shown.
    """
    settings = from_config(config) if config else Settings()
    address: Future[str] = Future()

    async def serve() -> None:
        address.set_result(await Playground(settings, "127.0.0.1").start(port=0))
        await asyncio.Event().wait()

    threading.Thread(target=lambda: asyncio.run(serve()), name="playground", daemon=True).start()
    return IFrame(address.result(), width="100%", height=height)
