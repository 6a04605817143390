"""The script that keeps an execution's page at its present state."""

import pytest

from tests.executions.browsing import run_script

# As much of a browser as the script needs. `page` is what the server shows, `parts` what this page does.
BROWSER = """
const fs = require("fs"), vm = require("vm");
const sources = [], timers = [], asked = [];
let page = {status: "scheduled"}, ok = true, away = false;
class EventSource {
  constructor(url) { this.url = String(url); this.readyState = 0; sources.push(this); }
  close() { this.readyState = EventSource.CLOSED; }
}
EventSource.CLOSED = 2;
const parts = {status: "scheduled"};
const part = name => ({
  dataset: {live: name}, replaceWith(fresh) { parts[name] = fresh; },
});
class DOMParser {
  parseFromString(text) {
    const shown = text ? JSON.parse(text) : {};
    return {querySelector: rule => shown[rule.split('"')[1]] ?? null};
  }
}
const place = {dataset: {liveUrl: "/stream?execution_id=7"}};
vm.runInNewContext(fs.readFileSync(process.argv[1], "utf8"), {
  EventSource, DOMParser, URL, JSON, window: {location: {href: "http://here/admin/7/"}},
  document: {
    readyState: "complete", importNode: node => node,
    querySelectorAll: rule => rule === "[data-live]" ? Object.keys(parts).map(part) : [place],
  },
  fetch: async (url, options) => {
    asked.push([url, options.redirect]);
    if (away) throw new Error("away");
    return {ok, text: async () => JSON.stringify(page)};
  },
  setTimeout: (run, _, ...given) => timers.push(() => run(...given)),
});
const tell = status => sources.at(-1).onmessage({data: JSON.stringify({payload: {status}})});
const settle = async () => { for (let n = 0; n < 20; n++) await null; };
const pass = async () => { await settle(); timers.splice(0).forEach(run => run()); await settle(); };
"""


@pytest.fixture
def browse():
    return lambda steps: run_script("refresh.js", f"{BROWSER}(async () => {{{steps}}})();")


def test_a_change_exchanges_the_parts_of_the_page(browse):
    shown = browse("""
        page = {status: "running"}; tell("running"); await settle();
        console.log(JSON.stringify([sources[0].url, parts.status, asked]));
    """)

    assert shown == [
        "http://here/stream?execution_id=7", "running", [["http://here/admin/7/", "error"]],
    ]  # fmt: skip


def test_changes_in_quick_succession_are_looked_at_together(browse):
    asked, status = browse("""
        for (let n = 0; n < 50; n++) tell("running");
        page = {status: "running"}; await pass();
        console.log(JSON.stringify([asked.length, parts.status]));
    """)

    assert (asked, status) == (2, "running")


def test_the_end_is_shown_and_closes_the_stream(browse):
    shown = browse("""
        page = {status: "failed"}; tell("failed"); await pass();
        console.log(JSON.stringify([parts.status, sources[0].readyState, sources.length]));
    """)

    assert shown == ["failed", 2, 1]


def test_a_server_that_is_away_is_asked_again(browse):
    shown = browse("""
        away = true; tell("running"); await pass();
        const before = parts.status;
        away = false; page = {status: "running"}; await pass();
        console.log(JSON.stringify([before, parts.status]));
    """)

    assert shown == ["scheduled", "running"]


def test_a_refusal_leaves_the_page_as_it_is(browse):
    shown = browse("""
        ok = false; page = {status: "secret"}; tell("running"); await pass();
        sources[0].readyState = EventSource.CLOSED; sources[0].onerror(); await pass();
        console.log(JSON.stringify([parts.status, sources.length]));
    """)

    assert shown == ["scheduled", 2]


def test_a_part_that_the_server_no_longer_shows_stays(browse):
    assert browse("""
        page = {}; tell("running"); await pass();
        console.log(JSON.stringify([parts.status]));
    """) == ["scheduled"]
