"""Serves the playground: `python -m playground`, or `python -m playground CONFIG` to begin with a config."""

import argparse
import asyncio
import sys
import webbrowser
from pathlib import Path

import torch

from engine.setup import set_up_process
from playground.digits import DigitReader
from playground.server import Playground
from playground.settings import Settings
from playground.take_away import from_config


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m playground", description="Watch a network learn, in the browser.")
    parser.add_argument("config", nargs="?", help="a config of train.py that trains DeepMLP or ResidualMLP on Plane")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; others can connect to 0.0.0.0")
    parser.add_argument("--port", type=int, default=8765, help="0 takes any free port")
    parser.add_argument("--no-browser", action="store_true", help="do not open the page")
    parser.add_argument("--digits", type=Path, metavar="CHECKPOINT", help="an MNIST network for the digits tab")
    options = parser.parse_args()
    if not 0 <= options.port <= 65535:
        parser.error(f"--port {options.port} must be 0 to 65535")
    set_up_process()
    torch.set_num_threads(1)  # the networks are small; more threads only wait for each other
    try:
        settings = from_config(options.config) if options.config else Settings()
        if options.digits:
            DigitReader(options.digits)
    except ValueError as error:
        sys.exit(f"playground: {error}")
    playground = Playground(settings, options.host, options.digits)

    async def serve() -> None:
        address = await playground.start(options.port)
        print(f"The playground is at {address} (Ctrl-C stops it)", flush=True)
        if not options.no_browser:
            webbrowser.open(address)
        await asyncio.Event().wait()

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        print()
    except OSError as error:
        sys.exit(f"playground: {error.strerror}; choose another --host or --port, such as --port {options.port + 1}")


if __name__ == "__main__":
    main()
