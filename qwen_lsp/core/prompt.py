"""Text for the model: the FIM prompt, and the messages of partial mode.

A person's text is data: whatever stands in it, the prompt's own tokens are the only ones the model's tokenizer can
take for control tokens (`neutralised`, and `restored` for what comes back).
"""

from __future__ import annotations

import re

from qwen_lsp.core.grammars import line_comment
from qwen_lsp.core.model import Format, Prompt, Snippet

REPO_NAME, FILE_SEP = "<|repo_name|>", "<|file_sep|>"
FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE = "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"

SPECIAL_TOKENS: tuple[str, ...] = (
    "<|endoftext|>",
    "<|fim_pad|>",
    FILE_SEP,
    REPO_NAME,
    FIM_PREFIX,
    FIM_SUFFIX,
    FIM_MIDDLE,
    "<|im_start|>",
    "<|im_end|>",
)
"""Control tokens of Qwen2.5-Coder and Qwen3-Coder. The first four are the ones that leak in practice, and the ones
to send as stop strings where a service takes at most four."""

SERVER_STOPS = SPECIAL_TOKENS[:4]

# Anything of a control token's shape, not only the known ones: a new model has new ones. The broken bar looks the same
# to a reader and is no token to a Qwen tokenizer.
_TOKEN = re.compile(r"<\|([A-Za-z0-9_]{1,40})\|>")
_LOOK_ALIKE = re.compile(r"<¦([A-Za-z0-9_]{1,40})¦>")


def neutralised(text: str) -> str:
    """`text` without any string of a control token's shape; look-alikes stand in their places."""
    return _TOKEN.sub(r"<¦\1¦>", text) if "<|" in text else text


def restored(text: str) -> str:
    """What a model wrote, with the look-alikes of `neutralised` turned back into what the person's file says."""
    return _LOOK_ALIKE.sub(r"<|\1|>", text)


def fim_text(prompt: Prompt) -> str:
    """The raw fill-in-the-middle prompt (Qwen2.5-Coder report, section 3.2.1), text from elsewhere before it.

    With snippets in the format for repositories: "repository-level code completion" of the Qwen2.5-Coder model card.
    """
    return f"{_elsewhere(prompt)}{_before(prompt)}{FIM_SUFFIX}{neutralised(prompt.suffix)}{FIM_MIDDLE}"


def fim_parts(prompt: Prompt) -> tuple[str, str]:
    """What stands before and after the cursor, for a server that puts the FIM prompt together itself.

    Passages are comments: Qwen's tokens for repositories would be text inside of the server's own prompt.
    """
    return _comments(prompt) + _before(prompt), neutralised(prompt.suffix)


def prefix_only_text(prompt: Prompt) -> str:
    """The prompt DashScope documents for when nothing follows the cursor (Qwen-Coder, Completions)."""
    return f"{_elsewhere(prompt)}{_before(prompt)}{FIM_SUFFIX}"


def _elsewhere(prompt: Prompt) -> str:
    """All that stands before the prefix."""
    if not prompt.snippets:
        return FIM_PREFIX
    if prompt.format is Format.REPOSITORY:
        files = "".join(f"{FILE_SEP}{_path(each.path)}\n{neutralised(each.text)}\n" for each in prompt.snippets)
        name = _path(prompt.repository) or "project"
        return f"{REPO_NAME}{name}\n{files}{FILE_SEP}{_path(prompt.path)}\n{FIM_PREFIX}"
    return FIM_PREFIX + _comments(prompt)


def _comments(prompt: Prompt) -> str:
    return "".join(f"{commented(snippet, prompt.language)}\n" for snippet in prompt.snippets)


def commented(snippet: Snippet, language: str) -> str:
    """A snippet as comments of a language, headed by its path; no line feed at its end."""
    opener, closer = line_comment(language)
    lines = [f"Path: {_path(snippet.path)}", *neutralised(snippet.text).split("\n")]
    return "\n".join(f"{opener} {line} {closer}".rstrip() for line in lines)


def _path(path: str) -> str:
    """A path or name on one line, without control tokens."""
    return neutralised(" ".join(path.split()))


def partial_messages(prompt: Prompt) -> list[dict[str, str]]:
    """The messages of partial mode; the last is the assistant's, holds the prefix, and is what the model continues.

    The model sees no suffix of its own accord: the message before tells it what follows the cursor. Blanks right
    before the cursor are withheld (core/opening.py says why).
    """
    about = [f"Language: {prompt.language or 'plain text'}", f"File: {neutralised(prompt.path)}"]
    about += [f"From {_path(each.path)}:\n<excerpt>\n{neutralised(each.text)}\n</excerpt>" for each in prompt.snippets]
    if prompt.suffix.strip():
        about.append(
            "What stands after the cursor, and must not be written again (stop right before it):\n"
            f"<after_cursor>\n{neutralised(prompt.suffix)}\n</after_cursor>"
        )
    else:
        about.append("Nothing stands after the cursor.")
    return [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": "\n".join(about)},
        {"role": "assistant", "content": _before(prompt).rstrip(" \t") or "\n"},
    ]


_SYSTEM = (
    "You are the code completion of an editor. Your reply is inserted at the cursor exactly as you write it: continue "
    "the file from the very character where it ends. Write code only: no explanations, no markdown fences, nothing "
    "that stands before the cursor again. Complete the statement or block at the cursor, then stop."
)


def snippet_format(_model: str) -> Format:
    """How snippets stand in the prompt of a model, where nobody chose: what measured best."""
    return Format.COMMENTS


def _before(prompt: Prompt) -> str:
    """What stands before the cursor. Never empty: DashScope takes no suffix alone, and no empty last message."""
    return neutralised(prompt.prefix) or "\n"
