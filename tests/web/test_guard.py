"""Requests that reach the page, and those that do not."""

import asyncio

from munit_pl.web.guard import Guard


def ask(guard, headers, body=(b"",), kind="http"):
    """Return the status of the answer, or nothing if it never began."""
    sent, parts = [], list(body)

    async def receive():
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message):
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(guard({"type": kind, "headers": raw}, receive, send))
    return sent[0]["status"] if sent else None


def make(seen, most=100):
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            seen.append("lifespan")
            return
        while (message := await receive())["type"] == "http.request":
            seen.append(message["body"])
            if not message["more_body"]:
                await send({"type": "http.response.start", "status": 200, "headers": []})
                return

    return Guard(app, ["shoes.example.org"], most)


def test_only_the_page_itself_asks_and_by_its_own_name():
    guard = make([])
    own = ("localhost:7860", "127.0.0.1:7860", "[::1]:7860", "shoes.example.org", "LOCALHOST")
    for host in own:
        assert ask(guard, {"Host": host}) == 200, host
        assert ask(guard, {"Host": host, "Origin": f"http://{host}"}) == 200, host
    for host in ("evil.example", "localhost.evil.example", ""):
        assert ask(guard, {"Host": host}) == 403, host
    for origin in ("http://evil.example", "null", "http://localhost:80", ""):
        assert ask(guard, {"Host": "localhost:7860", "Origin": origin}) == 403, origin
    assert ask(guard, {"Host": "evil.example"}, kind="websocket") == 403


def test_no_body_is_longer_than_it_may_be_whatever_it_says_of_itself():
    seen = []
    guard = make(seen)
    host = {"Host": "localhost"}
    assert ask(guard, {**host, "Content-Length": "100"}, [b"x" * 60, b"x" * 40]) == 200
    seen.clear()
    assert ask(guard, {**host, "Content-Length": "101"}, [b"x" * 101]) == 413
    assert not seen
    assert ask(guard, host, [b"x" * 60, b"x" * 41, b"x"]) is None
    assert seen == [b"x" * 60]


def test_what_is_no_request_passes():
    seen = []
    assert ask(make(seen), {}, kind="lifespan") is None
    assert seen == ["lifespan"]
