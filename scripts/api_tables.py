"""The tables of docs/api.md, printed from webui/api/v1/fields.py: python -m scripts.api_tables"""

import json

from webui.api.v1.fields import HONOURED, IGNORED, IMPOSSIBLE, NEUTRAL, OFFERED
from webui.strings import Language, text


def tables() -> str:
    """Markdown."""
    lines = ["## Taken and ignored: they change no answer", ""]
    lines += [", ".join(f"`{name}`" for name in sorted(IGNORED)), ""]
    lines += ["## Other names that are honoured", "", "| field | is |", "|---|---|"]
    lines += [f"| `{name}` | {ours} |" for name, ours in sorted(HONOURED.items())]
    lines += ["", "## Taken with a value that asks for nothing", ""]
    lines += ['`null` always; `""`, `[]` and `{}` where no number is meant; and:', ""]
    lines += ["| field | value | otherwise |", "|---|---|---|"]
    for name, values in sorted(NEUTRAL.items()):
        shown = ", ".join(f"`{json.dumps(value)}`" for value in values) or "empty"
        key = IMPOSSIBLE.get(name, "leave_out")
        other = "used" if name in OFFERED else text(f"serving.{key}", Language.EN, parameter=name)
        lines.append(f"| `{name}` | {shown} | {other} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(tables(), end="")
