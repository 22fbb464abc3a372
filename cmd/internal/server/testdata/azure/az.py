"""Runs commands of az in one process, because az takes a second or more to load.

It reads a JSON list of commands, each a list of arguments, and prints a JSON list of [exit code, stdout, stderr]. With
the argument "commands" it prints the names of all commands of "az acr" instead.
"""
import contextlib
import io
import json
import logging
import sys

from azure.cli.core import MainCommandsLoader, get_default_cli


def run(arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        for name in (None, "cli", "az"):  # az logs to the stderr that it finds when it sets its logs up
            logging.getLogger(name).handlers.clear()
        try:
            code = get_default_cli().invoke(arguments, out_file=out)
        except SystemExit as e:
            code = e.code
    return [code or 0, out.getvalue(), err.getvalue()]


if sys.argv[1:] == ["commands"]:
    table = MainCommandsLoader(get_default_cli()).load_command_table(["acr"])
    json.dump(sorted(name for name in table if name.startswith("acr ")), sys.stdout)
    sys.exit()
real = sys.stdout
got = [run(arguments) for arguments in json.load(sys.stdin)]
json.dump(got, real)
