// Tails an action's output into every <pre data-log-url="/api/v1/executions/1/logs/stdout/stream">.
// The page's session is the credential. data-log-offset: the byte after what the <pre> already shows.
(function () {
  "use strict";

  const MOST = 1000000; // characters that a page keeps of one log

  function atEnd(pre) {
    return pre.scrollHeight - pre.scrollTop - pre.clientHeight < 40;
  }

  function tail(pre) {
    const url = new URL(pre.dataset.logUrl, window.location.href);
    if (pre.dataset.logOffset) {
      url.searchParams.set("offset", pre.dataset.logOffset);
    }
    const source = new EventSource(url);
    pre.dataset.logState = "open";

    source.onmessage = function (event) {
      const follow = atEnd(pre);
      pre.append(JSON.parse(event.data));
      if (pre.textContent.length > MOST) {
        pre.textContent = "[...]\n" + pre.textContent.slice(-MOST / 2);
      }
      if (follow) {
        pre.scrollTop = pre.scrollHeight;
      }
    };
    source.addEventListener("end", function () {
      source.close();
      pre.dataset.logState = "complete";
    });
    source.onerror = function () {
      pre.dataset.logState = source.readyState === EventSource.CLOSED ? "lost" : "reconnecting";
    };
    source.onopen = function () {
      pre.dataset.logState = "open";
    };
  }

  function start() {
    document.querySelectorAll("pre[data-log-url]").forEach(tail);
  }

  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", start);
  } else {
    start();
  }
})();
