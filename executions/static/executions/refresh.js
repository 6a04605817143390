// Keeps an execution's page at its present state: <div data-live-url="/api/v1/executions/stream?execution_id=1">
// says where its changes are told, and each <div data-live="name"> is exchanged for what the server shows now.
// The page's session is the credential. Nothing is refreshed after the end: then nothing changes any more.
(function () {
  "use strict";

  const PAUSE = 1000; // milliseconds between two looks, however fast it changes
  const AGAIN = 5000; // milliseconds until a server that refused is asked again
  const ENDS = ["completed", "failed", "cancelled", "timeout", "abandoned"];

  function exchange(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    document.querySelectorAll("[data-live]").forEach(function (part) {
      const found = fresh.querySelector('[data-live="' + part.dataset.live + '"]');
      if (found) {
        part.replaceWith(document.importNode(found, true));
      }
    });
  }

  function follow(place) {
    const source = new EventSource(new URL(place.dataset.liveUrl, window.location.href));
    let looking = false;
    let news = false;

    function look() {
      if (looking) {
        news = true;
        return;
      }
      looking = true;
      news = false;
      fetch(window.location.href, { credentials: "same-origin", redirect: "error" })
        .then(function (answer) {
          return answer.ok ? answer.text() : "";
        })
        .then(exchange)
        .catch(function () {
          news = true; // the server is away: the next look shows it all
        })
        .then(function () {
          setTimeout(function () {
            looking = false;
            if (news) {
              look();
            }
          }, PAUSE);
        });
    }

    source.onmessage = function (event) {
      if (ENDS.includes(JSON.parse(event.data).payload.status)) {
        source.close();
      }
      look();
    };
    source.onerror = function () {
      if (source.readyState === EventSource.CLOSED) {
        setTimeout(follow, AGAIN, place);
      }
    };
  }

  function start() {
    document.querySelectorAll("[data-live-url]").forEach(follow);
  }

  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", start);
  } else {
    start();
  }
})();
