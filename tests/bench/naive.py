"""The yardstick: the shortest server that pygls's and httpx's documents lead to.

It asks the model at every keystroke with the text around the cursor, and shows whatever comes back. Cancelling is
pygls's: the handler's task is cancelled, and httpx hangs up. Not to be made better: it is what better is measured by.

    python naive.py http://127.0.0.1:8080/v1
"""

from __future__ import annotations

import sys

import httpx
from lsprotocol import types
from pygls.lsp.server import LanguageServer

server = LanguageServer("naive", "1")
client = httpx.AsyncClient(timeout=30)


# pygls 2.1 announces the capability only when options are given.
@server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
async def complete(params: types.InlineCompletionParams) -> types.InlineCompletionList:
    document = server.workspace.get_text_document(params.text_document.uri)
    offset = document.offset_at_position(params.position)
    before, after = document.source[max(0, offset - 4000) : offset], document.source[offset : offset + 1000]
    reply = await client.post(
        f"{sys.argv[1]}/completions",
        json={
            "model": "qwen2.5-coder-7b-instruct",
            "prompt": f"<|fim_prefix|>{before}<|fim_suffix|>{after}<|fim_middle|>",
            "max_tokens": 128,
            "temperature": 0,
        },
    )
    reply.raise_for_status()
    text = reply.json()["choices"][0]["text"]
    here = types.Range(start=params.position, end=params.position)
    return types.InlineCompletionList(items=[types.InlineCompletionItem(insert_text=text, range=here)] if text else [])


if __name__ == "__main__":
    server.start_io()
