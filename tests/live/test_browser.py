"""The pack in ComfyUI's own page: its nodes can be made, its workflows opened and run.

`--screenshots DIR` keeps a picture of each workflow after its run.
"""

import json
import os
import shutil
import time

import pytest

from guided_face_edit.nodes import NODES
from guided_face_edit.tests.support.workflow_files import NAMES, read

pytestmark = pytest.mark.browser

READY = "() => window.app?.vueAppReady && window.app.graph"
ACTIVE = "() => window.app.extensionManager?.workflow?.activeWorkflow"  # stays null on old hosts
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Minimap.Visible": False,
    "LiteGraph.Canvas.MinFontSizeForLOD": 0,  # small text too is drawn
    "LiteGraph.Canvas.LowQualityRenderingZoomThreshold": 0.1,
}
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
RUN = 300  # seconds
SLOT = """([kind, index, input, name]) => {
    const nodes = app.graph._nodes.filter((each) => each.type === kind);
    const node = nodes.sort((one, other) => one.id - other.id).at(index);
    const slot = (input ? node.inputs : node.outputs).findIndex((each) => each.name === name);
    const [x, y] = node.getConnectionPos(input, slot);
    const frame = app.canvas.canvas.getBoundingClientRect();
    const { offset, scale } = app.canvas.ds;
    return [(x + offset[0]) * scale + frame.x, (y + offset[1]) * scale + frame.y];
}"""


@pytest.fixture(scope="module")
def browser():
    """Chromium: the one that CHROMIUM names, else the one on the path."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chrome")
    if program is None:
        pytest.skip("no Chromium on the path: install one, or name it in CHROMIUM")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture
def page(server, browser):
    """ComfyUI's page, ready to open a workflow; nothing of ours may raise in it."""
    server.post("/api/settings", SETTINGS)
    page = browser.new_page(viewport={"width": 2560, "height": 1440})
    raised = []
    page.on("pageerror", lambda error: raised.append(str(error)))
    page.goto(server.url("/"))
    page.wait_for_function(READY, timeout=120_000)
    wait_a_while(page, ACTIVE)
    yield page
    page.close()
    assert not [error for error in raised if "guided-face-edit" in error or "FaceEdit" in error]


def wait_a_while(page, condition):
    from playwright.sync_api import TimeoutError

    try:
        page.wait_for_function(condition, timeout=10_000)
    except TimeoutError:
        return


def open_workflow(page, server, name):
    """Open a template as the template browser does: the file that the server lists."""
    template = server.get(f"/api/workflow_templates/guided-face-edit/{name}.json")
    page.evaluate("([graph, name]) => app.loadGraphData(graph, true, true, name)", [template, name])


@pytest.mark.parametrize("name", NAMES)
def test_the_page_queues_what_the_api_file_says(page, server, root, name):
    open_workflow(page, server, name)
    queued = page.evaluate("async () => (await app.graphToPrompt()).output")
    _, api = read(root, name)
    assert queued.keys() == api.keys()
    for number, node in api.items():
        inputs = queued[number]["inputs"]
        ours = node["class_type"].startswith("FaceEdit_")
        named = inputs if ours else {key: inputs[key] for key in node["inputs"]}
        assert named == node["inputs"]


def test_every_node_can_be_made(page):
    made = page.evaluate(
        """() => Object.keys(LiteGraph.registered_node_types)
            .filter((kind) => kind.startsWith('FaceEdit_'))
            .map((kind) => LiteGraph.createNode(kind))
            .map((node) => [node.type, node.outputs.length + (node.widgets ?? []).length])"""
    )
    assert len(made) == len(NODES)
    assert all(parts > 0 for _, parts in made)


@pytest.mark.parametrize("name", ["face_swap_demo", "candidates_and_metrics"])
def test_a_template_runs_untouched(page, server, name, request):
    open_workflow(page, server, name)
    run_shown(page, server)
    keep_screenshot(page, request, name)


def test_one_more_term_is_wired_by_hand(page, server, request):
    open_workflow(page, server, "face_swap_demo")
    fit(page)
    add_node(page, "Pixel Guidance", (1800, 1050))
    pixel, sampler = "FaceEdit_PixelGuidance", "FaceEdit_GuidedFaceSampler"
    drag(page, slot(page, pixel, 0, "output"), slot(page, pixel, -1, "input"))
    drag(page, slot(page, pixel, -1, "output"), slot(page, sampler, 0, "input"))
    graph = page.evaluate("async () => (await app.graphToPrompt()).output")
    first, second = (
        number for number in sorted(graph, key=int) if graph[number]["class_type"] == pixel
    )
    assert graph[second]["inputs"]["guidance"] == [first, 0]
    (edit,) = (node for node in graph.values() if node["class_type"] == sampler)
    assert edit["inputs"]["guidance"] == [second, 0]
    run_shown(page, server)
    keep_screenshot(page, request, "one_more_term")


def add_node(page, name, place):
    """As a user does: a double click where nothing is, its name, and where it should go."""
    page.mouse.dblclick(*place)
    page.wait_for_timeout(2000)
    page.keyboard.type(name, delay=30)
    page.wait_for_timeout(2000)
    page.keyboard.press("Enter")
    page.wait_for_timeout(1000)
    page.mouse.move(place[0] + 5, place[1] + 5)
    page.mouse.click(*place)
    page.wait_for_timeout(1000)


def slot(page, kind, index, side):
    """Where the guidance goes into a node of a kind, or comes out, in pixels of the page."""
    return page.evaluate(SLOT, [kind, index, side == "input", "guidance"])


def drag(page, start, end):
    page.mouse.move(*start)
    page.wait_for_timeout(500)
    page.mouse.down()
    page.wait_for_timeout(500)
    page.mouse.move(*end, steps=20)
    page.wait_for_timeout(500)
    page.mouse.up()
    page.wait_for_timeout(500)


def run_shown(page, server):
    """Queue what the page shows, and wait for its pictures."""
    before = set(server.get("/history"))
    page.evaluate("() => app.queuePrompt(0, 1)")
    prompt = next_ended(server, before)
    run = server.get(f"/history/{prompt}")[prompt]
    assert run["status"]["status_str"] == "success", json.dumps(run["status"])
    assert any(each.get("images") for each in run["outputs"].values())


def next_ended(server, before):
    """The first prompt that ends beside those of `before`."""
    until = time.monotonic() + RUN
    while not (ended := set(server.get("/history")) - before):
        assert time.monotonic() < until, f"nothing ended in {RUN} s"
        time.sleep(0.5)
    return ended.pop()


def keep_screenshot(page, request, name):
    folder = request.config.getoption("--screenshots")
    if folder:
        fit(page)
        page.screenshot(path=os.path.join(folder, f"{name}.png"))


def fit(page):
    """Show the whole graph, not a selected node alone."""
    page.evaluate("() => app.canvas.deselectAll()")
    page.evaluate("() => app.extensionManager?.command?.execute('Comfy.Canvas.FitView')")
    page.wait_for_timeout(3000)
