"""lsp/controls.py, core/status.py and engine/journal.py: what a person switches, asks for and is shown."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from qwen_lsp.core.model import Api, BackendError, Kind, Reason, Route, Service, Skip
from qwen_lsp.core.status import Health, State, Switches, sentence, status
from qwen_lsp.lsp import board, controls
from qwen_lsp.lsp.greeting import COMMANDS
from tests.session_desk import INLINE, URI, Desk, at

EXECUTE = "workspace/executeCommand"
MINE = {"provider": "openai", "model": "m", "baseUrl": "http://127.0.0.1:1/v1"}
LISTENING = {"capabilities": {"experimental": {"qwenStatus": True}, "textDocument": {"inlineCompletion": {}}}}
SERVICE = Service("openai", "http://127.0.0.1:1/v1", "qwen", Route.FIM, Api.COMPLETIONS)


@pytest.fixture
async def desk() -> Desk:
    return Desk()


@pytest.fixture
def five_to_two(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """It is 13:55, two hours east of Greenwich."""
    monkeypatch.setenv("TZ", "EET-2")
    time.tzset()
    now = 1_000_000.0 - (1_000_000 % 86_400) + 11 * 3600 + 55 * 60
    desk.server._controls._clock = desk.server._controls._wall = lambda: now
    yield
    monkeypatch.undo()
    time.tzset()


async def run(desk: Desk, command: str, *arguments: Any) -> Any:
    return await desk.ask(EXECUTE, {"command": command, "arguments": list(arguments)})


async def refused(desk: Desk, command: object, *arguments: Any) -> str:
    reply = await desk.reply(desk.request(EXECUTE, {"command": command, "arguments": list(arguments)}))
    assert reply["error"]["code"] == -32602
    return reply["error"]["message"]


async def shown(desk: Desk) -> bool:
    return bool((await desk.ask(INLINE, at(0, 4)))["items"])


@pytest.mark.parametrize("command", COMMANDS)
async def test_every_command_that_is_announced_is_there(desk, command):
    """Each is answered, or says what it takes."""
    desk.begin()
    reply = await desk.reply(desk.request(EXECUTE, {"command": command}))
    assert "result" in reply or reply["error"]["message"].startswith(f"{command}: ")


async def test_what_is_no_command_is_refused_with_the_list_of_those_there_are(desk):
    """One line that helps; nothing else happens."""
    desk.begin()
    for wrong in ("qwen.nonsense", 7, None):
        assert "qwen.why" in await refused(desk, wrong)
    reply = await desk.reply(desk.request(EXECUTE, {"command": "qwen.snooze", "arguments": 3}))
    assert reply["error"]["code"] == -32602


async def test_pause_and_resume(desk):
    """While paused no engine is asked, and the reason is named; afterwards it is as before."""
    desk.begin()
    assert await shown(desk)
    assert (await run(desk, "qwen.pause"))["state"] == "paused"
    assert not await shown(desk)
    assert len(desk.engine.requests) == 1
    assert (await run(desk, "qwen.why", URI))["reason"] == "paused"
    assert (await run(desk, "qwen.resume"))["state"] == "ready"
    assert await shown(desk)


async def test_toggle_goes_back_and_forth_also_from_off(desk):
    """Turned off in the settings, the switch turns it on for this session."""
    desk.begin(initializationOptions={"enabled": False})
    assert (await run(desk, "qwen.status"))["state"] == "off"
    for state in ("ready", "paused", "ready"):
        assert (await run(desk, "qwen.toggle"))["state"] == state
    assert await shown(desk)


async def test_a_snooze_ends_by_itself(desk):
    """Five minutes if nothing else is said; the status tells until when."""
    now = 1_000_000.0
    desk.server._controls._clock = desk.server._controls._wall = lambda: now
    desk.begin()
    answer = await run(desk, "qwen.snooze")
    assert (answer["state"], answer["until"]) == ("paused", "1970-01-12T13:51:40+00:00")
    assert not await shown(desk)
    now += 301
    assert await shown(desk)
    assert (await run(desk, "qwen.status"))["until"] is None


@pytest.mark.parametrize("minutes", [0, -1, "5", True, float("inf"), 1e9, None])
async def test_a_snooze_of_no_length_is_refused(desk, minutes):
    """Minutes are a number up to a day."""
    desk.begin()
    said = await refused(desk, "qwen.snooze", minutes)
    assert said == "qwen.snooze: minutes are a number from above 0 to 1440"
    assert (await run(desk, "qwen.status"))["state"] == "ready"


@pytest.mark.parametrize(
    ("command", "texts"),
    [
        (("qwen.pause",), ["paused until you resume"]),
        (("qwen.resume",), ["resumed"]),
        (("qwen.toggle",), ["paused until you resume", "resumed"]),
        (("qwen.snooze", 10), ["paused until 14:05"]),
        (("qwen.snooze", 1440), ["paused until 13:55 tomorrow"]),
        (("qwen.toggleFile", URI), ["off for this file in this session", "on for this file"]),
        (
            ("qwen.toggleLanguage", "python"),
            [
                "off for python in this session; to make it last: qwen.disabledLanguages",
                "on for python in this session; to make it last: qwen.disabledLanguages",
            ],
        ),
        (("qwen.clearCache",), ["all answers are forgotten, and the service is looked for anew"]),
    ],
)
async def test_a_switch_says_what_it_has_done(desk, five_to_two, command, texts):
    """In a sentence for a person, each time that it is used; the time of day is the person's."""
    desk.begin()
    assert [(await run(desk, *command))["text"] for _ in texts] == texts


@pytest.mark.parametrize(
    ("how", "text"),
    [
        (("qwen.pause",), "on for this file, but all is paused until you resume"),
        (("qwen.snooze", 5), "on for this file, but all is paused until 14:00"),
        (None, "on for this file, but all is off (`qwen.enabled`)"),
    ],
)
async def test_a_part_that_is_turned_on_while_all_is_off(desk, five_to_two, how, text):
    """What keeps it from being completed nevertheless is said."""
    desk.begin(initializationOptions={"enabled": how is not None})
    if how:
        await run(desk, *how)
    assert (await run(desk, "qwen.toggleFile", URI))["text"] == "off for this file in this session"
    assert (await run(desk, "qwen.toggleFile", URI))["text"] == text


@pytest.mark.parametrize(
    ("options", "use", "who", "text"),
    [
        (MINE, None, ("openai", "m"), "ready; nothing asked yet (provider openai, model m by the settings)"),
        (
            {"provider": "local"},
            None,
            ("local", ""),
            "ready; nothing asked yet (provider local, its default model by the settings)",
        ),
        ({}, None, ("", ""), "ready; nothing asked yet (provider auto by the settings)"),
        (
            MINE,
            ("local", "0.5b"),
            ("local", "0.5b"),
            "ready; nothing asked yet (provider local, model 0.5b for this session)",
        ),
        (MINE, ("auto",), ("", "m"), "ready; nothing asked yet (provider auto, model m for this session)"),
        (MINE, (), ("openai", "m"), "ready; nothing asked yet (provider openai, model m by the settings)"),
    ],
)
async def test_before_a_service_is_found_the_status_says_who_is_meant(desk, options, use, who, text):
    """As the settings or the session have it, and as `qwen.use` answers."""
    desk.begin(initializationOptions=options)
    if use is not None:
        await run(desk, "qwen.use", "dashscope", "qwen3-coder-flash")
        assert text == f"ready; nothing asked yet ({(await run(desk, 'qwen.use', *use))['text']})"
    answer = await run(desk, "qwen.status")
    assert ((answer["provider"], answer["model"]), answer["text"]) == (who, text)


@pytest.mark.parametrize(
    ("health", "switches", "text"),
    [
        (Health(SERVICE, latency=0.2), Switches(), "ready; openai, qwen; first text after 200 ms"),
        (Health(SERVICE), Switches(paused=True), "paused until you resume; openai, qwen"),
        (Health(SERVICE, BackendError(Kind.AUTH, "wrong key")), Switches(), "error; wrong key; openai, qwen"),
        (
            Health(None, BackendError(Kind.CONFIG, "no key")),
            Switches(),
            "error; no key; provider dashscope, its default model by the settings",
        ),
    ],
)
def test_the_status_in_a_line(health, switches, text):
    """How it stands, why, who completes."""
    now = status(health, switches, enabled=True, busy=False, now=0.0, meant=("dashscope", ""))
    assert sentence(now) == text


async def test_a_language_is_switched_off_and_on_without_a_new_engine(desk):
    """The engine takes it as it runs: nothing that it knows is lost."""
    desk.begin(initializationOptions={"disabledLanguages": ["markdown"]})
    assert await shown(desk)
    await run(desk, "qwen.toggleLanguage", "python")
    assert desk.engine.settings.disabled_languages == ["markdown", "python"]
    await run(desk, "qwen.toggleLanguage", "markdown")
    await run(desk, "qwen.toggleLanguage", "python")
    assert desk.engine.settings.disabled_languages == []
    assert len(desk.engines) == 1
    assert "language id" in await refused(desk, "qwen.toggleLanguage", 5)


async def test_a_file_is_switched_off_and_on(desk):
    """That file and no other, for this session."""
    desk.begin()
    await run(desk, "qwen.toggleFile", "file:///other.py")
    assert await shown(desk)
    await run(desk, "qwen.toggleFile", URI)
    assert not await shown(desk)
    assert (await run(desk, "qwen.why", URI))["reason"] == "file"
    await run(desk, "qwen.toggleFile", URI)
    assert await shown(desk)
    assert "URI" in await refused(desk, "qwen.toggleFile", None)


async def test_why_before_anything_was_asked(desk):
    """Says so, and what an editor does."""
    desk.begin()
    assert await run(desk, "qwen.why") == {
        "text": "Nothing has been asked for here yet: the editor asks while you type.",
        "reason": None,
        "setting": None,
    }


@pytest.mark.parametrize("reason", set(Reason) - {Reason.SUPERSEDED, Reason.CANCELLED})
async def test_why_names_each_reason_and_the_setting_that_would_change_it(desk, reason):
    """The sentence of the README's table, and what the service said."""
    desk.begin()
    await shown(desk)
    desk.engine.says = lambda _request: Skip(reason, "the key is wrong; set another")
    await shown(desk)
    answer = await run(desk, "qwen.why", URI)
    assert answer["reason"] == reason.value
    assert answer["text"] == reason.sentence.rstrip(".") + ": the key is wrong; set another"
    assert answer["setting"] == reason.setting
    if answer["setting"]:
        assert answer["setting"] in reason.sentence


async def test_why_is_about_the_document_and_about_what_a_person_has_seen(desk):
    """Requests that newer ones have overtaken are no answer, nor are those of other documents."""
    desk.begin()
    await shown(desk)
    for reason in (Reason.SUPERSEDED, Reason.CANCELLED):
        desk.engine.says = lambda _request, reason=reason: Skip(reason)
        await desk.ask(INLINE, at(0, 4))
    assert (await run(desk, "qwen.why", URI))["text"].startswith("A suggestion was shown after")
    assert (await run(desk, "qwen.why"))["reason"] is None
    assert "Nothing has been asked" in (await run(desk, "qwen.why", "file:///b.py"))["text"]


async def test_statistics_count_what_happened(desk):
    """Requests, what was shown and accepted, why it was silent, what the model wrote."""
    desk.begin()
    await shown(desk)
    await shown(desk)
    await run(desk, "qwen.accepted", URI, "1")
    desk.engine.says = lambda _request: Skip(Reason.EMPTY)
    await shown(desk)
    figures = await run(desk, "qwen.statistics")
    assert {k: figures[k] for k in ("requests", "shown", "accepted", "silent", "model", "tokens")} == {
        "requests": 3,
        "shown": 2,
        "accepted": 1,
        "silent": {"empty": 1},
        "model": 3,
        "tokens": 7,
    }
    assert figures["text"].splitlines()[0] == "3 requests, 2 suggestions shown, 1 accepted"


async def test_statistics_are_of_the_whole_session(desk):
    """Also of the engines that other settings, another provider or a cleared cache have ended."""
    desk.begin(initializationOptions=MINE)
    await shown(desk)
    await run(desk, "qwen.use", "local")
    assert (await run(desk, "qwen.statistics"))["model"] == 1
    await shown(desk)
    await shown(desk)
    await run(desk, "qwen.clearCache")
    await shown(desk)
    desk.notify("workspace/didChangeConfiguration", {"settings": {"qwen": {"maxTokens": 9}}})
    await shown(desk)
    desk.server.renew()  # as after a model was fetched
    await shown(desk)
    assert len(desk.engines) == 5
    figures = await run(desk, "qwen.statistics")
    assert (figures["requests"], figures["model"], figures["tokens"]) == (6, 6, 35)


@pytest.mark.parametrize("command", [("qwen.use", "local"), ("qwen.clearCache",)])
async def test_statistics_count_what_was_asked_ahead_too(desk, command):
    """Up to the command that ends the engine."""
    desk.begin(initializationOptions=MINE)
    await shown(desk)
    desk.engine.requests *= 3
    await run(desk, *command)
    assert (await run(desk, "qwen.statistics"))["model"] == 3


async def test_statistics_speak_of_one_thing_as_of_one(desk):
    """And of more as of more."""
    desk.begin()
    await shown(desk)
    first, second, _ = (await run(desk, "qwen.statistics"))["text"].splitlines()
    assert first == "1 request, 1 suggestion shown, 0 accepted"
    assert second == "the model was asked 1 time and wrote 7 tokens"


async def test_the_status_is_told_on_each_change_and_only_then(desk):
    """Ready at first, paused when switched, ready again; completing in between tells nothing new."""
    desk.begin(**LISTENING)
    await shown(desk)
    await shown(desk)
    await run(desk, "qwen.pause")
    await run(desk, "qwen.resume")
    assert [told["state"] for told in desk.statuses()] == ["ready", "paused", "ready"]


async def test_a_client_that_does_not_know_the_status_is_not_told(desk):
    """Editors warn of notifications they do not know."""
    desk.begin()
    await shown(desk)
    await run(desk, "qwen.pause")
    assert desk.statuses() == []


async def test_a_model_at_work_is_told_when_it_takes_a_while(desk):
    """Busy, then ready: what is answered at once does not flicker."""
    desk.begin(**LISTENING)
    await shown(desk)
    desk.engine.go.clear()
    ident = desk.request(INLINE, at(0, 4))
    while len(desk.statuses()) < 2:  # noqa: ASYNC110 - told after a while, by no event
        await asyncio.sleep(0.01)
    desk.engine.go.set()
    await desk.reply(ident)
    assert [told["state"] for told in desk.statuses()] == ["ready", "busy", "ready"]


@pytest.mark.parametrize(
    ("health", "switches", "options", "state", "reason"),
    [
        (Health(SERVICE), Switches(), {}, State.READY, ""),
        (Health(SERVICE), Switches(), {"busy": True}, State.BUSY, ""),
        (Health(), Switches(paused=True), {"busy": True}, State.PAUSED, Reason.PAUSED.sentence),
        (Health(), Switches(paused=True, until=99.0), {}, State.READY, ""),
        (Health(), Switches(paused=True), {"enabled": False}, State.OFF, Reason.DISABLED.sentence),
        (Health(SERVICE, BackendError(Kind.AUTH, "wrong key")), Switches(), {}, State.ERROR, "wrong key"),
        (Health(SERVICE, BackendError(Kind.RATE, "slower")), Switches(), {"busy": True}, State.WARNING, "slower"),
    ],
)
def test_the_status_says_the_most_important_thing(health, switches, options, state, reason):
    """What a person has chosen goes before what a service does, and trouble before work."""
    found = status(health, switches, **({"enabled": True, "busy": False, "now": 100.0} | options))
    assert (found.state, found.reason) == (state, reason)
    assert found.model == (health.service.model if health.service else "")


@pytest.mark.parametrize(
    ("health", "switches", "options", "command"),
    [
        (Health(SERVICE), Switches(), {}, None),
        (Health(), Switches(paused=True), {}, ("qwen.resume", ())),
        (Health(), Switches(), {"enabled": False}, ("qwen.resume", ())),
        (Health(SERVICE, BackendError(Kind.AUTH, "wrong key")), Switches(), {}, ("qwen.why", ())),
        (Health(None, BackendError(Kind.MODEL, "x", lacks="m")), Switches(), {}, ("qwen.fetchModel", ("m",))),
    ],
)
def test_the_status_names_the_command_that_helps(health, switches, options, command):
    """For the editor's button: what ends a pause, what fetches a model that is lacking, what says more."""
    found = status(health, switches, **({"enabled": True, "busy": False, "now": 100.0} | options)).remedy
    assert (found and (found.command, found.arguments)) == command
    assert found is None or found.command in COMMANDS


async def test_editors_get_the_command_as_lsp_has_commands(desk):
    """A title, a name, arguments."""
    desk.begin(**LISTENING)
    await run(desk, "qwen.pause")
    assert desk.statuses()[-1]["command"] == {"title": "Resume", "command": "qwen.resume", "arguments": []}
    await run(desk, "qwen.resume")
    assert desk.statuses()[-1]["command"] is None


async def test_the_ledger_hears_of_requests_and_of_what_became_of_suggestions(desk):
    """Shown, then in the document in one step: taken. Nothing of the text is told, only the language."""
    desk.begin()
    await shown(desk)
    desk.type(0, 4, "hello()")
    desk.engine.says = lambda _request: Skip(Reason.EMPTY)
    await desk.ask(INLINE, at(0, 11))
    assert desk.counted == [
        ("python", {"requests": 1, "shown": 1}),
        ("python", {"accepted": 1}),
        ("python", {"requests": 1, "shown": 0}),
    ]


@pytest.mark.parametrize(("edit", "kept"), [((1, 0, "print(x)\n"), True), ((0, 6, "oops"), False)])
async def test_what_was_taken_is_looked_at_again(desk, monkeypatch, edit, kept):
    """Half a minute later it counts as kept if it still stands there."""
    monkeypatch.setattr(controls, "KEPT_AFTER", 0.01)
    desk.begin()
    await shown(desk)
    desk.type(0, 4, "hello()")
    await desk.ask(INLINE, at(0, 11))
    desk.type(*edit)
    await asyncio.sleep(0.05)
    assert (("python", {"kept": 1}) in desk.counted) is kept


@pytest.mark.parametrize(
    ("client", "told"),
    [("helix", ["qwen-lsp: paused until you resume"]), ("Neovim", [])],
)
async def test_an_editor_that_shows_no_results_is_told_in_a_message(desk, client, told):
    """Helix runs commands and drops what they answer."""
    desk.begin(clientInfo={"name": client})
    await run(desk, "qwen.pause")
    assert desk.told() == told


async def test_inspect_shows_what_led_to_the_last_answer(desk):
    """What a person saw last, not a request that a newer one has overtaken."""
    desk.begin()
    assert "Nothing has been asked" in (await run(desk, "qwen.inspect"))["text"]
    await shown(desk)
    desk.engine.says = lambda _request: Skip(Reason.SUPERSEDED)
    await desk.ask(INLINE, at(0, 4))
    assert (await run(desk, "qwen.inspect"))["text"].startswith("# A suggestion\n\n```\nhello()\n```\n")
    desk.engine.says = lambda _request: Skip(Reason.ERROR, "the key is wrong")
    await shown(desk)
    assert (await run(desk, "qwen.inspect"))["text"].startswith(
        "# Nothing was shown: error\n\nThe service failed. the key is wrong\n"
    )


async def test_another_provider_for_this_session(desk):
    """With a model or its default; without arguments what the settings say."""
    desk.begin(initializationOptions={"provider": "openai", "model": "m", "baseUrl": "http://127.0.0.1:1/v1"})
    await shown(desk)
    await run(desk, "qwen.use", "local", "qwen2.5-coder-0.5b")
    await shown(desk)
    assert (desk.engine.settings.provider, desk.engine.settings.model) == ("local", "qwen2.5-coder-0.5b")
    await run(desk, "qwen.use")
    await shown(desk)
    assert (desk.engine.settings.provider, desk.engine.settings.model) == ("openai", "m")
    assert "provider" in await refused(desk, "qwen.use", "nobody")
    assert "takes a provider" in await refused(desk, "qwen.use", 5)


async def test_clearing_the_cache_begins_anew(desk):
    """A new engine, which knows no answers; the old one is closed, its model stays loaded."""
    desk.begin()
    await shown(desk)
    await run(desk, "qwen.clearCache")
    await shown(desk)
    assert len(desk.engines) == 2
    assert "close, lingering" in desk.engines[0].told


async def test_with_the_cache_the_trouble_is_forgotten(desk):
    """The editor is told so at once: the service is looked for anew."""
    desk.begin(**LISTENING)
    await shown(desk)
    desk.engine.is_well = Health(SERVICE, BackendError(Kind.AUTH, "wrong key"))
    await shown(desk)
    await run(desk, "qwen.clearCache")
    assert [told["state"] for told in desk.statuses()] == ["ready", "error", "ready"]


async def test_the_board_hears_how_the_session_stands(monkeypatch):
    """At once, then at most once in a while with what came last; gone with the session."""
    monkeypatch.setattr(board, "TOLD_EVERY", 0.2)
    desk = Desk()
    desk.begin(clientInfo={"name": "Helix"}, initializationOptions=MINE)
    await asyncio.sleep(0.01)
    (standing,) = desk.standings
    assert (standing["state"], standing["editor"], standing["requests"]) == ("ready", "helix", 0)
    assert standing["provider"] == ""
    for _ in range(3):
        await shown(desk)
        await asyncio.sleep(0.01)
    await run(desk, "qwen.pause")
    await asyncio.sleep(0.01)
    await shown(desk)
    await asyncio.sleep(0.3)
    assert len(desk.standings) < 4
    standing = desk.standings[-1]
    assert (standing["state"], standing["editor"], standing["requests"]) == ("paused", "helix", 4)
    assert standing["why"].startswith("Completion is paused")
    await desk.server.stop()
    assert desk.standings[-1] == {}


async def test_the_board_hears_of_a_session_that_has_just_begun(desk):
    """Of the editor's name, before that has said anything else; the editor itself is told nothing so early."""
    desk.server._controls.begin("helix", listening=True)
    await asyncio.sleep(0.01)
    assert [(standing["state"], standing["editor"]) for standing in desk.standings] == [("ready", "helix")]
    assert desk.statuses() == []


async def test_nothing_is_told_after_the_end(desk):
    """An answer that comes while the session is being closed does not bring its file back."""
    desk.begin()
    await asyncio.sleep(0.01)
    desk.server._controls.close()
    desk.server._controls.changed()
    await asyncio.sleep(0.01)
    assert desk.standings[-1] == {}


async def test_the_last_requests_are_kept_without_their_text(desk):
    """250 of them, the last first: what became of each, how long it took, in how large a document."""
    desk.begin("canary = \nrest\n")
    assert (await desk.ask(INLINE, at(0, 9)))["items"]
    desk.engine.says = lambda _request: Skip(Reason.EMPTY)
    for _ in range(255):
        await desk.ask(INLINE, at(0, 9))
    records = (await run(desk, "qwen.records"))["records"]
    assert len(records) == 250
    assert records[0] | {"ms": 0} == {"uri": URI, "language": "python", "outcome": "empty", "ms": 0, "lines": 3}
    assert "canary" not in str(records)
    assert (await run(desk, "qwen.statistics"))["requests"] == 256
