"""What each folder of the pack may import and call, read from the source without running it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

FOLDERS = ("methods", "training", "nodes", "toy")
LIBRARIES = {"torch", "einops", "numpy", "diffusers"}
HOST = {"comfy", "comfy_api", "comfy_execution", "comfy_extras", "comfyui_version", "execution"}
HOST |= {"comfyui_workflow_templates", "folder_paths", "latent_preview", "node_helpers", "server", "utils"}
FORBIDDEN = {"aiohttp", "ftplib", "http", "httpx", "huggingface_hub", "requests", "scripts", "smtplib"}
FORBIDDEN |= {"socket", "socketserver", "ssl", "subprocess", "urllib", "urllib3", "webbrowser"}
FORBIDDEN |= {"websockets", "xmlrpc"}
FORBIDDEN |= {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
LAZY = {
    "PIL",
    "accelerate",
    "av",
    "diffusers",
    "regex",
    "tqdm",
    "transformers",
    "yaml",
}  # only some functions need them
BUILTINS = {"eval", "exec", "compile", "__import__"}
CALLS = {"torch.load", "torch.save", "torch.hub.load", "os.system", "os.popen", "os.startfile"}
CALLS |= {"importlib.import_module", "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell"}
PARENTS = {"methods": {"methods"}, "training": {"methods", "training"}, "toy": {"methods", "training", "toy"}}
PARENTS["nodes"] = set(FOLDERS)
TOGETHER = {"accelerate"}  # of several processes, as torch.distributed is
# Modules that load it, and who may import them: ``train.py``'s command alone, which ComfyUI never imports.
JOINING = {"training.distributed.group", "training.distributed.heartbeat", "training.distributed.sharding"}
LAUNCH = ("nodes", "host", "launch")
# Rooms of a folder, lowest first: a room imports from itself and from those below it.
ROOMS = {
    ("training",): (
        "storage",
        "distributed",
        "core",
        "lora",
        "data",
        "tic_ft",
        "aicl",
        "motion",
        "tune_a_video",
        "runs",
    ),
    ("nodes", "host"): (
        *("services", "model", "layers", "sampling", "aicl", "tune_a_video"),
        *("session", "runs", "trainers", "plan", "page", "launch"),
    ),
}


@dataclass(frozen=True)
class Import:
    """One imported module."""

    module: str  # dotted; of the pack's own modules from the root of the pack
    own: bool  # a relative import
    top: bool  # runs when the file is imported
    line: int


def violations(path: str, source: str) -> list[str]:
    """Every rule that ``source``, at ``path`` below the root of the pack, breaks."""
    tree = ast.parse(source)
    place = PurePosixPath(path)
    found = [message for entry in imports(tree, place) for message in check_import(entry, place)]
    found += [message for node in ast.walk(tree) for message in check_call(node, place)]
    return [f"{path}:{message}" for message in found]


def imports(tree: ast.AST, place: PurePosixPath, top: bool = True) -> Iterator[Import]:
    """All imports below ``tree``; those only a type checker sees are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, False, top, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from _from_imports(node, place, top)
        elif not _is_type_checking(node):
            inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from imports(node, place, top and not inside)


def _from_imports(node: ast.ImportFrom, place: PurePosixPath, top: bool) -> Iterator[Import]:
    """Imports of one ``from`` statement; relative ones are resolved from the root of the pack."""
    if node.level == 0:
        together = node.module == "torch" and any(alias.name == "distributed" for alias in node.names)
        yield Import("torch.distributed" if together else node.module or "", False, top, node.lineno)
        return
    base = place.parent.parts
    climbed = node.level - 1
    if climbed > len(base):
        yield Import("outside the pack", True, top, node.lineno)
        return
    parts = [*base[: len(base) - climbed], *(node.module.split(".") if node.module else [])]
    for alias in node.names:
        yield Import(".".join([*parts, alias.name]), True, top, node.lineno)


def _is_type_checking(node: ast.AST) -> bool:
    """Whether the node is ``if TYPE_CHECKING:``."""
    return isinstance(node, ast.If) and ast.unparse(node.test).split(".")[-1] == "TYPE_CHECKING"


def check_import(entry: Import, place: PurePosixPath) -> list[str]:
    """The rules that one import breaks."""
    root = entry.module.split(".")[0]
    if entry.own:
        return [f"{entry.line} imports {entry.module}"] if not own_allowed(entry.module, place) else []
    found = []
    if (root in TOGETHER or entry.module.startswith("torch.distributed")) and place.parts[:2] != (
        "training",
        "distributed",
    ):
        return [f"{entry.line} imports {entry.module}, which only training/distributed does"]
    if root in FORBIDDEN:
        found.append(f"{entry.line} imports {entry.module}: no network, process, pickle or scripts here")
    elif not absolute_allowed(entry, place):
        found.append(f"{entry.line} imports {entry.module}, which is not for this folder")
    if entry.top and root in LAZY:
        found.append(f"{entry.line} imports {root} at module level; do it in the function that uses it")
    return found


def own_allowed(module: str, place: PurePosixPath) -> bool:
    """Whether a file may import another file of the pack: never upwards, and node files not each other."""
    parts = module.split(".")
    folder = place.parts[0]
    if folder == "__init__.py":
        return parts[0] == "nodes"
    if folder not in PARENTS or parts[0] not in PARENTS[folder]:
        return False
    if is_script(PurePosixPath(*parts)) and not is_script(place):
        return False
    if not room_allowed(parts, place):
        return False
    if any(".".join(parts[:3]) == joining for joining in JOINING):
        return place.parts[:3] == LAUNCH or place.parts[:2] == ("training", "distributed")
    if folder != "nodes" or parts[0] != "nodes":
        return True
    if len(parts) < 2:
        return False  # the package itself, which imports the node files
    return parts[1] == "host" or (parts[1] == "sockets" and place.parts[1] != "host")


def room_allowed(parts: list[str], place: PurePosixPath) -> bool:
    """Whether a file may import a module as far as their rooms go: never one of a higher room."""
    for folder, rooms in ROOMS.items():
        depth = len(folder)
        if tuple(parts[:depth]) == folder == place.parts[:depth]:
            target, own = parts[depth], place.parts[depth]
            return target in rooms and own in rooms and rooms.index(target) <= rooms.index(own)
    return True


def circles(root: Path) -> list[list[str]]:
    """Groups of files of the pack that import each other in a circle, wherever in the file they do."""
    files = {path: (root / path).read_text(encoding="utf-8") for path in pack_files(root)}
    modules = {path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in files}
    edges: dict[str, set[str]] = {module: set() for module in modules}
    for module, path in modules.items():
        for entry in imports(ast.parse(files[path]), PurePosixPath(path)):
            named = entry.module if entry.module in modules else entry.module.rpartition(".")[0]
            if entry.own and named in modules and named != module:
                edges[module].add(named)
    return strongly_connected(edges)


def strongly_connected(edges: dict[str, set[str]]) -> list[list[str]]:
    """The groups of more than one node that reach each other."""
    reach = {node: _reached(node, edges) for node in edges}
    groups = {tuple(sorted(other for other in reach[node] if node in reach[other])) for node in edges}
    return [list(group) for group in sorted(groups) if len(group) > 1]


def _reached(start: str, edges: dict[str, set[str]]) -> set[str]:
    found, waiting = set(), [start]
    while waiting:
        for node in edges[waiting.pop()] - found:
            found.add(node)
            waiting.append(node)
    return found


def absolute_allowed(entry: Import, place: PurePosixPath) -> bool:
    """Whether a file may import a module that is not the pack's."""
    root, folder = entry.module.split(".")[0], place.parts[0]
    if root in sys.stdlib_module_names or root in LIBRARIES or root in TOGETHER:
        return True
    if root == "tqdm":
        return place.parts[:3] == LAUNCH  # the host brings it along
    if is_script(place) and root in ("toy", "pack"):
        return True  # run by hand, with the checkout on the path or loaded as a package
    if root in HOST:
        return host_allowed(entry, place)
    if root in ("filelock", "yaml"):  # torch brings the one along, diffusers and the host the other
        return folder == "training"
    return root in {"safetensors", "av", "PIL", "regex"} and folder != "methods"


def host_allowed(entry: Import, place: PurePosixPath) -> bool:
    """Whether a file may import this module of the host."""
    folder = place.parts[0]
    if is_script(place):  # what it trains are the host's own network classes
        return entry.module.split(".")[0] == "comfy"
    if folder != "nodes":
        return False
    return place.parts[1] == "host" or ".".join(entry.module.split(".")[:2]) == "comfy_api.latest"


def is_script(place: PurePosixPath) -> bool:
    """Whether the file makes the toy model: run by hand, never imported by the pack."""
    return place.parts[0] == "toy" and (place.parts[1] == "pretrain" or place.name.startswith("train"))


def check_call(node: ast.AST, place: PurePosixPath) -> list[str]:
    """The rules that one call breaks."""
    if not isinstance(node, ast.Call):
        return []
    name = ast.unparse(node.func)
    forbidden = name in CALLS or name in BUILTINS or name.startswith(("os.exec", "os.spawn"))
    forbidden |= name.split(".")[-1] in {"from_pretrained", "hf_hub_download", "snapshot_download"}
    forbidden |= any(k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in node.keywords)
    importers = (("nodes", "__init__.py"), ("training", "core", "optimizers.py"))  # node files; optimisers by name
    allowed = name == "importlib.import_module" and place.parts in importers
    return [f"{node.lineno} calls {name}"] if forbidden and not allowed else []


def pack_files(root: Path) -> list[str]:
    """All Python files that users install, from the root of the pack."""
    inside = (path for name in FOLDERS for path in sorted((root / name).rglob("*.py")))
    own = [path.relative_to(root) for path in (root / "__init__.py", *inside)]
    return [path.as_posix() for path in own if path.parts[:2] != ("toy", "runs")]
