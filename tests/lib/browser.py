"""Chromium without a screen, and what is asked of a page in it: layout, contrast, roles."""
import base64
import contextlib
import json
import shutil
import tempfile

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--lang=en-GB",
             "--force-prefers-reduced-motion"]

# Every text that can be seen, with the contrast between its colour and what lies behind it (WCAG 2.2, 1.4.3).
CONTRAST = """
function channels(colour) {
  const m = colour.match(/[\\d.]+/g).map(Number);
  return {r: m[0], g: m[1], b: m[2], a: m.length > 3 ? m[3] : 1};
}
function over(top, under) {
  const mix = (x, y) => x * top.a + y * (1 - top.a);
  return {r: mix(top.r, under.r), g: mix(top.g, under.g), b: mix(top.b, under.b), a: 1};
}
function luminance(c) {
  const f = x => { x /= 255; return x <= 0.03928 ? x / 12.92 : Math.pow((x + 0.055) / 1.055, 2.4); };
  return 0.2126 * f(c.r) + 0.7152 * f(c.g) + 0.0722 * f(c.b);
}
function background(element) {
  const layers = [];
  for (let e = element; e; e = e.parentElement) layers.push(channels(getComputedStyle(e).backgroundColor));
  let colour = {r: 255, g: 255, b: 255, a: 1};
  for (const layer of layers.reverse()) colour = over(layer, colour);
  return colour;
}
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const text = walker.currentNode.textContent.trim(), e = walker.currentNode.parentElement;
  if (!text || e.closest('svg, .hidden, script, style') || !e.checkVisibility()) continue;
  const back = background(e), front = over(channels(getComputedStyle(e).color), back);
  const a = luminance(front), b = luminance(back);
  found.push([text.slice(0, 40), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
}
return found;
"""

# The same for shapes: what a symbol or column is filled with, against the sheet behind its figure (1.4.11).
SHAPES = CONTRAST.split("const found")[0] + """
return [...document.querySelectorAll('.icon, rect, .key')].filter(e => e.checkVisibility()).map(e => {
  const s = getComputedStyle(e), fill = channels(e.matches('.key') ? s.backgroundColor : s.fill);
  const a = luminance(fill), b = luminance(background(e.matches('.key') ? e.parentElement : e.closest('figure, section, p, td, li, body')));
  return [e.getAttribute('class'), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
});
"""

# Links that a click would miss: something else lies on the middle of them. Each is scrolled to and has the focus.
COVERED = """
document.querySelectorAll('details').forEach(e => { e.open = true; });
return [...document.querySelectorAll('a[href]')].filter(a => {
  a.focus({preventScroll: true});
  a.scrollIntoView({block: 'center', inline: 'center'});
  const box = a.getClientRects()[0];
  return !box || !a.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
}).map(a => a.outerHTML);
"""


class Browser:
    """`with Browser() as b: b.open(url)`."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="opstower-chromium-")
        self.driver = None

    def __enter__(self):
        options = Options()
        for argument in [*ARGUMENTS, f"--user-data-dir={self.profile}"]:
            options.add_argument(argument)
        options.binary_location = shutil.which("chromium")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        try:
            self.driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info):
        with contextlib.suppress(AttributeError):
            self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    def look(self, width=1200, height=900, dark=False):
        """How the next pages are shown."""
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})

    def scripts(self, on):
        """Whether pages may run scripts (the tests' own still do)."""
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not on})

    def open(self, url):
        self.driver.get(url)

    def run(self, script):
        return self.driver.execute_script(script)

    def console(self):
        """What the console has said since the last time."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requested(self):
        """Addresses that pages have asked for since the last time."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]

    def links(self):
        return self.run("return [...document.querySelectorAll('a[href]')].map(a => a.href)")

    def covered_links(self):
        return self.run(COVERED)

    def contrasts(self):
        return self.run(CONTRAST)

    def shapes(self):
        return self.run(SHAPES)

    def tree(self):
        """The accessibility tree as a list of (role, name)."""
        nodes = self.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        return [(node.get("role", {}).get("value"), node.get("name", {}).get("value", "")) for node in nodes
                if not node.get("ignored")]

    def screenshot(self, path, width, height=2400):
        whole = self.run("return document.documentElement.scrollHeight")
        data = self.driver.execute_cdp_cmd("Page.captureScreenshot", {
            "captureBeyondViewport": True,
            "clip": {"x": 0, "y": 0, "width": width, "height": min(whole, height), "scale": 1}})["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
