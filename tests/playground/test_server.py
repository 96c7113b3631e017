import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from playground.server import MAX_VISITORS, Playground
from playground.settings import Settings

Client = TestClient[Any, Any]
TestServer.__test__ = TestClient.__test__ = False


def visit(scenario: Callable[[Client, Playground], Awaitable[None]]) -> None:
    """Runs a scenario with a client of a new server."""

    async def run() -> None:
        playground = Playground(Settings(num_samples=40), "127.0.0.1")
        async with TestClient(TestServer(playground.app)) as client:
            await scenario(client, playground)

    asyncio.run(run())


def decode(content: bytes) -> dict[str, Any]:
    """A message without its arrays."""
    return dict(json.loads(content[4 : 4 + int.from_bytes(content[:4], "little")]))


async def receive(socket: Any, kind: str) -> dict[str, Any]:
    """The next message of this type, without its arrays."""
    while True:
        message = await asyncio.wait_for(socket.receive(), 20)
        assert message.type == aiohttp.WSMsgType.BINARY
        found = decode(message.data)
        if found["type"] == "frame":
            await socket.send_json({"type": "seen"})
        if found["type"] == kind:
            return found


async def open_page(client: Client, **values: Any) -> Any:
    """A connection that has received its first frame."""
    socket = await client.ws_connect("/ws")
    await receive(socket, "hello")
    await socket.send_json({"type": "settings", "settings": {"num_samples": 40, **values}})
    await receive(socket, "frame")
    return socket


def test_each_visitor_has_a_network_of_its_own() -> None:
    async def scenario(client: Client, playground: Playground) -> None:
        layers = [[2], [3, 3], [], [5]]
        sockets = [await open_page(client, layers=sizes) for sizes in layers]
        for socket in sockets[:3]:
            await socket.send_json({"type": "play"})
        for socket, sizes in zip(sockets[:3], layers, strict=False):
            epoch = 0
            while epoch < 5:
                frame = await receive(socket, "frame")
                epoch = frame["epoch"]
                assert frame["networks"][0]["layers"] == sizes
        await sockets[3].send_json({"type": "step", "unit": "batch"})
        assert (await receive(sockets[3], "frame"))["batch"] == 1

    visit(scenario)


def test_closed_page_stops_its_training() -> None:
    async def scenario(client: Client, playground: Playground) -> None:
        socket = await open_page(client)
        await socket.send_json({"type": "play"})
        await receive(socket, "frame")
        (session,) = playground.sessions.values()
        await socket.close()
        while playground.connected:
            await asyncio.sleep(0.01)
        epoch = session.networks[0].epoch
        await asyncio.sleep(0.2)
        assert session.networks[0].epoch == epoch

    visit(scenario)


def test_page_that_connects_again_continues_its_training() -> None:
    async def scenario(client: Client, playground: Playground) -> None:
        socket = await client.ws_connect("/ws")
        name = (await receive(socket, "hello"))["session"]
        await socket.send_json({"type": "settings", "settings": {"num_samples": 40}})
        for _ in range(3):
            await socket.send_json({"type": "step", "unit": "epoch"})
        while (await receive(socket, "frame"))["epoch"] < 3:
            pass
        await socket.close()
        while playground.connected:
            await asyncio.sleep(0.01)
        again = await client.ws_connect("/ws")
        await again.send_json({"type": "settings", "settings": {"num_samples": 40}, "session": name})
        frame = await receive(again, "frame")
        assert frame["epoch"] == 3
        assert len(frame["networks"][0]["curve"]) == 4

    visit(scenario)


def test_settings_that_changed_without_a_connection_count_when_the_page_connects_again() -> None:
    async def scenario(client: Client, playground: Playground) -> None:
        socket = await client.ws_connect("/ws")
        name = (await receive(socket, "hello"))["session"]
        await socket.send_json({"type": "settings", "settings": {"num_samples": 40}})
        await receive(socket, "frame")
        await socket.close()
        while playground.connected:
            await asyncio.sleep(0.01)
        again = await client.ws_connect("/ws")
        await again.send_json({"type": "settings", "settings": {"num_samples": 40, "layers": [5]}, "session": name})
        assert (await receive(again, "frame"))["networks"][0]["layers"] == [5]

    visit(scenario)


def test_link_with_wrong_settings_is_reported_once() -> None:
    async def scenario(client: Client, playground: Playground) -> None:
        socket = await client.ws_connect("/ws")
        await socket.send_json({"type": "settings", "settings": {"layers": [99]}})
        await socket.send_json({"type": "settings", "settings": {"num_samples": 40}})
        types = [decode(await socket.receive_bytes())["type"] for _ in range(3)]
        assert types == ["hello", "error", "data"]

    visit(scenario)


def test_wrong_message_is_reported_and_the_page_stays_usable() -> None:
    async def scenario(client: Client, playground: Playground) -> None:
        socket = await open_page(client)
        for message, reason in (
            ({"type": "settings", "settings": {"layers": [99]}}, "1 to 16 neurons"),
            ({"type": "dance"}, "is not a message"),
            ({"type": "speed", "value": 0}, "speed=0 must be 0.1 to 1000"),
            ({"type": "csv", "text": "x,y,class\n1,2,__import__\n1,2,0"}, "__import__"),
        ):
            await socket.send_json(message)
            assert reason in (await receive(socket, "error"))["message"]
        await socket.send_bytes(b"abc")
        assert "size 3 into shape" in (await receive(socket, "error"))["message"]
        await socket.send_json({"type": "step", "unit": "epoch"})
        assert (await receive(socket, "frame"))["epoch"] == 1

    visit(scenario)


def test_page_without_settings_is_told_so_and_can_upload_points() -> None:
    async def scenario(client: Client, playground: Playground) -> None:
        socket = await client.ws_connect("/ws")
        await socket.send_json({"type": "play"})
        assert "draw at least 4 points" in (await receive(socket, "error"))["message"]
        await socket.send_json({"type": "csv", "text": "x,y,class\n1,2,0\n2,1,1\n"})
        assert (await receive(socket, "points"))["points"] == [[1, 2, 0], [2, 1, 1]]

    visit(scenario)


def test_upload_that_is_too_large_ends_the_connection() -> None:
    async def scenario(client: Client, playground: Playground) -> None:
        socket = await open_page(client)
        await socket.send_json({"type": "csv", "text": "x" * 2**20})
        while (message := await socket.receive()).type != aiohttp.WSMsgType.CLOSE:
            pass
        assert message.data == aiohttp.WSCloseCode.MESSAGE_TOO_BIG

    visit(scenario)


def test_too_many_visitors_are_refused() -> None:
    async def scenario(client: Client, playground: Playground) -> None:
        sockets = [await client.ws_connect("/ws") for _ in range(MAX_VISITORS)]
        for socket in sockets:
            await receive(socket, "hello")
        one_more = await client.ws_connect("/ws")
        assert "Close one of them" in (await receive(one_more, "error"))["message"]
        await sockets[0].close()
        while len(playground.connected) == MAX_VISITORS:
            await asyncio.sleep(0.01)
        await receive(await client.ws_connect("/ws"), "hello")

    visit(scenario)


@pytest.mark.parametrize("path", ["/", "/ws", "/static/main.js"])
@pytest.mark.parametrize("headers", [{"Origin": "http://other.example"}, {"Host": "other.example"}, {"Origin": "null"}])
def test_other_websites_are_refused(path: str, headers: dict[str, str]) -> None:
    async def scenario(client: Client, playground: Playground) -> None:
        response = await client.get(path, headers=headers)
        assert response.status == 403
        assert "cannot use the playground" in await response.text()

    visit(scenario)


def test_page_loads_nothing_from_other_hosts() -> None:
    async def scenario(client: Client, playground: Playground) -> None:
        response = await client.get("/")
        assert response.headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert "<title>" in await response.text()

    visit(scenario)
