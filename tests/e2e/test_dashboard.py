"""The dashboard in Chromium: every state, by click, by eye, by ear (the accessibility tree), on a phone, in the dark.

Screenshots go to $DASHBOARD_SHOTS, if that is set, for people to look at.
"""
import html.parser
import os
import re
import shutil
import urllib.parse

import pytest
from selenium.webdriver.support.ui import WebDriverWait

from conftest import create_database, drop_databases
from lib import dashboard, pgserver, runner
from lib.browser import Browser

STATES = {"healthy": "OK", "warning": "Warning", "critical": "Critical", "empty": "Unknown"}
PAGES = ["/", "/backups", "/history", "/recovery", "/journal", "/retention"]
LOOKS = [(1200, False), (1200, True), (375, False), (375, True)]


@pytest.fixture(scope="module")
def browser():
    with Browser() as started:
        yield started


@pytest.fixture(scope="module", params=STATES)
def state(request, server):
    """A dashboard in one state; its name, and where it is."""
    name = f"shop_{request.param}"
    made = create_database(server, name)
    made.query("CREATE TABLE bookings (id int PRIMARY KEY, t text); CREATE TABLE payments (id int);"
               "INSERT INTO bookings SELECT g, md5(g::text) FROM generate_series(1, 500) g")
    folder = pgserver.temporary_folder("opstower-web-")
    opstower = runner.Opstower(folder, {"PG_BINDIR": server.bindir, "DATABASE_URL": made.url})
    dashboard.make_state(opstower, made, request.param)
    with dashboard.Dashboard(opstower) as served:
        served.state = request.param
        yield served
    drop_databases(server, name)
    shutil.rmtree(folder)


def first_backup(served):
    found = re.findall(r'href="(/backups/[^"]+)"', served.get("/backups").text)
    return [found[0]] if found else []


def pages(served):
    return [*PAGES, *first_backup(served), "/nothing"]


def shoot(browser, served, path, width, dark):
    if os.environ.get("DASHBOARD_SHOTS"):
        page = path.strip("/").split("/")[0] + ("-one" if path.count("/") > 1 else "") or "health"
        name = f"{served.state}_{page}_{width}{'_dark' if dark else ''}.png"
        browser.screenshot(os.path.join(os.environ["DASHBOARD_SHOTS"], name), width)


def test_the_verdict_is_the_first_thing(browser, state):
    browser.look()
    browser.open(state.url + "/")
    word = STATES[state.state]
    banner = browser.driver.find_element("css selector", "main .banner")
    assert banner.text.startswith(word), "the word, before anything else"
    assert banner.rect["y"] + 60 < 300, "without scrolling"
    assert browser.driver.title.startswith(word + ":")
    headline = browser.driver.find_element("id", "verdict").text
    expected = {"healthy": "All is well", "warning": "Backup age: 3 h", "critical": "Backup age: 1 d",
                "empty": "Backup age: no backup yet"}[state.state]
    assert headline.startswith(expected)
    assert ("What to do:" in banner.text) == (word != "OK")
    icon = browser.run("return document.querySelector('.banner .icon use').getAttribute('href')")
    assert icon == f"#i-{word.lower()}", "a shape of its own"


def test_no_console_error_and_nothing_from_elsewhere(browser, state):
    browser.console(), browser.requested()
    for path in pages(state)[:-1]:
        browser.open(state.url + path)
    assert browser.console() == []
    asked = [urllib.parse.urlsplit(url) for url in browser.requested()]
    assert {url.netloc for url in asked if url.scheme not in ("data", "chrome")} == {f"127.0.0.1:{state.port}"}


class Page(html.parser.HTMLParser):
    """What is on a page to follow (href), and to arrive at (id)."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids = [], {""}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids.add(attributes.get("id", ""))
        if tag == "a":
            self.links.append(attributes["href"])


def test_every_link_leads_somewhere(state):
    """Followed until no new one is found; pages have no script that could make others."""
    waiting, found = ["/"], {}
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        answer = state.get(path)
        is_page = answer.headers["content-type"].startswith("text/html")
        found[path] = Page(answer.text if is_page else "")
        assert len(found) < 3000, "no end"
        for link in found[path].links:
            target = urllib.parse.urlsplit(urllib.parse.urljoin(state.url + path, link))
            assert target.netloc == f"127.0.0.1:{state.port}", (path, link)
            waiting.append(target._replace(scheme="", netloc="", fragment="").geturl())
    for path, page in found.items():
        for link in page.links:
            target, fragment = urllib.parse.urldefrag(urllib.parse.urljoin(path, link))
            assert fragment in found[target].ids, (path, link)
    assert set(PAGES) <= set(found)
    assert len(found) >= 10


def test_every_link_can_be_hit(browser, state):
    """In the middle of what is shown of it there is nothing else; and a click on it goes there."""
    browser.look()
    for path in pages(state):
        browser.open(state.url + path)
        assert len(browser.links()) >= len(PAGES)
        assert browser.covered_links() == [], path
    for number, path in enumerate(PAGES):
        browser.driver.find_elements("css selector", "nav a[href]")[number].click()
        assert browser.driver.current_url == state.url + path


@pytest.mark.parametrize("width,dark", LOOKS)
def test_contrast_and_width(browser, state, width, dark):
    browser.look(width, 800, dark)
    for path in pages(state):
        browser.open(state.url + path)
        shoot(browser, state, path, width, dark)
        texts = browser.contrasts()
        assert len(texts) > 10
        assert [pair for pair in texts if pair[1] < 4.5] == [], path
        assert [pair for pair in browser.shapes() if pair[1] < 3] == [], path
        assert browser.run("return document.documentElement.scrollWidth") <= width, f"{path} scrolls sideways"
        background = browser.run("return getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 200) == dark


def test_structure_for_screen_readers(browser, state):
    browser.look()
    for path in pages(state):
        browser.open(state.url + path)
        tree = browser.tree()
        roles = [role for role, _ in tree]
        for landmark in ("banner", "main", "contentinfo"):
            assert roles.count(landmark) == 1, (path, landmark)
        navigations = [name for role, name in tree if role == "navigation"]
        assert navigations[0] == "Pages" and len(set(navigations)) == len(navigations), (path, navigations)
        assert all(name for role, name in tree if role in ("link", "button", "img", "region", "combobox", "heading", "search")), path
        assert browser.run("return document.documentElement.lang") == "en"
        levels = browser.run("return [...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(h => +h.tagName[1])")
        assert levels[0] == 1 and levels.count(1) == 1, path
        assert all(b <= a + 1 for a, b in zip(levels, levels[1:])), (path, levels)
        assert browser.run("""return [...document.querySelectorAll('table')].filter(t =>
            !t.querySelector('thead th[scope=col]') || [...t.querySelectorAll('tbody tr')].some(r => !r.querySelector('th[scope=row]'))
            ).length""") == 0, path
        assert browser.run("""return [...document.querySelectorAll('svg')].filter(s => !s.hasAttribute('aria-hidden') &&
            !(s.getAttribute('role') === 'img' && s.querySelector(':scope > title').textContent &&
              s.querySelector(':scope > desc').textContent)).length""") == 0, path
        ids = browser.run("return [...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids)), path
        broken = browser.run("""return [...document.querySelectorAll('[aria-labelledby]')].flatMap(e =>
            e.getAttribute('aria-labelledby').split(' ')).filter(id => !document.getElementById(id))""")
        assert broken == [], path
        assert browser.run("return document.querySelectorAll('input:not([type=hidden]), select').length") == \
            browser.run("return document.querySelectorAll('label input, label select').length"), path


def test_charts_have_the_same_numbers_as_a_table(browser, state):
    browser.look()
    browser.open(state.url + "/history?days=30")
    figures = browser.run("""return [...document.querySelectorAll('figure')].map(f => [f.querySelectorAll('rect').length,
        f.querySelectorAll('tbody tr').length, f.querySelector('desc') ? f.querySelector('desc').textContent : null])""")
    assert len(figures) == 3
    for columns, rows, text in figures:
        assert columns == rows
        assert (columns == 0) == (state.state == "empty") and (text is None) == (state.state == "empty")
    if state.state != "empty":
        browser.driver.find_element("css selector", "summary").click()
        assert browser.driver.find_element("css selector", "figure tbody tr").is_displayed()


def test_the_keyboard_reaches_everything(browser, state):
    browser.look()
    browser.open(state.url + "/journal")
    body = browser.driver.find_element("tag name", "body")
    body.send_keys("\ue004")
    focused = browser.driver.switch_to.active_element
    assert focused.text == "Skip to content" and focused.rect["x"] >= 0, "seen when it has the focus"
    wanted = browser.run("return document.querySelectorAll('a[href], button, select, input, summary, [tabindex=\"0\"]').length")
    reached = set()
    for _ in range(wanted * 4):
        element = browser.driver.switch_to.active_element
        reached.add(element.id)
        if element.tag_name != "body":
            assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") != "none" or \
                element.tag_name == "input"
        element.send_keys("\ue004")
    assert len(reached - {body.id}) >= wanted


def test_the_journal_filters_without_scripts(browser, state):
    if state.state == "empty":
        pytest.fail("not for this state") if "Nothing has been recorded" not in state.get("/journal").text else None
        return
    browser.look(375)
    browser.scripts(False)
    try:
        browser.open(state.url + "/journal")
        browser.driver.find_element("css selector", "select[name=act]").send_keys("drill")
        browser.driver.find_element("css selector", ".filter button").send_keys("\ue007")
        act = "drill"
        WebDriverWait(browser.driver, 10).until(lambda driver: "act=drill" in driver.current_url)
        acts = [cell.text for cell in browser.driver.find_elements("css selector", "tbody td:nth-child(2)")]
        assert acts and set(acts) == {act}
        browser.driver.find_element("link text", "Health").click()
        assert browser.driver.find_element("id", "verdict").is_displayed()
    finally:
        browser.scripts(True)


def test_the_tests_own_journal_is_sound(state, server):
    """Or the states would not be what they are called."""
    verdicts = {check["name"]: check["verdict"] for check in state.get("/api/status").json["checks"]}
    assert verdicts.get("journal", "OK") == "OK"
    bad = {name for name, verdict in verdicts.items() if verdict != "OK"}
    assert state.state == "empty" or bad <= {"backup_age", "success_rate", "rpo", "verification"}, bad
