"""The server of the playground: one page, and a WebSocket with a session for each visitor."""

import asyncio
import dataclasses
import json
import logging
import secrets
import time
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from engine.paths import RUNS
from playground.digits import SHIPPED, DigitReader, find_checkpoints
from playground.frame import encode
from playground.session import Handler, Message, Session
from playground.settings import Settings, own_points

log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
LOOPBACK = ("127.0.0.1", "localhost")
SLICE = 0.012  # seconds of training before another visitor gets a turn
FRAME_INTERVAL = 1 / 40  # smallest number of seconds between two frames
MAX_VISITORS = 16
MAX_MESSAGE = 2**20  # bytes
HEARTBEAT = 10  # seconds; half as long without an answer ends a connection, and a slow request must not take longer
KEEP = 60  # seconds that a session waits for its page to connect again


class Playground:
    """The application with its sessions. `settings` are those that a new visitor starts with.

    On a loopback address, it answers under no other name. `checkpoint` is a network for the digits tab, besides those
    below `runs`.
    """

    def __init__(self, settings: Settings, host: str, checkpoint: Path | None = None) -> None:
        self.settings, self.host, self.checkpoint = settings, host, checkpoint
        self.connected: set[str] = set()
        self.sessions: dict[str, Session] = {}
        self.app = web.Application(middlewares=[self.check_origin])
        self.app.router.add_get("/", self.page)
        self.app.router.add_get("/ws", self.visit)
        self.app.router.add_static("/static", STATIC)

    async def start(self, port: int) -> str:
        """Starts to serve. Returns the address of the page. Port 0 takes a free one."""
        runner = web.AppRunner(self.app)
        await runner.setup()
        await web.TCPSite(runner, self.host, port).start()
        return f"http://{self.host}:{runner.addresses[0][1]}"

    @web.middleware
    async def check_origin(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Refuses requests of other websites, also of those whose name leads to this machine."""
        name, origin = request.host.rsplit(":", 1)[0], request.headers.get("Origin")
        is_other_name = self.host in LOOPBACK and name not in LOOPBACK
        if is_other_name or origin not in (None, f"http://{request.host}"):
            raise web.HTTPForbidden(text=f"{origin or request.host} cannot use the playground; open its own address\n")
        response: web.StreamResponse = await handler(request)
        if not response.prepared:
            response.headers["Content-Security-Policy"] = "default-src 'self'; img-src 'self' data: blob:"
            response.headers["Cache-Control"] = "no-cache"  # a new version of the page is used at once
        return response

    async def page(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(STATIC / "index.html")

    async def visit(self, request: web.Request) -> web.WebSocketResponse:
        """Serves a visitor until the page is closed."""
        # the page is usually on the same machine, where compression saves nothing
        socket = web.WebSocketResponse(max_msg_size=MAX_MESSAGE, heartbeat=HEARTBEAT, compress=False)
        await socket.prepare(request)
        visitor = Visitor(socket, self)
        if len(self.connected) >= MAX_VISITORS:
            await visitor.send({"type": "error", "message": f"{MAX_VISITORS} pages are open. Close one of them."})
            await socket.close()
            return socket
        self.connected.add(visitor.name)
        training = asyncio.create_task(visitor.train())
        try:
            settings = dataclasses.asdict(self.settings)
            await visitor.send({"type": "hello", "session": visitor.name, "settings": settings})
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    await visitor.receive(json.loads(message.data))
                elif message.type == WSMsgType.BINARY:
                    await visitor.receive({"type": "digit", "pixels": message.data})
        except ConnectionError:
            pass  # the page was closed while an answer was on its way
        finally:
            training.cancel()
            self.connected.discard(visitor.name)
            asyncio.get_running_loop().call_later(KEEP, self.sessions.pop, visitor.name, None)
        return socket


class Visitor(Handler):
    """The connection of one page. All visitors train in turn, on one thread."""

    def __init__(self, socket: web.WebSocketResponse, playground: Playground) -> None:
        self.socket, self.playground = socket, playground
        self.name = secrets.token_urlsafe(16)
        self.session: Session | None = None
        self.reader: DigitReader | None = None
        self.wake = asyncio.Event()

    async def send(self, message: Message) -> None:
        await self.socket.send_bytes(encode(message))

    async def receive(self, message: Message) -> None:
        """Answers a message of the page. A wrong value is reported, and nothing changes."""
        try:
            owner = self if hasattr(self, f"do_{message['type']}") else self.session
            if owner is None:
                raise ValueError("there is no network yet; draw at least 4 points, or choose other settings")
            replies = owner.handle(message)
        except ValueError as error:
            replies = [{"type": "error", "message": str(error)}]
        except Exception:
            log.exception("The playground could not answer %s", str(message)[:200])
            replies = [{"type": "error", "message": "This is a bug of the playground. The terminal has its traceback."}]
        for reply in replies:
            await self.send(reply)
        self.wake.set()

    def do_settings(self, settings: dict[str, Any], session: str | None = None) -> list[Message]:
        """Changes the settings. The first ones of a page start a session, or continue that of a lost connection."""
        sessions = self.playground.sessions
        if self.session is not None:
            return self.session.do_settings(settings)
        if session in sessions and session not in self.playground.connected:
            self.session = sessions[self.name] = sessions.pop(session)
            return self.session.reconnect(settings)
        self.session = sessions[self.name] = Session(Settings(**settings))
        return [self.session.data_message()]

    def do_csv(self, text: str) -> list[Message]:
        return [{"type": "points", **own_points(text)}]

    def do_checkpoints(self, load: str | None = None) -> list[Message]:
        """Lists the networks that can read digits. Loads one of them if it is named."""
        given = self.playground.checkpoint
        paths = {**({str(given): given} if given else {}), **find_checkpoints(RUNS)}
        if load is not None:
            if load not in paths:
                raise ValueError(f"there is no checkpoint {load!r} any more; choose another one")
            self.reader = DigitReader(paths[load])
        return [{"type": "checkpoints", "names": [*paths], "loaded": load}]

    def do_digit(self, pixels: bytes) -> list[Message]:
        if self.reader is None:
            self.reader = DigitReader(self.playground.checkpoint or SHIPPED)
        return [self.reader.read(pixels)]

    async def train(self) -> None:
        """Trains and sends frames until it is cancelled. Waits while there is nothing to do."""
        next_frame = 0.0
        while True:
            session = self.session
            if session is None or not (session.is_playing or session.wants_frame()):
                self.wake.clear()
                await self.wake.wait()
                continue
            try:
                for reply in session.train(SLICE):
                    await self.send(reply)
                if session.wants_frame() and time.perf_counter() >= next_frame:
                    next_frame = time.perf_counter() + FRAME_INTERVAL
                    await self.send(session.frame())
            except ConnectionError:
                return  # the page was closed, which `visit` notices too
            except Exception:
                log.exception("Training failed")
                session.is_playing = False
                await self.send({"type": "error", "message": "Training failed. The terminal has the traceback."})
            wait = (session.due if session.is_playing else next_frame) - time.perf_counter()
            await asyncio.sleep(min(FRAME_INTERVAL, max(0, wait)))
