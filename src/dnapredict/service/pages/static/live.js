// Updates the open list with what colleagues record. Without this script, the page has a link to load it again.
"use strict";

(() => {
  const notice = document.getElementById("live");
  if (!notice || !window.EventSource) return;
  const again = notice.querySelector("a");
  const words = document.getElementById("live-words");
  const MILLISECONDS_TO_WAIT = 30000;
  const MILLISECONDS_TO_GATHER = 500;
  let last = notice.dataset.since;
  let source = null;
  let waiting = null;
  let changed = new Set();
  let gathering = null;

  const numberOf = (row) => Number(row.id.replace("line-", ""));

  // A line that somebody is filling in is not replaced.
  const isInUse = (row) =>
    row.contains(document.activeElement) ||
    row.querySelector("details[open]") !== null ||
    [...row.querySelectorAll("select, textarea, input:not([type=hidden])")].some(
      (each) => each.value !== (each.tagName === "SELECT" ? "" : each.defaultValue));

  const mark = (row) => {
    if (row.querySelector(".dna-changed")) return;
    const told = document.createElement("p");
    told.className = "dna-changed";
    told.textContent = "A colleague has just recorded something here. ";
    const link = document.createElement("a");
    link.href = again.href;
    link.textContent = "Refresh the list";
    told.append(link);
    row.lastElementChild.append(told);
  };

  const replace = (lines, page) => {
    let count = 0;
    for (const number of lines) {
      const row = document.getElementById(`line-${number}`);
      const newer = page.getElementById(`line-${number}`);
      if (!row || (newer && newer.outerHTML === row.outerHTML)) continue;
      count += 1;
      if (!newer || isInUse(row)) mark(row);
      else row.replaceWith(document.importNode(newer, true));
    }
    return count;
  };

  const put = async () => {
    gathering = null;
    const lines = [...changed];
    changed = new Set();
    const answer = await fetch(again.href, { headers: { accept: "text/html" } });
    if (!answer.ok || answer.redirected) throw new Error("the page was not answered");
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const count = replace(lines, page);
    const progress = document.querySelector(".dna-progress");
    const newer = page.querySelector(".dna-progress");
    if (progress && newer) progress.replaceWith(document.importNode(newer, true));
    if (count) words.textContent = count === 1 ? "A colleague changed 1 line." : `Colleagues changed ${count} lines.`;
  };

  const show = (lines) => {
    for (const number of lines) changed.add(number);
    // Several entries within half a second are fetched together.
    gathering ??= setTimeout(() => put().catch(() => { words.textContent = "Colleagues have recorded something."; }),
      MILLISECONDS_TO_GATHER);
  };

  const close = () => {
    clearTimeout(waiting);
    if (source) source.close();
    source = null;
  };

  const open = () => {
    close();
    source = new EventSource(`${notice.dataset.live}?since=${last}`);
    const note = (event) => { if (event.lastEventId) last = event.lastEventId; };
    source.addEventListener("message", note);
    source.addEventListener("open", () => { if (words.dataset.fault) words.textContent = ""; delete words.dataset.fault; });
    source.addEventListener("changed", (event) => {
      note(event);
      const said = JSON.parse(event.data);
      // Too many changes: the event names no line.
      const lines = said.lines.length ? said.lines : [...document.querySelectorAll("[id^=line-]")].map(numberOf);
      const shown = lines.filter((number) => document.getElementById(`line-${number}`));
      if (shown.length) show(shown);
      else for (const place of document.querySelectorAll("[data-live-progress]")) place.textContent = said.progress;
      for (const place of document.querySelectorAll("[data-live-heading]")) place.textContent = said.heading;
    });
    source.addEventListener("gone", () => { close(); words.textContent = "This list was deleted."; });
    source.addEventListener("error", () => {
      // The browser connects again by itself unless it was refused.
      if (!source || source.readyState !== EventSource.CLOSED) return;
      words.textContent = "New entries by colleagues cannot be shown at the moment.";
      words.dataset.fault = "1";
      waiting = setTimeout(open, MILLISECONDS_TO_WAIT);
    });
  };

  // A browser has six connections to a server: a hidden page closes its own.
  const follow = () => (document.hidden ? close() : open());
  document.addEventListener("visibilitychange", follow);
  window.addEventListener("pagehide", close);
  notice.classList.add("dna-live--on");
  follow();
})();
