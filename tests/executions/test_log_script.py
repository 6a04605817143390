"""The script that tails a log in a page: what it asks for, shows, and does when it is refused."""

import pytest

from tests.executions.browsing import run_script

# As much of a browser as the script needs.
BROWSER = """
const fs = require("fs"), vm = require("vm");
const sources = [], timers = [];
class EventSource {
  constructor(url) { this.url = String(url); this.readyState = 0; this.heard = {}; sources.push(this); }
  addEventListener(name, listener) { this.heard[name] = listener; }
  close() { this.readyState = EventSource.CLOSED; }
}
EventSource.CLOSED = 2;
const pre = {
  dataset: {logUrl: "/log/stream"}, textContent: "", append(text) { this.textContent += text; },
  scrollHeight: 0, scrollTop: 0, clientHeight: 0,
};
vm.runInNewContext(fs.readFileSync(process.argv[1], "utf8"), {
  EventSource, URL, JSON, window: {location: {href: "http://here/admin/"}},
  document: {readyState: "complete", querySelectorAll: () => [pre]},
  setTimeout: (run, _, ...given) => timers.push(() => run(...given)),
});
const tell = (source, id, text) => source.onmessage({lastEventId: id, data: JSON.stringify(text)});
"""


@pytest.fixture
def browse():
    return lambda steps: run_script("log.js", f"{BROWSER}{steps}")


def test_it_shows_what_comes_until_the_end(browse):
    shown = browse("""
        tell(sources[0], "4", "one\\n"); tell(sources[0], "8", "<b>two</b>");
        sources[0].heard.end();
        const {url, readyState} = sources[0];
        console.log(JSON.stringify([url, pre.textContent, pre.dataset.logState, readyState]));
    """)

    assert shown == ["http://here/log/stream", "one\n<b>two</b>", "complete", 2]


def test_after_a_refusal_it_asks_again_for_the_rest(browse):
    asked = browse("""
        tell(sources[0], "4", "one\\n");
        sources[0].readyState = EventSource.CLOSED; sources[0].onerror();
        timers[0]();
        console.log(JSON.stringify(sources.map(one => one.url)));
    """)

    assert asked == ["http://here/log/stream", "http://here/log/stream?offset=4"]


def test_a_page_keeps_the_end_of_a_long_log(browse):
    kept = browse("""
        tell(sources[0], "1", "a".repeat(1200000)); tell(sources[0], "2", "b");
        console.log(JSON.stringify([pre.textContent.length, pre.textContent.slice(-2)]));
    """)

    assert kept[0] < 600_000
    assert kept[1] == "ab"
