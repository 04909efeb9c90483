"""A completion as a document for a person: what the model was shown, what it wrote, and what each step made of that.

Holds code: it is for the person's own screen, and for no log.
"""

from __future__ import annotations

from qwen_lsp.core.model import Ghost
from qwen_lsp.engine.flight import Flight, prompt_text
from qwen_lsp.engine.record import Answer, Record


def document(answer: Answer) -> str:
    """All of it as Markdown."""
    outcome, record = answer.outcome, answer.record
    if isinstance(outcome, Ghost):
        parts = ["# A suggestion", _fenced(outcome.insert)]
    else:
        parts = [
            f"# Nothing was shown: {outcome.reason.value}",
            f"{outcome.reason.sentence} {outcome.detail}".strip(),
        ]
    service = record.service
    if service is not None:
        parts.append(f"{service.provider}, {service.model}, {service.route.value}")
    parts += ["## Where the time went", *(f"- {s.ms:.1f} ms {s.name} {s.detail}".rstrip() for s in record.stages)]
    if found := notes(record):
        parts += ["## What was weighed", *(f"- {line}" for line in found)]
    if (flight := record.flight) is not None:
        parts += ["## The prompt", _fenced(prompt_of(flight)), "## What the model wrote", _fenced(flight.raw)]
        for name, before, after in flight.changes:
            parts += [f"## Changed by: {name}", "before", _fenced(before), "after", _fenced(after)]
    for number, other in enumerate(answer.others, 2):
        parts += [f"## Candidate {number}", _fenced(other.insert)]
    return "\n\n".join(parts).replace("\n\n- ", "\n- ") + "\n"


def notes(record: Record) -> list[str]:
    """What was shown to the model against what could be, what the service counted, and what was changed, as lines."""
    lines = []
    if (figures := record.figures) is not None:
        size = figures.budget
        lines.append(
            f"about {figures.before} tokens before the cursor (of {size.before}), {figures.after} after it (of "
            f"{size.after}), {figures.snippets} of other files (of {size.snippets}): {size.why}"
        )
        lines += [f"{passage.score:.2f} {passage.source} {passage.path}" for passage in figures.passages]
    flight = record.flight
    if flight is not None and (usage := flight.usage or flight.estimate):
        about = "" if flight.usage else "about "
        lines.append(f"{about}{usage.prompt} tokens read, {usage.cached} of them cached; {usage.completion} written")
    if flight is not None and (flight.filters or flight.rule):
        lines.append(", ".join([*([f"stopped by: {flight.rule}"] if flight.rule else []), *flight.filters]))
    return lines


def prompt_of(flight: Flight) -> str:
    """The text that the model was asked to continue; chat messages one after the other, each headed by its role."""
    return prompt_text(flight.prompt, flight.service.route)


def _fenced(text: str) -> str:
    """Text between fences longer than any in it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}"
