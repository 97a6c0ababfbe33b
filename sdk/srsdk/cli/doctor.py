"""`srsdk doctor`: what is installed, what works here, and what to do about the rest."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from srsdk.cli import entry

_MARKS = {"ok": "[green]ok[/]", "off": "[yellow]off[/]", "broken": "[red]broken[/]"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Try out everything that srsdk uses; exit 1 if a part that it cannot do without is broken."""
    from rich.table import Table
    from rich.text import Text

    from srsdk.cli.checks import run_checks

    checks = list(run_checks())
    broken = [check for check in checks if check.state == "broken"]
    if as_json:
        records = [vars(check) for check in checks]
        typer.echo(json.dumps({"healthy": not broken, "checks": records}, indent=2))
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="cyan", no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for check in checks:
            detail = Text(check.detail)
            if check.remedy:
                detail.append(f"\n-> {check.remedy}", style="yellow")
            table.add_row(check.name, _MARKS[check.state], detail)
        entry.stdout.print(table)
    if broken:
        entry.say_error(f"broken: {', '.join(check.name for check in broken)}")
        raise typer.Exit(1)
