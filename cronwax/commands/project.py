"""Projects and their keys: `cronwax project add|list|rotate|revoke`."""

from __future__ import annotations

import argparse
from pathlib import Path

from cronwax.commands.arguments import OneLineParser, complain
from state.program import program


def parser() -> OneLineParser:
    """The command line."""
    top = OneLineParser(
        prog=f"{program()} project",
        description="Projects and the keys that open them to check-ins, in CRONWAX_PROJECTS_PATH, else in "
        "projects.json in the data folder. A running intake reads the file again by itself.",
    )
    top.add_argument(
        "--address", default="http://127.0.0.1:8000", help="of the intake, for DSNs (%(default)s)"
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add = commands.add_parser("add", help="add a project, with a key and a ping key")
    add.add_argument("project", type=int, nargs="?", help="its number; else the next one")
    add.add_argument("--name", default="", help="its name, for people")
    add.add_argument("--organization", type=int, default=1, help="whose project it is (%(default)s)")
    commands.add_parser("list", help="show projects and keys")
    rotate = commands.add_parser("rotate", help="give a project another key; those before hold until revoked")
    rotate.add_argument("project", type=int, help="its number")
    revoke = commands.add_parser("revoke", help="take a key or a ping key from a project")
    revoke.add_argument("project", type=int, help="its number")
    revoke.add_argument("key", help="as list shows it")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Show or change the projects; returns the exit status."""
    options = parser().parse_args(arguments)
    from cronwax.intake.projects import ProjectsError
    from dataflow.settings import Settings, SettingsError

    try:
        settings = Settings.load()
        from cronwax.intake.project_file import projects_path

        _run(options, projects_path(settings))
    except (ProjectsError, SettingsError) as error:
        complain(str(error))
        return 2
    return 0


def _run(options: argparse.Namespace, path: Path) -> None:
    from cronwax.intake.project_file import add_project, read_projects, revoke, rotate

    if options.command == "add":
        number = options.project
        if number is None:
            number = max(read_projects(path), default=0) + 1
        add_project(path, number, options.name, options.organization)
    elif options.command == "rotate":
        rotate(path, options.project)
    elif options.command == "revoke":
        revoke(path, options.project, options.key)
    only = number if options.command == "add" else getattr(options, "project", None)
    _show(path, options.address, only)


def _show(path: Path, address: str, only: int | None) -> None:
    from cronwax.intake.project_file import dsn, read_projects

    for number, project in sorted(read_projects(path).items()):
        if only not in (None, number):
            continue
        name = f" {project.name}" if project.name else ""
        print(f"project {number}{name}, organization {project.organization}")
        for key in project.keys:
            print(f"  DSN       {dsn(key, address, number)}")
        for key in project.ping_keys:
            print(f"  ping key  {address.rstrip('/')}/ping/{key}/SLUG")
        for check, slug in project.checks.items():
            print(f"  check     {address.rstrip('/')}/ping/{check} is {slug}")
