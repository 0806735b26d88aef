// What is shown is current, on its way, empty with a reason, or stale; which of the four, this script
// says, on each panel and in a strip at the top.
//
// Every request of the page passes here. One whose answer fails is held and sent again when the server,
// or the store, is back: whoever asked waits as on a slow line, so that nothing a person did is lost,
// neither a click on a link nor what a page is scrolled and zoomed to.
(() => {
  const FIRST_WAIT = 1000; // ms before the server is looked for again; twice as long each time
  const LONGEST_WAIT = 15_000;
  const LATEST = 10_000; // ms after which a server that says nothing is taken for gone
  const ELSEWHERE = { // what is said of all that is shown, and of each panel
    gone: ["The server does not answer. What you see is from before; it is asked again by itself.",
      "Not current: the server does not answer."],
    removed: ["This store cannot be read any more. What you see is from before; it is asked again by "
      + "itself.", "Not current: the store is gone."],
    replaced: ["The store was replaced since this page was opened. What you see is of the one before.",
      "Not current: the store was replaced."],
  };
  const ASKED = "This is not what you selected yet; it follows as soon as there is an answer.";
  const OPENS = "The page that you chose opens as soon as there is an answer.";
  const FAILED = "Not current: the server could not answer";

  window.dash_clientside = window.dash_clientside || {};
  const fetchThrough = window.fetch;
  const waiting = new Map(); // what has no answer yet: a callback by its outputs, or a part of a page
  const held = new Set(); // what wakes requests that failed
  const others = new Map(); // digests of other stores by name, as answers told them
  let condition = ""; // a key of ELSEWHERE, or empty where all is well
  let reason = ""; // of the store's, in the server's words
  let next = ""; // the address of a link that was clicked while the server was gone
  let looking = null;
  let timer = 0;
  let wait = FIRST_WAIT;

  const strip = () => document.getElementById("current");
  const nothing = () => new Response(null, { status: 204 }); // to Dash: leave all as it is

  window.fetch = async (address, options = {}) => {
    const question = questionOf(String(address), options.body);
    return question ? answered(question, address, options) : fetchThrough(address, options);
  };

  /** What a request is for; null for one that nothing on the page waits for. */
  function questionOf(address, body) {
    if (/(^|\/)api\/v1\//.test(address)) return { outputs: [] };
    if (!/\/_dash-update-component(\?|$)/.test(address)) return null;
    const { output, outputs, inputs } = JSON.parse(body);
    return {
      name: output,
      outputs: [outputs].flat().map(({ id }) => id),
      other: inputs.flat().find(({ id }) => id === "compare-with")?.value,
    };
  }

  async function answered(question, address, options) {
    const { name, outputs } = question;
    const entry = { outputs, problem: "", isOver: false };
    if (name) {
      drop(waiting.get(name)); // overtaken
      waiting.set(name, entry);
      render();
    }
    const done = (answer) => {
      if (waiting.get(name) === entry) waiting.delete(name);
      if (outputs.includes("page")) leave(); // what the page before it waited for
      render();
      return answer;
    };
    for (;;) {
      const answer = await fetchThrough(address, options).catch((error) => {
        if (options.signal?.aborted) throw error;
        return null;
      });
      if (entry.isOver) return nothing();
      if (answer && (answer.ok || [304, 401].includes(answer.status))) {
        if (!isReplaced(question, answer)) return done(answer);
        become("replaced");
        return done(name ? nothing() : answer);
      }
      if (!answer) become("gone");
      else await look();
      if (!condition) { // of this request alone
        if (!name) return answer;
        entry.problem = await reasonOf(answer) || `${answer.status} ${answer.statusText}`;
        render();
      }
      if (condition === "replaced" && name) return done(nothing());
      await awakened(entry, options.signal);
      if (entry.isOver) return nothing();
      entry.problem = "";
      render();
    }
  }

  /** Has a request end without an answer. */
  function drop(entry) {
    if (!entry) return;
    entry.isOver = true;
    entry.wake?.();
  }

  function leave() {
    waiting.forEach(drop);
    waiting.clear();
  }

  /** Waits until the server is back, a person asks again, or nobody wants the answer any more. */
  function awakened(entry, signal) {
    return new Promise((go) => {
      entry.wake = () => { held.delete(entry.wake); go(); };
      held.add(entry.wake);
      signal?.addEventListener("abort", entry.wake, { once: true });
    });
  }

  /** Whether an answer is of another store than the page, or of another one beside it than before. */
  function isReplaced({ outputs, other }, answer) {
    const own = strip()?.dataset.digest;
    const digests = (answer.headers.get("x-store-digest") ?? "").split(", ").filter(Boolean);
    if (!own || !digests.length) return false;
    if (!digests.includes(own)) return true;
    if (outputs.includes("page")) others.clear();
    const [digest] = digests.filter((text) => text !== own);
    if (!other || !digest) return false;
    const before = others.get(other);
    others.set(other, digest);
    return before !== undefined && before !== digest;
  }

  async function reasonOf(answer) {
    const about = await answer.clone().json().catch(() => null);
    return about?.detail ?? about?.error ?? "";
  }

  /** Asks whether the server is there, and the store; for all who want to know at the same time. */
  function look() {
    clearTimeout(timer);
    timer = 0;
    looking ??= probe().finally(() => { looking = null; });
    return looking;
  }

  async function probe() {
    const { probe: address, digest } = strip()?.dataset ?? {};
    if (!address) return;
    const answer = await fetchThrough(base() + address, {
      cache: "no-store", signal: AbortSignal.timeout(LATEST),
    }).catch(() => null);
    if (answer?.ok) {
      const about = await answer.json();
      become(!digest || about.digest === digest ? "" : "replaced");
      return;
    }
    // A server that is too busy, and a proxy before none, give no reason of the store's.
    const why = answer && !answer.headers.has("retry-after") ? await reasonOf(answer) : "";
    become(why ? "removed" : "gone", why);
  }

  function become(news, why = "") {
    if (condition === "replaced") return; // until the page is loaded anew
    const isBack = condition && !news;
    condition = news;
    reason = why;
    if (isBack) {
      wait = FIRST_WAIT;
      if (next) window.location.assign(next);
      held.forEach((wake) => wake());
      for (const image of document.querySelectorAll("img")) {
        if (image.complete && !image.naturalWidth) image.setAttribute("src", image.getAttribute("src"));
      }
    }
    lookLater();
    render();
  }

  function lookLater() {
    const isOver = !condition || condition === "replaced";
    if (timer || isOver || document.visibilityState !== "visible") return;
    timer = setTimeout(look, wait);
    wait = Math.min(2 * wait, LONGEST_WAIT);
  }

  // Where the pages of this store lie.
  const base = () => (
    JSON.parse(document.getElementById("_dash-config").textContent).requests_pathname_prefix);

  /** Says on each panel, and in the strip, what state it is in. */
  function render() {
    const root = document.documentElement;
    if (condition) root.dataset.condition = condition;
    else delete root.dataset.condition;
    const frames = document.querySelectorAll("[data-fills]");
    const framed = new Set();
    for (const frame of frames) {
      const ids = frame.dataset.fills.split(" ");
      const entries = [...waiting.values()].filter(({ outputs }) => (
        outputs.some((id) => ids.includes(id))));
      entries.forEach((entry) => framed.add(entry));
      const failed = entries.filter(({ problem }) => problem);
      const state = condition || failed.length ? "stale" : entries.length && "busy";
      if (state) frame.dataset.current = state;
      else delete frame.dataset.current;
      frame.setAttribute("aria-busy", String(state === "busy"));
      say(frame.querySelector(".panel-state"), wordsOf(state, entries, failed), failed.length && [
        "Ask again", () => failed.forEach(({ wake }) => wake())]);
    }
    const failed = [...waiting.values()].filter((entry) => entry.problem && !framed.has(entry));
    const isOpening = next || [...waiting.values()].some(({ outputs }) => outputs.includes("page"));
    document.getElementById("page")?.setAttribute("aria-busy", String(Boolean(isOpening)));
    say(strip(), stripWords(failed, isOpening), actionOf(failed), alternative());
  }

  function wordsOf(state, entries, failed) {
    if (state === "busy") return "Loading…";
    if (!state) return "";
    if (condition) return [ELSEWHERE[condition][1], entries.length && ASKED].filter(Boolean).join(" ");
    return `${FAILED}: ${failed[0].problem}.`.replace(/\.\.$/, ".");
  }

  function stripWords(failed, isOpening) {
    if (condition) {
      const why = reason && `(${reason})`;
      return [ELSEWHERE[condition][0], why, isOpening && OPENS].filter(Boolean).join(" ");
    }
    if (failed.length) return `${FAILED}: ${failed[0].problem}.`.replace(/\.\.$/, ".");
    return "";
  }

  function actionOf(failed) {
    if (condition === "replaced") return ["Show the new one", () => window.location.reload()];
    if (condition) return ["Ask now", look];
    return failed.length && ["Ask again", () => failed.forEach(({ wake }) => wake())];
  }

  // The way to the other stores, where there are any.
  function alternative() {
    const link = document.querySelector("header.frame h1 a");
    return condition === "removed" && link ? ["All stores", link.href] : null;
  }

  /** Fills a place that React leaves alone; one that says the same already stays as it is. */
  function say(place, text, action, link) {
    if (!place || place.dataset.text === text) return;
    place.dataset.text = text;
    const parts = [text];
    if (text && action) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = action[0];
      button.addEventListener("click", action[1]);
      parts.push(button);
    }
    if (link) {
      const anchor = document.createElement("a");
      [anchor.textContent, anchor.href] = link;
      parts.push(anchor);
    }
    place.replaceChildren(...(text ? parts : []));
  }

  window.dash_clientside.stale = {
    /**
     * A part of the page waits for what it is to show.
     * @param {string} id that a frame says it is filled by
     * @param {string} [problem] why it does not come, in the server's words
     * @param {function()} [wake] asks for it again
     */
    waits(id, problem = "", wake = null) {
      waiting.set(id, { outputs: [id], problem, wake });
      render();
    },
    /** A part of the page has what it is to show. */
    has(id) {
      waiting.delete(id);
      render();
    },
    /** Something that came is of another store than the page. */
    replaced: () => become("replaced"),
  };

  // A picture that failed tells nobody why.
  document.addEventListener("error", ({ target }) => {
    if (target.tagName === "IMG") look();
  }, true);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && condition) look();
  });
  window.addEventListener("online", () => { if (condition) look(); });
  // Links that leave the page; Dash follows its own, and a browser would show that nobody answers.
  window.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    const isPlain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button);
    if (condition !== "gone" || event.defaultPrevented || !link || !isPlain) return;
    if (link.target || link.origin !== window.location.origin) return;
    event.preventDefault();
    next = link.href;
    render();
  });
})();
