"""The graph of a run, executed by the host's own executor in this process."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any

from ....training.data.encoding import EncodedDataset
from ....training.runs.graph import Graph, upstream
from ....training.runs.portable import PortableRun

RECORDED = "FewShotRecordedSet"  # known to no other host than that of this process
ENCODE = "FewShotEncodeDataset"
PREVIEW = "vae"  # input of the Train nodes; without one previews show colours


class GraphError(RuntimeError):
    """A node of the graph failed; the sentence is its own."""

    def __init__(self, text: str, kind: str) -> None:
        super().__init__(text)
        self.kind = kind  # name of the exception's class


class Silent:
    """What the executor tells a server; nobody listens."""

    client_id: Any = None
    last_node_id: Any = None
    last_prompt_id: Any = None
    sockets_metadata: dict[str, Any]

    def __init__(self) -> None:
        self.sockets_metadata = {}

    def send_sync(self, *_: Any) -> None:
        """Tell nobody."""

    def send_progress_text(self, *_: Any) -> None:
        """Draw it on no node."""


def training_graph(run: PortableRun, sets: Mapping[str, EncodedDataset] | None) -> Graph:
    """The graph that goes on with a run: its data from ``sets`` by their names, or with None from its own nodes.

    Its own nodes keep what they encode in the cache, also where the run was begun without one.
    """
    graph: Graph = {key: {**node, "inputs": dict(node["inputs"])} for key, node in run.graph.items()}
    for node in graph.values():
        if sets is None and node["class_type"] == ENCODE:
            node["inputs"]["cache"] = True
    inputs = graph[run.node]["inputs"]
    inputs.pop(PREVIEW, None)
    inputs["run_name"] = inputs.get("run_name") or run.name
    for name in sets or ():
        graph[f"recorded {name}"] = {"class_type": RECORDED, "inputs": {"name": name}}
        inputs[name] = [f"recorded {name}", 0]
    return upstream(graph, run.node)


def execute(graph: Graph, last: str, sets: Mapping[str, EncodedDataset]) -> None:
    """Execute a graph up to a node.

    Raises:
        GraphError: a node raised, or the run was cancelled.
    """
    import execution

    host: Any = execution.nodes  # pyright: ignore[reportAttributeAccessIssue] - the host's, which it imports
    host.NODE_CLASS_MAPPINGS[RECORDED] = recorded_sets(sets)
    executor = _executor()
    # Not its ``execute``, which older hosts lack in this form.
    asyncio.run(executor.execute_async(graph, uuid.uuid4().hex, {}, [last]))
    for event, data in executor.status_messages:
        if event == "execution_error":
            raise GraphError(str(data["exception_message"]).strip(), str(data["exception_type"]).rpartition(".")[2])
        if event == "execution_interrupted":
            raise GraphError("the run was cancelled", "InterruptProcessingException")


def recorded_sets(sets: Mapping[str, EncodedDataset]) -> type:
    """A node of the host's first kind that gives the data sets by name."""

    class RecordedSet:
        RETURN_TYPES = ("FEWSHOT_ENCODED",)
        FUNCTION = "give"
        CATEGORY = ""

        @classmethod
        def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - the host's name
            return {"required": {"name": ("STRING", {})}}

        def give(self, name: str) -> tuple[EncodedDataset]:
            return (sets[name],)

    return RecordedSet


def _executor() -> Any:
    import execution

    server: Any = Silent()
    kind: Any = execution.CacheType.CLASSIC
    none = {"lru": 0, "ram": 0.0, "ram_inactive": 0.0}
    return execution.PromptExecutor(server, cache_type=kind, cache_args=none)
