"""Routes of the pack on the host's server: what a run has measured, commands to it, and help pages.

An id is looked up among the runs that are known and never becomes a path. What changes something is a POST. Requests
of other web sites are refused by the host before they get here, as for its own routes.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from ..runs.events import prompt_server
from ..runs.live_runs import LiveRun, live_run, run_list, run_table
from .citations import cite
from .comparison import compare
from .help_pages import help_page, help_route
from .more_cards import more_cards
from .results import results

PREFIX = "/fewshot_video/runs"
RESULTS, CITATION = "/fewshot_video/results", "/fewshot_video/citation"
COMPARISON = "/fewshot_video/comparison"
ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
ASKED, LONGEST = ("method", "folder", "name", "run"), 500  # of a citation, and the characters of each at most
ORDERS = {
    "stop": "the run stops after the step under way and keeps its LoRA",
    "save": "the run saves its state after the step under way",
    "sample": "the run makes a preview after the step under way",
}


def register_routes() -> bool:
    """Add the routes to the host's server, once; False where there is no server, as in tests."""
    server = prompt_server()
    if server is None:
        return False
    if any(getattr(route, "path", None) == PREFIX for route in server.routes):
        return True
    server.routes.get(PREFIX)(_listing)
    server.routes.get(PREFIX + "/{run}")(_table)
    server.routes.get(PREFIX + "/{run}/more_cards")(_more_cards)
    for name in ORDERS:
        server.routes.post(f"{PREFIX}/{{run}}/{name}")(_command(name))
    server.routes.get(RESULTS)(_results)
    server.routes.get(CITATION)(_citation)
    server.routes.get(COMPARISON)(_comparison)
    if (route := help_route()) is not None:
        server.routes.get(route)(_help_page)
    return True


async def _listing(_request: Any) -> Any:
    """Runs and where they stand, the newest first."""
    return _answer({"runs": await asyncio.to_thread(run_list)})


async def _table(request: Any) -> Any:
    """Everything to draw one run."""
    run = request.match_info["run"]
    table = await asyncio.to_thread(run_table, run) if ID.fullmatch(run) else None
    return _unknown() if table is None else _answer(table)


async def _more_cards(request: Any) -> Any:
    """The command that trains a run on more cards."""
    run = request.match_info["run"]
    try:
        return _answer(await asyncio.to_thread(more_cards, run if ID.fullmatch(run) else ""))
    except ValueError as error:
        return _answer({"error": str(error)}, 404)


async def _results(_request: Any) -> Any:
    """Names of what has been trained."""
    return _answer({"groups": await asyncio.to_thread(results)})


async def _citation(request: Any) -> Any:
    """How to cite a file or a method; each is looked up among those that are known."""
    asked = {name: request.query.get(name, "")[:LONGEST] for name in ASKED}
    try:
        return _answer(await asyncio.to_thread(partial(cite, **asked)))
    except ValueError as error:
        return _answer({"error": str(error)}, 404)


async def _comparison(request: Any) -> Any:
    """Settings of runs side by side."""
    ids = [run for run in request.query.getall("run", []) if ID.fullmatch(run)]
    try:
        return _answer(await asyncio.to_thread(compare, ids))
    except ValueError as error:
        return _answer({"error": str(error)}, 404)


async def _help_page(request: Any) -> Any:
    """A help page in the language of the page, or the English one."""
    path = await asyncio.to_thread(help_page, request.match_info["node"], request.match_info["language"])
    if path is None:
        return _answer({"error": "there is no help page of such a node"}, 404)
    return sys.modules["server"].web.FileResponse(path)


def _command(name: str) -> Callable[[Any], Any]:
    """The handler of one command."""

    async def handle(request: Any) -> Any:
        run_id = request.match_info["run"]
        run = live_run(run_id) if ID.fullmatch(run_id) else None
        if run is None:
            # A run of an earlier session is known but hears no orders.
            known = ID.fullmatch(run_id) and await asyncio.to_thread(run_table, run_id) is not None
            return _over() if known else _unknown()
        if not run.running:
            return _over()
        if name not in run.commands:
            return _answer({"error": f"this run cannot {name}"}, 409)
        taken = await asyncio.to_thread(run.commands[name], run_id)
        return _answer({"ok": True, "text": _promise(name, run)}) if taken else _over()

    return handle


def _promise(name: str, run: LiveRun) -> str:
    """What follows from a command."""
    if name == "stop" and run.stage and run.stage.next:
        return f"{run.stage.name} stops after the step under way; {run.stage.next} then begins with what it has learned"
    return ORDERS[name]


def _unknown() -> Any:
    return _answer({"error": "there is no such run; reload the page"}, 404)


def _over() -> Any:
    return _answer({"error": "the run has ended; give its name as run_name and queue it again to go on"}, 409)


def _answer(data: dict[str, Any], status: int = 200) -> Any:
    # The host's own name for its web library: the pack itself imports nothing that could reach a network.
    return sys.modules["server"].web.json_response(data, status=status, headers={"Cache-Control": "no-store"})
