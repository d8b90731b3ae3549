"""docs/options.md, made from the schema: `python -m backend.config.reference` writes it."""

from __future__ import annotations

from pathlib import Path

from backend.atomic_file import write_text
from backend.config.configuration import all_options
from backend.config.options import Option
from backend.config.schema import GROUPS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "options.md"

HEAD = """# Options

Made from `backend/config/schema.py` by `python -m backend.config.reference`; do not edit.

Every option is a key of the configuration TOML, a flag (`--network_dim 16`) and a field of the page.
Sections of the TOML may be left out or named differently. Options marked *in network_args* stand in files as
musubi-tuner writes them:
`network_args = ["loraplus_lr_ratio=4", "exclude_patterns=[r'.*single_blocks.*']"]`.
"""


def format_reference() -> str:
    """The whole page as Markdown."""
    parts = [HEAD]
    for group in GROUPS.values():
        parts.append(f"\n## {group.title()}\n")
        parts += [_entry(all_options()[name]) for name in group.model_fields]
    return "\n".join(parts)


def _entry(declared: Option) -> str:
    facts = [declared.kind.replace("_", " ")]
    if declared.choices:
        facts = [" | ".join(f"`{choice}`" for choice in declared.choices)]
    if declared.limits:
        facts.append(declared.limits)
    if declared.unit:
        facts.append(declared.unit)
    facts.append("default: " + ("none" if declared.default in (None, []) else f"`{_toml(declared.default)}`"))
    if declared.network_arg:
        facts.append("in network_args")
    facts += [need.in_words() for need in declared.needs]
    return f"**`{declared.name}`** · {declared.label} · {' · '.join(facts)}  \n{declared.help}\n"


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    write_text(PAGE, format_reference())
