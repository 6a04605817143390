// Tails an action's output into every <pre data-log-url="/api/v1/executions/1/logs/stdout/stream">.
// The page's session is the credential. data-log-offset: the byte after what the <pre> already shows.
// data-log-state tells open, reconnecting or complete, for styles.
(function () {
  "use strict";

  const MOST = 1000000; // characters that a page keeps of one log
  const AGAIN = 5000; // milliseconds until a server that refused is asked again

  function atEnd(pre) {
    return pre.scrollHeight - pre.scrollTop - pre.clientHeight < 40;
  }

  function show(pre, text) {
    const follow = atEnd(pre);
    pre.append(text);
    if (pre.textContent.length > MOST) {
      pre.textContent = "[...]\n" + pre.textContent.slice(-MOST / 2);
    }
    if (follow) {
      pre.scrollTop = pre.scrollHeight;
    }
  }

  function tail(pre) {
    const url = new URL(pre.dataset.logUrl, window.location.href);
    if (pre.dataset.logOffset) {
      url.searchParams.set("offset", pre.dataset.logOffset);
    }
    const source = new EventSource(url);

    source.onopen = function () {
      pre.dataset.logState = "open";
    };
    source.onmessage = function (event) {
      pre.dataset.logOffset = event.lastEventId;
      show(pre, JSON.parse(event.data));
    };
    source.addEventListener("end", function () {
      source.close();
      pre.dataset.logState = "complete";
    });
    source.onerror = function () {
      pre.dataset.logState = "reconnecting";
      // A browser comes back by itself to a connection that was lost, but not to an answer such as 503.
      if (source.readyState === EventSource.CLOSED) {
        setTimeout(tail, AGAIN, pre);
      }
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
