"""The pack's commands in the page: what has been trained, and how to cite it."""

from __future__ import annotations

from typing import Any

from browser import MENU, Site
from training_page import TRAINER, training_workflow

LIST, CITE, CARDS = "FewShotVideo.ListResults", "FewShotVideo.Cite", "FewShotVideo.MoreCards"
DIALOG = "dialog.fewshot-dialog"


def run(site: Site, command: str) -> None:
    """Run a command as a key does that somebody has set for it."""
    site.page.evaluate("id => app.extensionManager.command.execute(id)", command)


def select(site: Site, kind: str) -> None:
    """Select the first node of a type, and nothing else."""
    site.page.evaluate("k => app.canvas.selectItems(app.graph.nodes.filter(n => n.type === k).slice(0, 1))", kind)


def dialog(site: Site) -> Any:
    """The open dialog."""
    found = site.page.locator(DIALOG)
    found.wait_for()
    return found


def top(part: Any) -> float:
    """Where a part of the page begins, in pixels."""
    return part.bounding_box()["y"]


def bottom(part: Any) -> float:
    """Where it ends."""
    box = part.bounding_box()
    return box["y"] + box["height"]


def test_the_commands_list_what_was_trained_and_cite_it(site):
    name = f"named {site.nodes2}"
    site.open_graph(training_workflow(name, 1))
    labels = site.page.evaluate("() => app.extensionManager.command.commands.map(c => c.label)")
    assert {"FewShot Video: open results folder list", "FewShot Video: cite this LoRA"} <= set(labels)
    site.queue()
    assert site.wait_done() == "execution_success"
    site.page.wait_for_function("() => /^Finished/.test(document.querySelector('.fewshot-state').textContent)")

    run(site, LIST)
    dialog(site).evaluate("dialog => dialog.classList.add('earlier')")
    run(site, LIST)
    site.page.wait_for_selector(f"{DIALOG}:not(.earlier)")
    site.sees(site.page.locator(DIALOG).count, 1)  # it is there once
    listed = lambda: dialog(site).locator("li").all_inner_texts()  # noqa: E731
    site.until(lambda: any(item.startswith(name) for item in listed()), f"{name} is listed")
    items = listed()
    assert not any("/" in item or "\\" in item for item in items)
    site.page.keyboard.press("Escape")
    site.page.wait_for_selector(DIALOG, state="detached")
    assert site.node(TRAINER)  # the key did not reach the graph

    select(site, TRAINER)
    run(site, CITE)
    bibtex = dialog(site).locator("textarea").input_value()
    assert "@article{kim2025temporal," in bibtex
    assert f"title        = {{{name}" in bibtex
    site.until(lambda: "1 step," in dialog(site).inner_text(), "what was trained")
    site.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    dialog(site).get_by_role("button", name="Copy").click()
    site.page.wait_for_function(
        "() => document.querySelector('.fewshot-dialog [role=status]').textContent === 'Copied'"
    )
    assert site.page.evaluate("() => navigator.clipboard.readText()") == bibtex
    dialog(site).get_by_role("button", name="Close").click()
    site.page.wait_for_selector(DIALOG, state="detached")

    select(site, TRAINER)
    run(site, CARDS)
    text = dialog(site).locator("textarea")
    assert text.evaluate("e => e.scrollWidth <= e.clientWidth")  # the whole line can be read
    command = text.input_value()
    assert "train.py " in command
    assert name in command
    assert "--base-directory" in command  # this ComfyUI was started with one
    assert "PowerShell" not in dialog(site).inner_text()
    dialog(site).get_by_role("button", name="Close").click()
    site.page.wait_for_selector(DIALOG, state="detached")

    on_windows = {"title": name, "command": "Push-Location", "shell": "PowerShell"}
    site.page.route("**/more_cards", lambda route: route.fulfill(json=on_windows))
    run(site, CARDS)
    site.until(lambda: "Use PowerShell: other shells would" in dialog(site).inner_text(), "which shell takes it")
    site.page.unroute("**/more_cards")
    dialog(site).get_by_role("button", name="Close").click()
    site.page.wait_for_selector(DIALOG, state="detached")

    site.page.evaluate("() => app.canvas.deselectAll()")
    run(site, CITE)
    toast = site.page.get_by_text("Select one node that loads or trains a LoRA, then run the command again.")
    toast.first.wait_for()  # newer front ends also read it out
    assert site.page.locator(DIALOG).count() == 0


def test_runs_are_compared_side_by_side_and_their_previews_shown(site):
    name, other = f"one {site.nodes2}", f"other {site.nodes2}"
    for which, steps in ((name, 1), (other, 2)):
        site.open_graph(training_workflow(which, steps, sample_every=steps))
        site.queue()
        assert site.wait_done() == "execution_success"
    run(site, LIST)
    compare = dialog(site).get_by_role("button", name="Compare settings")
    assert compare.is_disabled()
    for which in (name, other):
        dialog(site).get_by_role("checkbox", name=f"Compare {which}", exact=True).check()
    compare.click()
    table = dialog(site).locator("table")
    table.wait_for()
    assert {name, other} <= set(table.locator("thead th").all_inner_texts())
    came_to = table.locator("tbody").first.locator("tr").first.inner_text().split("\t")
    assert sorted(came_to) == ["finished at 1 of 1", "finished at 2 of 2", "state"]
    differing = table.locator("tr.fewshot-differs").all_inner_texts()
    assert any(row.split()[:1] == ["steps"] and set(row.split()[1:]) == {"1", "2"} for row in differing)
    dialog(site).get_by_role("button", name="Back to the list").click()
    row = dialog(site).locator("li.fewshot-run").filter(has_text=other)
    row.first.get_by_role("button", name="Previews").click()
    site.until(lambda: f"Previews of {other}" in dialog(site).inner_text(), "the previews")
    strip = dialog(site).locator(".fewshot-strip")
    site.sees(strip.locator("video").count, 1)  # after the second of two steps
    back = dialog(site).get_by_role("button", name="Back to the list")
    site.until(lambda: 0 < bottom(strip) <= top(back) <= bottom(back) <= bottom(dialog(site)), "the strip is above it")
    back.click()
    site.until(lambda: "What has been trained" in dialog(site).inner_text(), "the list again")
    site.page.keyboard.press("Escape")
    site.page.wait_for_selector(DIALOG, state="detached")


def test_the_menu_has_the_commands(site):
    site.open_template("tic_ft_train_toy")
    site.open_submenu("FewShot Video", "Cite this LoRA")
    site.page.locator(MENU).get_by_text("Open results folder list", exact=True).click()
    site.until(lambda: "What has been trained" in dialog(site).inner_text(), "the list")
    site.page.keyboard.press("Escape")
    site.page.wait_for_selector(DIALOG, state="detached")
