"""What the doctor says of set-ups that are well, and of broken ones: which check it is, and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qwen_lsp.core.questions import Heard, stopped
from qwen_lsp.doctor.examine import CHECKS
from qwen_lsp.doctor.findings import Status
from tests.doctor.patients import KEY, changed, chatting, deaf, patient, seen_by, told, unstreamed, well
from tests.fake_dashscope import FAILURES, Answer, FakeService, Fault, Received
from tests.tls import relayed

PATHS = {"/v1/completions", "/v1/chat/completions", "/v1/models", "/slots"}


async def test_a_service_that_is_well_has_nothing_to_be_mended(tmp_path: Path) -> None:
    """Every check of the service is ok, in order, within the 2,000 tokens that were said."""
    async with FakeService(key=KEY, default=well) as fake:
        fake.overrides["/slots"] = Answer(body=b'[{"id": 0, "is_processing": false}]')
        seen = await seen_by(fake, tmp_path)
    assert seen.wrong == {}
    assert list(seen.findings) == [check.name for check in CHECKS]
    service = {name for name, each in seen.findings.items() if each.status is Status.OK}
    assert service == set(seen.findings) - {"tls", "embedded model", "editors"}
    assert {request.path for request in fake.requests} == PATHS
    counted = sum(len(request.body) // 4 for request in fake.generations)
    assert counted <= seen.case.asker.spent <= 2000
    assert seen["speed"].data["tries"] == 3
    assert seen["speed"].data["tokensPerSecond"] > 0
    assert seen["context cache"].data["cached"] == 256
    learned = seen.case.learned
    assert (learned.fim, learned.partial, learned.stops, learned.streams, learned.cached) == (True, True, 4, True, 256)
    assert (learned.leaks, learned.echoes, learned.fences) == (False, False, False)


@pytest.mark.parametrize(("region", "route"), [("cn-beijing", "fim"), ("ap-southeast-1", "partial")])
async def test_dashscope_is_looked_at_by_the_route_of_its_region(tmp_path: Path, region: str, route: str) -> None:
    """The region of the key is found; elsewhere than in Beijing partial mode is asked, and FIM is not."""
    async with FakeService(key=KEY, region=region, default=well) as fake, FakeService(key="other") as other:
        hosts = {region: fake.dashscope}
        env = {"DASHSCOPE_API_KEY": KEY}
        async with patient(tmp_path, env=env, hosts=lambda name, _: hosts.get(name, other.dashscope)) as case:
            seen = await told(case)
    assert seen.wrong == {}
    assert seen["provider"].data["route"] == route
    assert seen["key"].data == {"source": "DASHSCOPE_API_KEY", "region": region}
    assert seen["fim"].status is (Status.OK if route == "fim" else Status.SKIPPED)
    assert seen["partial mode"].status is Status.OK
    assert case.asker.spent <= 2000
    paths = {request.path.removeprefix("/compatible-mode/v1") for request in fake.generations}
    assert ("/completions" in paths) is (route == "fim")


# --- The way to the service


async def test_a_wrong_key_is_told_as_that(tmp_path: Path) -> None:
    """A key that no region takes: the key is to be copied again, and nothing else is called broken."""
    async with FakeService(key="another") as fake:
        env = {"DASHSCOPE_API_KEY": KEY}
        async with patient(tmp_path, env=env, hosts=lambda *_: fake.dashscope) as case:
            seen = await told(case)
            again = case.asker.requests
    assert seen.wrong == {"key": "error"}
    assert "refuses the key in every region" in seen["key"].said
    assert "DASHSCOPE_API_KEY" in seen["key"].fix
    assert again == 0


async def test_a_key_of_another_region_is_told_with_the_region_it_belongs_to(tmp_path: Path) -> None:
    """The region is set to one that refuses the key, and another takes it: the doctor says which."""
    async with FakeService(key=KEY) as beijing, FakeService(key="other", region="us-east-1") as elsewhere:
        hosts = {"cn-beijing": beijing.dashscope}
        env = {"DASHSCOPE_API_KEY": KEY}
        chosen = {"hosts": lambda name, _: hosts.get(name, elsewhere.dashscope), "region": "us-east-1"}
        async with patient(tmp_path, env=env, **chosen) as case:
            seen = await told(case)
    assert seen.wrong == {"key": "error"}
    assert "DASHSCOPE_API_KEY is a key of region cn-beijing, and region us-east-1 is asked" in seen["key"].said
    assert "set qwen.region to cn-beijing" in seen["key"].fix


async def test_a_key_that_is_missing_is_told_with_where_to_put_it(tmp_path: Path) -> None:
    """DashScope without a key, and another server that wants one."""
    async with patient(tmp_path, provider="dashscope") as case:
        seen = await told(case)
    assert seen.wrong == {"key": "error"}
    assert "DASHSCOPE_API_KEY" in seen["key"].fix
    async with FakeService(key="wanted") as fake, patient(tmp_path, base_url=fake.openai, model="m") as case:
        seen = await told(case)
    assert seen.wrong == {"key": "error"}
    assert "QWEN_LSP_API_KEY" in seen["key"].fix


async def test_a_key_that_was_copied_badly_is_told_as_that(tmp_path: Path) -> None:
    """It is sent nowhere, and it is not the connection that is broken."""
    async with FakeService() as fake:
        env = {"DASHSCOPE_API_KEY": f"{KEY} \u201d"}
        async with patient(tmp_path, env=env, hosts=lambda *_: fake.dashscope) as case:
            seen = await told(case)
    assert seen.wrong == {"key": "error"}
    assert "characters that no key has" in seen["key"].said
    assert fake.requests == []


@pytest.mark.parametrize("offline", [True, False])
async def test_a_key_of_the_coding_plan_at_another_host_is_told_as_the_wrong_kind(
    tmp_path: Path, *, offline: bool
) -> None:
    """Such keys have hosts of their own; that is seen even without asking."""
    async with FakeService(key="other") as fake:
        env = {"DASHSCOPE_API_KEY": f"sk-sp-{KEY}"}
        base_url = "https://dashscope.aliyuncs.com/compatible-mode/v1" if offline else fake.dashscope
        plan = {"cn-beijing": "https://coding.dashscope.aliyuncs.com/v1"}
        chosen = {"offline": offline, "plan_hosts": plan, "provider": "dashscope", "base_url": base_url}
        async with patient(tmp_path, env=env, hosts=lambda *_: fake.dashscope, **chosen) as case:
            seen = await told(case)
    assert seen.wrong == {"key": "error"}
    assert "Coding Plan" in seen["key"].said
    assert "coding.dashscope.aliyuncs.com" in seen["key"].fix


@pytest.mark.parametrize("name", ["qwen2.5-coder-7b", "zz"])
async def test_a_model_that_is_missing_is_told_with_one_that_is_there(tmp_path: Path, name: str) -> None:
    """The nearest of the names that the service lists is proposed, or the one that completes code best."""
    async with FakeService(key=KEY, models=("llama", "qwen2.5-coder-7b-instruct")) as fake:
        seen = await seen_by(fake, tmp_path, model=name, route="fim")
    assert seen.wrong == {"model": "error"}
    assert f"no model {name}" in seen["model"].said
    assert "such as qwen2.5-coder-7b-instruct" in seen["model"].fix


async def test_nothing_listening_is_told_as_that(tmp_path: Path) -> None:
    """The address stands in the finding, and all that needs an answer is skipped."""
    async with patient(tmp_path, base_url="http://127.0.0.1:9/v1", model="m") as case:
        seen = await told(case)
    assert seen.wrong == {"reachability": "error"}
    assert "nothing answers at http://127.0.0.1:9" in seen["reachability"].said
    assert "start the server" in seen["reachability"].fix
    assert seen["streaming"].status is Status.SKIPPED


async def test_something_else_than_a_model_server_is_told_as_that(tmp_path: Path) -> None:
    """A web page is an answer, but not one of a model."""
    async with FakeService() as fake:
        fake.overrides["/v1/completions"] = Answer(body=b"<html>hello</html>", headers={"Content-Type": "text/html"})
        seen = await seen_by(fake, tmp_path)
    assert seen.wrong == {"model": "error"}
    assert "check qwen.baseUrl" in seen["model"].fix


async def test_a_certificate_that_is_not_trusted_is_told_with_its_fault(tmp_path: Path) -> None:
    """It is TLS that is wrong, not the connection; SSL_CERT_FILE is what to set."""
    async with (
        FakeService(key=KEY) as fake,
        relayed(fake.port, tmp_path) as port,
        patient(tmp_path, base_url=f"https://127.0.0.1:{port}/v1", model="m") as case,
    ):
        seen = await told(case)
    assert seen.wrong == {"tls": "error"}
    assert seen["reachability"].status is Status.OK
    assert "not trusted (self-signed certificate)" in seen["tls"].said.replace("self signed", "self-signed")
    assert "SSL_CERT_FILE" in seen["tls"].fix
    assert fake.requests == []


async def test_local_only_lets_nothing_go_elsewhere(tmp_path: Path) -> None:
    """The doctor is held by qwen.localOnly as the server is, and says so."""
    async with patient(tmp_path, base_url="https://models.example/v1", model="m", local_only=True) as case:
        seen = await told(case)
    assert seen.wrong == {"reachability": "error"}
    assert "qwen.localOnly is on and https://models.example is not this machine" in seen["reachability"].said


async def test_an_address_that_is_none_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    """Told with the provider, since no way leads anywhere."""
    async with patient(tmp_path, base_url="localhost:8080") as case:
        seen = await told(case)
    assert seen.wrong == {"provider": "error"}
    assert "qwen.baseUrl" in seen["provider"].said


async def test_a_password_in_an_address_is_not_shown(tmp_path: Path) -> None:
    """Neither of the base URL nor of the proxy."""
    env = {"HTTPS_PROXY": f"http://me:{KEY}@127.0.0.1:9"}
    async with patient(tmp_path, env=env, base_url=f"https://me:{KEY}@models.example/v1", model="m") as case:
        seen = await told(case)  # which looks for the key in every line
    assert "the proxy http://127.0.0.1:9" in seen["reachability"].said + seen["reachability"].fix


# --- What it does with a question


async def test_a_chat_model_that_ignores_fim_is_told_as_that(tmp_path: Path) -> None:
    """Fences and sentences instead of code: the route or the model is to be changed, and the server learns it."""
    async with FakeService(key=KEY, default=chatting) as fake:
        seen = await seen_by(fake, tmp_path)
    assert seen["fim"].status is Status.ERROR
    assert "fence or sentences" in seen["fim"].said
    assert "qwen.route to partial" in seen["fim"].fix
    assert seen["echo, fences"].status is Status.WARNING
    assert (seen.case.learned.fim, seen.case.learned.fences) == (False, True)


async def test_a_server_that_makes_the_prompt_itself_is_well(tmp_path: Path) -> None:
    """As Ollama: a raw prompt becomes a chat's, `suffix` does what is wanted. All else is then asked that way."""

    def template(request: Received) -> Answer | str:
        return well(request) if "suffix" in request.json else chatting(request)

    async with FakeService(key=KEY, default=template) as fake:
        seen = await seen_by(fake, tmp_path)
    assert seen.wrong == {}
    assert "suffix" in seen["fim"].said
    assert (seen.case.learned.fim, seen.case.learned.suffix, seen.case.learned.fences) == (False, True, False)


async def test_a_chat_model_that_continues_takes_the_place_of_fim(tmp_path: Path) -> None:
    """As in the server; a coder would be better, and that is said."""

    def chat(request: Received) -> Answer | str:
        return well(request) if "messages" in request.json else chatting(request)

    async with FakeService(key=KEY, default=chat) as fake:
        seen = await seen_by(fake, tmp_path)
    assert seen.wrong == {"fim": "warning"}
    assert "in its place" in seen["fim"].said
    assert (seen["partial mode"].status, seen["partial mode"].data["used"]) == (Status.OK, True)


async def test_a_chat_that_begins_anew_is_told_as_that(tmp_path: Path) -> None:
    """Partial mode that repeats what stands before the cursor is none."""
    again = 'def add(a, b):\n    """The sum of a and b."""\n    return a + b\n'
    async with FakeService(key=KEY, default=again) as fake:
        seen = await seen_by(fake, tmp_path, route="partial")
    assert seen["partial mode"].status is Status.ERROR
    assert "begins anew" in seen["partial mode"].said
    assert seen["echo, fences"].status is Status.WARNING
    assert (seen.case.learned.partial, seen.case.learned.echoes) == (False, True)


async def test_control_tokens_in_an_answer_are_a_warning(tmp_path: Path) -> None:
    """The answer fits but for them: FIM works, the server lets tokens through."""
    async with FakeService(key=KEY, default=changed(text="4711<|fim_pad|>")) as fake:
        seen = await seen_by(fake, tmp_path)
    assert seen["fim"].status is Status.WARNING
    assert (seen.case.learned.fim, seen.case.learned.leaks) == (True, True)


async def test_a_service_that_does_not_stream_is_told_as_that(tmp_path: Path) -> None:
    """One piece for a whole answer."""
    async with FakeService(key=KEY, default=unstreamed) as fake:
        seen = await seen_by(fake, tmp_path)
    assert seen.wrong == {"streaming": "warning"}
    assert "does not stream" in seen["streaming"].said
    assert seen["cancel"].status is Status.SKIPPED
    assert seen.case.learned.streams is False


async def test_a_service_that_ignores_stops_is_told_as_that(tmp_path: Path) -> None:
    """With one stop string as with four."""
    async with FakeService(key=KEY, default=deaf) as fake:
        seen = await seen_by(fake, tmp_path)
    assert seen.wrong == {"stops": "warning"}
    assert seen.case.learned.stops == 0


def test_an_answer_that_never_came_to_the_stop_string_says_nothing() -> None:
    """Neither one that does not count, nor one that was cut before; a stop string left at the end was honoured."""
    said = {" 6, 7, 8": True, " 6, 7, 8, 9": True, " 6, 7, 8, 9, 10": False, "x = 8": None, " 6, 7": None}
    assert {text: stopped(Heard(text, finish="stop")) for text in said} == said
    assert stopped(Heard(" 6, 7, 8", finish="length")) is None


async def test_a_service_that_takes_one_stop_only_is_told_as_that(tmp_path: Path) -> None:
    """Four are refused, one is honoured."""

    def one(request) -> Answer:
        return well(request) if len(request.json.get("stop", [])) < 4 else FAILURES["parameters"]

    def few(request) -> Answer:
        return well(request) if "harbour" in str(request.json) else one(request)

    async with FakeService(key=KEY, default=few) as fake:
        seen = await seen_by(fake, tmp_path)
    assert seen["stops"].status is Status.OK
    assert seen.case.learned.stops == 1


async def test_a_server_that_works_on_for_nobody_is_told_as_that(tmp_path: Path) -> None:
    """Where the server shows what its slots do."""
    async with FakeService(key=KEY, default=well) as fake:
        fake.overrides["/slots"] = Answer(body=b'[{"id": 0, "is_processing": true}]')
        seen = await seen_by(fake, tmp_path)
    assert seen.wrong == {"cancel": "warning"}
    assert any(request.hung_up for request in fake.generations)


async def test_a_service_that_refuses_for_haste_is_asked_again_and_counted(tmp_path: Path) -> None:
    """A 429 with a short Retry-After costs a moment's rest, and is told at the end."""
    hasty = Answer(status=429, fault=Fault("Throttling.RateQuota"), headers={"Retry-After": "0.1"})
    async with FakeService(key=KEY, default=well) as fake:
        fake.script(hasty)
        seen = await seen_by(fake, tmp_path)
    assert seen.wrong == {"rate limits": "warning"}
    assert seen["fim"].status is Status.OK
    assert seen["rate limits"].data["refused"] == 1
    assert seen["rate limits"].data["retryAfter"] == pytest.approx(0.1)


async def test_a_quota_that_is_gone_ends_the_questions(tmp_path: Path) -> None:
    """Nothing more is asked of an account that has nothing left."""
    async with FakeService(key=KEY, default=FAILURES["quota"]) as fake:
        seen = await seen_by(fake, tmp_path)
    assert seen.wrong == {"rate limits": "error"}
    assert len(fake.generations) == 1


async def test_a_service_that_dies_under_way_is_left_alone(tmp_path: Path) -> None:
    """The check that met the failure tells it; the following ones do not wait for it again."""
    async with FakeService(key=KEY, default=well) as fake:
        fake.script(well, well)
        fake.default = Answer(cut=True)
        seen = await seen_by(fake, tmp_path)
    assert seen.wrong == {"stops": "error"}
    assert seen["streaming"].said.startswith("nothing more is asked")


async def test_no_question_overdraws_the_purse(tmp_path: Path) -> None:
    """With few tokens the later checks are skipped, and no more is spent than was said."""
    async with FakeService(key=KEY, default=well) as fake:
        given = {"base_url": fake.openai, "model": "qwen-coder-turbo", "limit": 300}
        async with patient(tmp_path, env={"QWEN_LSP_API_KEY": KEY}, **given) as case:
            seen = await told(case)
    assert case.asker.spent <= 300
    assert "more than what is left of 300 tokens" in seen["context cache"].said
    assert seen.wrong == {}


# --- This machine


async def test_embedded_weights_that_are_missing_are_told_with_the_command(tmp_path: Path) -> None:
    """Only where the embedded model is to complete; elsewhere they are not needed."""
    async with patient(tmp_path, provider="local") as case:
        seen = await told(case)
    assert seen.wrong == {"embedded model": "error"}
    assert "qwen-lsp model pull" in seen["embedded model"].fix
    async with FakeService(key=KEY, default=well) as fake:
        seen = await seen_by(fake, tmp_path)
    assert seen["embedded model"].status is Status.SKIPPED


async def test_embedded_weights_that_are_damaged_are_told_as_that(tmp_path: Path) -> None:
    """A file of the right name that is no model."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf").write_bytes(b"GGUF and no more")
    async with patient(tmp_path, provider="local", offline=True) as case:
        seen = await told(case)
    assert seen.wrong == {"embedded model": "error"}
    assert "damaged" in seen["embedded model"].said


async def test_a_place_that_can_not_be_written_is_an_error(tmp_path: Path) -> None:
    """What cannot work is named, and how to have it elsewhere."""
    (tmp_path / "state").write_text("a file")
    async with patient(tmp_path, offline=True) as case:
        seen = await told(case)
    assert seen["files"].status is Status.ERROR
    assert "can't be written" in seen["files"].said
    assert "XDG_STATE_HOME" in seen["files"].fix


async def test_a_variable_that_is_no_setting_is_a_warning(tmp_path: Path) -> None:
    """A slip in a variable's name does nothing, silently; its value is not shown."""
    env = {"QWEN_LSP_MODLE": KEY, "QWEN_LSP_MAX_TOKENS": "64"}
    async with patient(tmp_path, env=env, offline=True) as case:
        seen = await told(case)
    assert seen["configuration"].status is Status.WARNING
    assert "QWEN_LSP_MODLE" in seen["configuration"].said
    assert seen["configuration"].data["variables"] == ["QWEN_LSP_MAX_TOKENS"]


async def test_editors_are_found_with_their_versions_and_whether_they_are_set_up(tmp_path: Path) -> None:
    """Set up is what `qwen-lsp setup` would not change."""
    (tmp_path / "bin").mkdir()
    for name, says in (("hx", "helix 25.07 (abc)"), ("nvim", "NVIM v0.12.1")):
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\necho '{says}'\n")
        program.chmod(0o755)
    async with patient(tmp_path, offline=True) as case:
        seen = await told(case)
        assert "Helix 25.07: not set up" in seen["editors"].said
        assert "Neovim 0.12.1" in seen["editors"].said
        languages = tmp_path / ".config/helix/languages.toml"
        languages.parent.mkdir(parents=True)
        from qwen_lsp.setup import disk
        from qwen_lsp.setup.editors import PLANS

        for change in PLANS["helix"](case.machine("helix"), disk.read).changes:
            change.path.write_text(change.after)
        seen = await told(case)
    assert "Helix 25.07: set up" in seen["editors"].said
    assert seen["editors"].status is Status.OK


async def test_offline_sends_nothing(tmp_path: Path) -> None:
    """Not even the command that prints the key is run, since it may ask elsewhere."""
    async with FakeService(key=KEY, default=well) as fake:
        ran = tmp_path / "ran"
        given = {"base_url": fake.openai, "api_key_command": f"touch {ran}", "offline": True}
        async with patient(tmp_path, **given) as case:
            seen = await told(case)
    assert seen.wrong == {}
    assert (fake.connections, ran.exists()) == (0, False)
    assert seen["key"].said.startswith("qwen.apiKeyCommand is set")


async def test_a_check_that_fails_itself_does_not_hide_the_others(tmp_path: Path) -> None:
    """A fault of ours is one error, told without the text of the exception, which might hold anything."""
    async with patient(tmp_path, offline=True) as case:
        case.settings = None
        findings = await told(case)
    assert findings["provider"].said == "this check failed (AttributeError)"
    assert findings["editors"].status is Status.SKIPPED
    assert json.dumps([each.as_json() for each in findings.findings.values()])
