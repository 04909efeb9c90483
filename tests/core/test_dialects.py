"""Dialects: what is asked, what an event says, what a failure means."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.core import dialects
from qwen_lsp.core.dialects import dashscope, errors
from qwen_lsp.core.model import Api, BackendError, Delta, Kind, Prompt, Route, Secret, Service, Usage
from qwen_lsp.core.prompt import fim_text, partial_messages

KEY = "sk-canary-key"
BEIJING = Service(
    provider="dashscope",
    base_url="https://dashscope.aliyuncs.com/compatible-mode/v1",
    model="qwen-coder-turbo",
    route=Route.FIM,
    api=Api.COMPLETIONS,
    key=Secret(KEY),
    region="cn-beijing",
)
SINGAPORE = Service(
    provider="dashscope",
    base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    model="qwen3-coder-flash",
    route=Route.PARTIAL,
    api=Api.CHAT,
    key=Secret(KEY),
    region="ap-southeast-1",
)
NATIVE = dataclasses.replace(SINGAPORE, api=Api.NATIVE)
LOCAL = Service(
    provider="local",
    base_url="http://127.0.0.1:4000/v1",
    model="qwen2.5-coder-1.5b",
    route=Route.FIM,
    api=Api.COMPLETIONS,
    key=Secret(KEY),
)
SERVER = Service(
    provider="openai",
    base_url="http://me:secret@gpu.example:8000/v1",
    model="Qwen/Qwen2.5-Coder-7B",
    route=Route.FIM,
    api=Api.COMPLETIONS,
)
SERVER_CHAT = dataclasses.replace(SERVER, model="qwen3-8b", route=Route.PARTIAL, api=Api.CHAT)
SERVICES = [BEIJING, SINGAPORE, NATIVE, LOCAL, SERVER, SERVER_CHAT]
PROMPT = Prompt(
    prefix="def canary_text(a):\n    return ",
    suffix="\n\nprint(1)\n",
    language="python",
    path="a.py",
    max_tokens=64,
    temperature=0.0,
    stop=("<|endoftext|>", "", "<|fim_pad|>", "<|file_sep|>", "<|repo_name|>", "\n\n"),
)
STOPS = ["<|endoftext|>", "<|fim_pad|>", "<|file_sep|>", "<|repo_name|>"]


# What is asked


def test_dashscope_completes_by_fim_in_beijing():
    """POST /completions with the FIM prompt, streamed with usage; temperature 0 may stay."""
    call = dialects.call(BEIJING, PROMPT)
    assert call.url == "https://dashscope.aliyuncs.com/compatible-mode/v1/completions"
    assert call.body == {
        "model": "qwen-coder-turbo",
        "prompt": fim_text(PROMPT),
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 64,
        "temperature": 0.0,
        "stop": STOPS,
    }


def test_dashscopes_prompt_without_a_suffix_is_the_documented_one():
    """Model Studio: with a prefix only, the prompt ends with <|fim_suffix|>."""
    prompt = dataclasses.replace(PROMPT, suffix="")
    assert dialects.call(BEIJING, prompt).body["prompt"] == f"<|fim_prefix|>{PROMPT.prefix}<|fim_suffix|>"


def test_dashscope_never_gets_a_suffix_alone():
    """At the beginning of a file there is no prefix, and DashScope refuses a suffix alone."""
    prompt = dialects.call(BEIJING, dataclasses.replace(PROMPT, prefix="")).body["prompt"]
    assert not str(prompt).startswith("<|fim_prefix|><|fim_suffix|>")


def test_dashscope_chat_marks_the_last_message_as_partial():
    """The assistant's message is the prefix and begins the reply; temperature is never 0 and comes without top_p."""
    call = dialects.call(SINGAPORE, PROMPT)
    assert call.url == "https://dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions"
    *before, last = partial_messages(PROMPT)
    assert last["role"] == "assistant"
    assert call.body["messages"] == [*before, {**last, "partial": True}]
    assert call.body["temperature"] == 0.01
    assert call.body["stop"] == STOPS
    assert not {"top_p", "enable_thinking", "continue_final_message"} & set(call.body)


@pytest.mark.parametrize(("asked", "sent"), [(0, 0.01), (0.2, 0.2), (1.999, 1.99)])
def test_dashscope_chat_takes_no_temperature_of_0_or_2(asked, sent):
    """The documents' range for chat is open at both ends."""
    prompt = dataclasses.replace(PROMPT, temperature=asked)
    assert dialects.call(SINGAPORE, prompt).body["temperature"] == sent
    assert dialects.call(NATIVE, prompt).body["parameters"]["temperature"] == sent


def test_the_native_interface_has_its_own_path_header_and_shape():
    """Same host, X-DashScope-SSE, messages under input, all else under parameters."""
    call = dialects.call(NATIVE, PROMPT)
    assert call.url == "https://dashscope-intl.aliyuncs.com/api/v1/services/aigc/text-generation/generation"
    assert call.headers["X-DashScope-SSE"] == "enable"
    assert set(call.body) == {"model", "input", "parameters"}
    assert call.body["input"]["messages"][-1]["partial"] is True
    assert call.body["parameters"] == {
        "result_format": "message",
        "incremental_output": True,
        "max_tokens": 64,
        "temperature": 0.01,
        "stop": STOPS,
    }


def test_the_native_url_is_found_from_any_base_url():
    """People write base URLs with and without the version and a slash."""
    native = "https://h/api/v1/services/aigc/text-generation/generation"
    for base in ("https://h/compatible-mode/v1", "https://h/compatible-mode/v1/", "https://h/api/v1", "https://h"):
        assert dashscope.native_url(base) == native


def test_models_that_think_are_told_not_to():
    """DashScope takes enable_thinking; vLLM, SGLang and llama.cpp take it as an argument of the chat template."""
    chat, native, server = (
        dialects.call(dataclasses.replace(service, disable_thinking=True), PROMPT).body
        for service in (SINGAPORE, NATIVE, SERVER_CHAT)
    )
    assert chat["enable_thinking"] is False
    assert native["parameters"]["enable_thinking"] is False
    assert server["chat_template_kwargs"] == {"enable_thinking": False}


def test_openai_servers_are_asked_for_fim_or_to_continue_the_last_message():
    """/completions with the FIM prompt, or /chat/completions with the two fields that vLLM needs to go on."""
    fim, chat = dialects.call(SERVER, PROMPT), dialects.call(SERVER_CHAT, PROMPT)
    assert fim.url == SERVER.base_url + "/completions"
    assert fim.body["prompt"] == fim_text(PROMPT)
    assert chat.url == SERVER.base_url + "/chat/completions"
    assert chat.body["messages"] == partial_messages(PROMPT)
    assert chat.body["continue_final_message"] is True
    assert chat.body["add_generation_prompt"] is False
    assert "cache_prompt" not in fim.body | chat.body
    assert fim.body["temperature"] == 0.0


def test_a_server_with_a_template_of_its_own_gets_prompt_and_suffix():
    """OpenAI's Completions: `suffix` is what comes after the inserted text."""
    body = dialects.call(dataclasses.replace(SERVER, has_suffix=True), PROMPT).body
    assert (body["prompt"], body["suffix"]) == (PROMPT.prefix, PROMPT.suffix)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_no_more_stops_are_sent_than_the_service_takes(count):
    """The first of them; some servers refuse the whole request for one more."""
    asked = dataclasses.replace(PROMPT, stop=tuple("abcde"))
    body = dialects.call(dataclasses.replace(SERVER, stops=count), asked).body
    assert body.get("stop", []) == list("abcde")[:count]


def test_the_embedded_engine_keeps_the_prompt_it_has_read():
    """Only llama.cpp knows cache_prompt, so only the embedded engine is sent it."""
    assert dialects.call(LOCAL, PROMPT).body["cache_prompt"] is True


@pytest.mark.parametrize("service", SERVICES)
def test_a_call_is_json_without_the_key(service):
    """The key is added to the headers elsewhere; without stops there is no `stop`."""
    call = dialects.call(service, dataclasses.replace(PROMPT, stop=()))
    text = json.dumps([call.url, call.headers, call.body])
    assert KEY not in text
    assert '"stop"' not in text
    assert "authorization" not in {name.lower() for name in call.headers}


# Where it is asked


@pytest.mark.parametrize(
    ("region", "workspace", "url"),
    [
        ("cn-beijing", "", "https://dashscope.aliyuncs.com/compatible-mode/v1"),
        ("ap-southeast-1", "", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
        ("us-east-1", "", "https://dashscope-us.aliyuncs.com/compatible-mode/v1"),
        ("cn-hongkong", "", "https://cn-hongkong.dashscope.aliyuncs.com/compatible-mode/v1"),
        ("cn-beijing", "ws-1", "https://ws-1.cn-beijing.maas.aliyuncs.com/compatible-mode/v1"),
        ("ap-northeast-1", "ws-1", "https://ws-1.ap-northeast-1.maas.aliyuncs.com/compatible-mode/v1"),
    ],
)
def test_every_region_has_its_hosts(region, workspace, url):
    """The shared host of a region, or the workspace's own."""
    assert dashscope.hosts(region, workspace) == url


@pytest.mark.parametrize(
    ("region", "workspace", "told"),
    [
        ("ap-northeast-1", "", "qwen.workspaceId"),
        ("mars-1", "", "qwen.region"),
        ("cn-beijing", "evil.example/", "qwen.workspaceId"),
        ("cn-beijing", "a@b", "qwen.workspaceId"),
        ("cn-beijing", "ws-1\n", "qwen.workspaceId"),
    ],
)
def test_no_key_is_led_to_a_host_that_is_no_regions(region, workspace, told):
    """A workspace that is more than a name would make another host; Tokyo has none without one."""
    with pytest.raises(BackendError, match=told) as caught:
        dashscope.hosts(region, workspace)
    assert caught.value.kind is Kind.CONFIG


# What an event says


def text_event(**choice: object) -> str:
    return json.dumps({"choices": [{"index": 0, **choice}], "usage": None})


@pytest.mark.parametrize(
    ("service", "data", "delta"),
    [
        (BEIJING, text_event(text="a", finish_reason=None), Delta("a")),
        (BEIJING, text_event(text="", finish_reason="length"), Delta(finish="length")),
        (BEIJING, text_event(text=None, finish_reason=""), Delta()),
        (SINGAPORE, text_event(delta={"content": "a\u2028b"}, finish_reason=None), Delta("a\u2028b")),
        (SINGAPORE, text_event(delta={"role": "assistant", "content": None}), Delta()),
        (SINGAPORE, text_event(delta={"content": ""}, finish_reason="stop"), Delta(finish="stop")),
        (SINGAPORE, text_event(delta={}, finish_reason="stop"), Delta(finish="stop")),
        (SINGAPORE, text_event(delta={"content": None, "reasoning_content": "hm"}), Delta()),
        (SINGAPORE, text_event(message={"content": "all"}, finish_reason="stop"), Delta("all", "stop")),
        (SINGAPORE, text_event(delta={"content": [{"type": "text", "text": "a"}, {"x": 1}, 3]}), Delta("a")),
        (SINGAPORE, '{"choices": [], "error": null}', Delta()),
        (LOCAL, '{"choices":[{"text":"a\\u0000b"}],"timings":{"cache_n":3},"new":[{}]}', Delta("a\0b")),
        (LOCAL, '{"choices":[{"text":"a\tb\0"}]}', Delta("a\tb\0")),
        (LOCAL, '{"choices":[{"text":"\\ud83d\\ude0b \\ud83d"}]}', Delta("😋 \ufffd")),
        (LOCAL, "", Delta()),
        (
            SINGAPORE,
            (
                '{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":'
                '{"cached_tokens":5}}}'
            ),
            Delta(usage=Usage(9, 2, 5)),
        ),
        (
            SINGAPORE,
            '{"choices":[],"usage":{"prompt_tokens":"9","completion_tokens":-1,"prompt_tokens_details":null}}',
            Delta(usage=Usage(0, 0, 0)),
        ),
        (
            NATIVE,
            (
                '{"output":{"choices":[{"message":{"role":"assistant","content":"a"},"finish_reason":"null"}]},'
                '"usage":{"input_tokens":7,"output_tokens":1,"total_tokens":8},"request_id":"1"}'
            ),
            Delta("a", None, Usage(7, 1, 0)),
        ),
        (
            NATIVE,
            (
                '{"output":{"choices":[{"message":{"content":""},"finish_reason":"stop"}]},"code":"","message":"",'
                '"usage":{"input_tokens":7,"output_tokens":1,"prompt_tokens_details":{"cached_tokens":6}}}'
            ),
            Delta("", "stop", Usage(7, 1, 6)),
        ),
        (NATIVE, '{"output":{"text":"a","finish_reason":"stop"}}', Delta("a", "stop")),
    ],
)
def test_events_are_read(service, data, delta):
    """Text, finish and usage, from whichever field holds them; null, blanks and unknown fields are nothing."""
    assert dialects.delta(service, data) == delta


@pytest.mark.parametrize("service", SERVICES)
def test_done_is_the_end(service):
    """`[DONE]` ends a stream."""
    assert dialects.delta(service, "[DONE]") is None
    assert dialects.delta(service, " [DONE] ") is None


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("data", ["{", "null", "[]", "3", '"a"', "{}", '{"choices": {}}', "<html>", "[" * 100_000])
def test_what_is_no_event_is_a_protocol_error(service, data):
    """Broken or foreign JSON, however deep, raises one kind of error, whose line names the setting to check."""
    with pytest.raises(BackendError, match=r"qwen\.baseUrl") as caught:
        dialects.delta(service, data)
    assert caught.value.kind is Kind.PROTOCOL


@pytest.mark.parametrize(
    ("service", "data", "kind"),
    [
        (BEIJING, '{"error":{"code":"insufficient_quota","message":"Allocated quota exceeded"}}', Kind.RATE),
        (SINGAPORE, '{"error":{"code":"data_inspection_failed","message":"x"},"choices":[]}', Kind.BAD_REQUEST),
        (NATIVE, '{"code":"Throttling.RateQuota","message":"x","request_id":"1"}', Kind.RATE),
        (NATIVE, '{"code":"InvalidApiKey","message":"x"}', Kind.AUTH),
        (NATIVE, '{"code":"InternalError.Algo","message":"x","output":null}', Kind.OVERLOADED),
        (SERVER, '{"error":"boom"}', Kind.OVERLOADED),
        (SERVER, '{"object":"error","message":"m","type":"BadRequestError","code":400}', Kind.BAD_REQUEST),
        (LOCAL, '{"error":{"code":500,"message":"m","type":"server_error"}}', Kind.OVERLOADED),
    ],
)
def test_an_error_inside_a_stream_is_raised_by_its_kind(service, data, kind):
    """Services answer 200 and put an error into the stream; it means what it would mean as a status."""
    with pytest.raises(BackendError) as caught:
        dialects.delta(service, data)
    assert caught.value.kind is kind


ANSWER = ["choices", "delta", "message", "content", "text", "usage", "prompt_tokens", "prompt_tokens_details"]
OTHERS = ["cached_tokens", "output", "error", "code", "type", "finish_reason", "detail", "object", "unknown"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(ANSWER + OTHERS), inner, max_size=5),
    max_leaves=25,
)


@given(JSON, st.sampled_from(SERVICES))
def test_no_json_breaks_the_reader(payload, service):
    """Any JSON is a delta that can be encoded, or a BackendError; and any body of a failure is explained."""
    data = json.dumps(payload)
    try:
        delta = dialects.delta(service, data)
        assert delta is not None
        delta.text.encode()
    except BackendError:
        pass
    assert "\n" not in dialects.failure(service, 400, {}, data.encode()).message


# What a failure means


def compatible(code: str, message: str = "m", kind: str = "t") -> dict[str, object]:
    return {"error": {"code": code, "message": message, "type": kind, "param": None}, "request_id": "r"}


def flat(code: str, message: str = "m") -> dict[str, object]:
    return {"code": code, "message": message, "request_id": "r"}


QUOTA_GONE = "You exceeded your current quota, please check your plan and billing details."


@pytest.mark.parametrize(
    ("service", "status", "body", "kind", "told"),
    [
        (BEIJING, 400, compatible("invalid_parameter_error"), Kind.BAD_REQUEST, ["invalid_parameter_error"]),
        (
            BEIJING,
            400,
            flat("InvalidParameter", "Range of input length should be [1, 9]"),
            Kind.BAD_REQUEST,
            ["too long"],
        ),
        (BEIJING, 400, flat("DataInspectionFailed"), Kind.BAD_REQUEST, ["inspection"]),
        (SINGAPORE, 400, compatible("data_inspection_failed"), Kind.BAD_REQUEST, ["inspection"]),
        (BEIJING, 400, flat("Arrearage"), Kind.QUOTA, ["overdue", "bill"]),
        (BEIJING, 403, compatible("AccessDenied", "make sure your account is in good standing."), Kind.QUOTA, ["bill"]),
        (BEIJING, 401, compatible("invalid_api_key"), Kind.AUTH, ["DASHSCOPE_API_KEY", "cn-beijing", "qwen.region"]),
        (SINGAPORE, 401, flat("InvalidApiKey"), Kind.AUTH, ["DASHSCOPE_API_KEY", "ap-southeast-1"]),
        (NATIVE, 400, flat("InvalidApiKey"), Kind.AUTH, ["DASHSCOPE_API_KEY"]),
        (BEIJING, 403, compatible("access_denied"), Kind.AUTH, ["DASHSCOPE_API_KEY", "sk-sp-", "qwen.baseUrl"]),
        (BEIJING, 403, flat("AllocationQuota.FreeTierOnly"), Kind.QUOTA, ["quota", "qwen-coder-turbo"]),
        (BEIJING, 404, compatible("model_not_found"), Kind.MODEL, ["qwen.model", "qwen-coder-turbo"]),
        (SINGAPORE, 404, flat("ModelNotFound"), Kind.MODEL, ["qwen.model", "qwen3-coder-flash", "ap-southeast-1"]),
        (BEIJING, 404, None, Kind.MODEL, ["qwen.model"]),
        (SINGAPORE, 400, flat("x", "Unsupported model `m` for OpenAI mode"), Kind.MODEL, ["qwen.model"]),
        (BEIJING, 429, flat("Throttling.RateQuota"), Kind.RATE, []),
        (BEIJING, 429, compatible("limit_requests"), Kind.RATE, []),
        (BEIJING, 429, flat("Throttling.BurstRate"), Kind.RATE, []),
        (BEIJING, 429, flat("Throttling.AllocationQuota", "Allocated quota exceeded"), Kind.RATE, []),
        (BEIJING, 429, compatible("insufficient_quota", "Allocated quota exceeded"), Kind.RATE, []),
        (BEIJING, 429, compatible("insufficient_quota", QUOTA_GONE), Kind.QUOTA, ["quota"]),
        (BEIJING, 429, compatible("insufficient_quota", "You exceeded your current quota"), Kind.QUOTA, ["quota"]),
        (BEIJING, 429, compatible("insufficient_quota", "Check your plan and billing"), Kind.QUOTA, ["quota"]),
        (BEIJING, 429, compatible("Throttling", "Free allocated quota exceeded."), Kind.QUOTA, ["quota"]),
        (BEIJING, 429, compatible("x", "month allocated quota exceeded"), Kind.QUOTA, ["quota"]),
        (BEIJING, 429, None, Kind.RATE, []),
        (BEIJING, 500, compatible("internal_error"), Kind.OVERLOADED, ["wait"]),
        (BEIJING, 503, None, Kind.OVERLOADED, ["wait"]),
        (BEIJING, 504, None, Kind.TIMEOUT, []),
        (BEIJING, 407, None, Kind.NETWORK, ["HTTPS_PROXY"]),
        (SERVER, 401, {"error": "Unauthorized"}, Kind.AUTH, ["QWEN_LSP_API_KEY", "qwen.apiKeyCommand", "gpu.example"]),
        (SERVER, 403, {"detail": "no"}, Kind.AUTH, ["QWEN_LSP_API_KEY", "qwen.apiKeyCommand"]),
        (SERVER, 404, {"error": "model 'x' not found, try pulling it"}, Kind.MODEL, ["qwen.model"]),
        (
            SERVER,
            404,
            {"object": "error", "message": "The model `x` does not exist.", "type": "NotFoundError", "code": 404},
            Kind.MODEL,
            ["qwen.model", "NotFoundError"],
        ),
        (SERVER, 404, {"detail": "Not Found"}, Kind.CONFIG, ["qwen.baseUrl"]),
        (SERVER, 405, None, Kind.CONFIG, ["qwen.baseUrl"]),
        (SERVER, 400, compatible("context_length_exceeded"), Kind.BAD_REQUEST, ["too long"]),
        (SERVER, 400, {"error": {"message": "This model's maximum context length is 9"}}, Kind.BAD_REQUEST, ["long"]),
        (SERVER, 413, None, Kind.BAD_REQUEST, ["too long"]),
        (SERVER, 422, {"detail": [{"loc": ["body"]}]}, Kind.BAD_REQUEST, []),
        (SERVER, 402, None, Kind.QUOTA, []),
        (SERVER, 429, compatible("insufficient_quota", QUOTA_GONE), Kind.QUOTA, []),
        (SERVER, 302, None, Kind.CONFIG, ["qwen.baseUrl"]),
        (SERVER, 206, None, Kind.PROTOCOL, ["qwen.baseUrl"]),
        (
            LOCAL,
            400,
            {"error": {"code": 400, "type": "exceed_context_size_error"}},
            Kind.BAD_REQUEST,
            ["qwen.local.context"],
        ),
        (LOCAL, 401, compatible("x"), Kind.AUTH, ["restart"]),
        (LOCAL, 503, {"error": {"code": 503, "message": "Loading model"}}, Kind.OVERLOADED, []),
    ],
)
def test_failures_mean_what_the_table_says(service, status, body, kind, told):
    """Every row of the documents' error table, and what other servers say, has its kind and names the fix."""
    error = dialects.failure(service, status, {}, json.dumps(body).encode() if body else b"")
    assert error.kind is kind
    assert f"HTTP {status}" in error.message
    for part in told:
        assert part in error.message


@pytest.mark.parametrize("model", ["qwen3-coder-flash", "qwen3-coder-plus", "qwen-coder-turbo"])
@pytest.mark.parametrize("service", [BEIJING, SINGAPORE], ids=["Beijing", "Singapore"])
def test_a_model_that_is_not_there_is_not_what_to_choose_instead(service, model):
    """The remedy is another one."""
    message = dialects.failure(dataclasses.replace(service, model=model), 404, {}, b"").message
    assert f"set qwen.model to {model}" not in message
    assert "set qwen.model to qwen" in message


def test_who_has_no_key_is_not_told_that_it_is_refused():
    """It is wanted."""
    assert "wants a key" in dialects.failure(SERVER, 401, {}, b"").message
    keyed = dataclasses.replace(SERVER, key=Secret(KEY))
    assert "refused the key" in dialects.failure(keyed, 401, {}, b"").message


def test_a_model_of_beijing_asked_elsewhere_names_both_ways_out():
    """A model that only cn-beijing has: choose another, or that region with its key."""
    service = dataclasses.replace(SINGAPORE, model="qwen2.5-coder-7b-instruct")
    message = dialects.failure(service, 404, {}, b"").message
    assert "cn-beijing" in message
    assert "qwen3-coder-flash" in message


BODIES = [b"", b"<html>\n<body>Bad gateway</body></html>", b"\xff\x00\x1b[31m", b"null", b"[1]", b"{" * 9999]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 418, 429, 500, 503, 599])
def test_no_message_tells_the_key_or_what_the_service_said(service, status):
    """A server's words may hold the key or the code it was sent; only a well-formed code is quoted."""
    said = f"{KEY} canary_text me:secret\n\x1b[31m"
    bodies = [
        *BODIES,
        *(json.dumps(body).encode() for body in (compatible(said, said, said), flat(said, said), {"error": said})),
        json.dumps(compatible(KEY, said, f"type.{KEY}") if service.key else {"detail": said}).encode(),
    ]
    for body in bodies:
        message = dialects.failure(service, status, {}, body).message
        assert message.isprintable()
        assert not any(part in message for part in (KEY, "canary_text", "secret", "html"))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "2"}, 2.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "999999"}, 3600.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "٣"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds(headers, seconds):
    """Seconds are believed up to an hour; a date would need a clock."""
    assert dialects.failure(BEIJING, 429, headers, b"").retry_after == seconds


def test_500_is_asked_again_and_503_is_left_alone():
    """Both mean overloaded, and only the second asks for a pause of its own accord."""
    assert dialects.failure(BEIJING, 500, {}, b"").retry_after is None
    assert dialects.failure(BEIJING, 503, {}, b"").retry_after == 5
    assert dialects.failure(BEIJING, 503, {"retry-after": "9"}, b"").retry_after == 9


def test_every_kind_has_a_policy():
    """No failure is without a rule; only what may pass at once is retried, and what won't pass is told."""
    assert set(errors.POLICIES) == set(Kind)
    assert {kind for kind, policy in errors.POLICIES.items() if policy.retry} == {Kind.OVERLOADED, Kind.NETWORK}
    for kind in (Kind.AUTH, Kind.QUOTA, Kind.MODEL, Kind.CONFIG):
        assert errors.POLICIES[kind].tell
        assert errors.POLICIES[kind].cool_down > 0
