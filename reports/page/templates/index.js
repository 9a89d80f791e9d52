"use strict";
(() => {
  const table = document.querySelector("table.matrix");
  if (!table) return;
  const find = document.getElementById("find"), sort = document.getElementById("sort"), shown = document.getElementById("shown");
  const legend = JSON.parse(document.getElementById("legend").textContent);
  const packed = document.getElementById("rows");
  const CHUNK = 60;
  const state = { q: "", words: new Set(), sort: "" };
  const make = (name, text, kind) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };

  // One entry for each cell: what is searched and sorted, and its row, made when it is first shown.
  const entries = packed ? unpack(JSON.parse(packed.textContent)) : [...table.querySelectorAll("tbody tr[id]")].map(read);

  const all = `${entries.length.toLocaleString("en")} cell${entries.length === 1 ? "" : "s"}`;

  function read(tr, place) {
    const d = tr.dataset;
    return { place, tr, id: tr.id, group: tr.parentNode.firstElementChild.textContent, word: d.word, text: `${tr.id} ${tr.textContent}`.toLowerCase(),
      tok_s: +d.tok || NaN, ttft: +d.ttft || NaN, launch: +d.launch || NaN };
  }
  function unpack(data) {
    return data.rows.map((r, place) => {
      const [group, checkpoint, features, judged, tallies, launch, told, tok, tokAt, ttft, ttftAt, proofs, id, stem] = r;
      const w = data.words;
      const e = { place, id, group: w[group], checkpoint: w[checkpoint], features: w[features], judged: data.judged[judged],
        tallies: data.tallies[tallies], told: w[told], tokAt: w[tokAt], ttftAt: w[ttftAt], proofs: data.proofs[proofs],
        stem: stem ?? id, tok_s: tok ?? NaN, ttft: ttft ?? NaN, launch: launch ?? NaN };
      e.word = e.judged[0];
      e.text = `${id} ${e.group} ${e.features} ${e.word} ${e.proofs.map((p) => p[1] + " " + p[2]).join(" ")} ${e.tallies.map((t) => t[2]).join(" ")}`.toLowerCase();
      return e;
    });
  }
  function number(value, unit, at) {
    const td = make("td", Number.isNaN(value) ? "·" : value.toLocaleString("en", { maximumFractionDigits: value >= 100 ? 0 : 1 }) + unit, "number");
    if (at) td.append(" ", make("small", at));
    return td;
  }
  function chip(tone, glyph, text) {
    const made = make("span", undefined, `chip ${tone}`), mark = make("span", glyph, "glyph");
    mark.setAttribute("aria-hidden", "true");
    made.append(mark, text);
    return made;
  }
  function row(e) {
    if (e.tr) return e.tr;
    const tr = make("tr"), th = make("th"), a = make("a");
    tr.id = e.id;
    th.scope = "row";
    a.href = `${encodeURIComponent(legend.folder)}/${encodeURIComponent(e.stem)}.html`;
    a.append(e.checkpoint, " ", make("b", e.features));
    th.append(a);
    const judged = make("td");
    judged.append(chip(e.judged[1], e.judged[2], e.judged[0]));
    tr.append(th, judged, number(e.tok_s, "", e.tokAt), number(e.ttft, " ms", e.ttftAt), make("td", e.told, "number"));
    for (const [tone, glyph, text, count] of e.tallies) {
      const td = make("td", undefined, "suite"), one = chip(tone, glyph, "");
      if (count) one.append(make("span", `${text} `, "sr"), count);
      one.title = text;
      td.append(one);
      tr.append(td);
    }
    const proofs = make("td", undefined, "proofs");
    for (const [tone, glyph, names] of e.proofs) proofs.append(make("span", `${glyph} ${names}`, tone), " ");
    tr.append(proofs);
    [...tr.children].forEach((cell, n) => { cell.dataset.label = legend.heads[n]; });
    return (e.tr = tr);
  }

  const bodies = [...table.tBodies];
  let listed = [], made = 0, at = -1;
  const more = make("div", undefined, "more");
  table.after(more);
  new IntersectionObserver((seen) => seen.some((s) => s.isIntersecting) && grow()).observe(more);

  function matches(e) {
    if (state.words.size && !state.words.has(e.word)) return false;
    return state.q.split(/\s+/).filter(Boolean).every((w) => (w.length > 1 && w[0] === "-" ? !e.text.includes(w.slice(1)) : e.text.includes(w)));
  }
  function order(a, b) {
    const key = state.sort;
    if (key === "name") return a.id.localeCompare(b.id);
    if (key === "verdict") return legend.words.indexOf(a.word) - legend.words.indexOf(b.word) || a.place - b.place;
    const up = key === "tok_s" ? -1 : 1, x = a[key], y = b[key];
    return Number.isNaN(x) - Number.isNaN(y) || (Number.isNaN(x) ? a.place - b.place : up * (x - y)) || a.place - b.place;
  }
  function draw() {
    listed = entries.filter(matches);
    if (state.sort) listed.sort(order);
    for (const body of [...table.tBodies]) body.remove();
    made = 0;
    at = -1;
    grow();
    shown.textContent = listed.length === entries.length ? all : `${listed.length.toLocaleString("en")} of ${entries.length.toLocaleString("en")} cells`;
  }
  function grow(all) {
    let body = table.tBodies[table.tBodies.length - 1], last = made ? listed[made - 1].group : undefined;
    for (const e of listed.slice(made, all ? undefined : made + CHUNK)) {
      if (!body || (!state.sort && e.group !== last)) {
        body = table.createTBody();
        if (!state.sort) {
          const tr = body.insertRow(), th = make("th", e.group);
          tr.className = "group";
          th.colSpan = legend.heads.length;
          th.scope = "rowgroup";
          tr.append(th);
        }
      }
      body.append(row(e));
      last = e.group;
      made += 1;
    }
    more.hidden = made >= listed.length;
  }
  function keep() {
    const p = new URLSearchParams();
    if (state.q) p.set("q", state.q);
    if (state.words.size) p.set("verdict", [...state.words].join(","));
    if (state.sort) p.set("sort", state.sort);
    history.replaceState(null, "", p.size ? `#${p}` : location.pathname + location.search);
  }
  function restore() {
    const hash = decodeURIComponent(location.hash.slice(1)), p = new URLSearchParams(location.hash.slice(1));
    const one = entries.findIndex((e) => e.id === hash);
    state.q = one >= 0 ? "" : (p.get("q") ?? "").toLowerCase();
    state.words = new Set(one >= 0 ? [] : (p.get("verdict") ?? "").split(",").filter((w) => legend.words.includes(w)));
    state.sort = [...sort.options].some((o) => o.value === p.get("sort")) ? p.get("sort") : "";
    find.value = state.q;
    sort.value = state.sort;
    for (const b of document.querySelectorAll(".words button")) b.setAttribute("aria-pressed", state.words.has(b.value));
    if (packed || state.q || state.words.size || state.sort || listed.length) draw();
    else { listed = entries; made = entries.length; more.hidden = true; shown.textContent = all; }
    if (one >= 0) pick(one);
  }
  function changed() { keep(); draw(); }
  function pick(n) {
    if (!listed.length) return;
    at = Math.max(0, Math.min(n, listed.length - 1));
    while (made <= at) grow();
    row(listed[at]).querySelector("a").focus({ preventScroll: true });
    listed[at].tr.scrollIntoView({ block: "nearest" });
  }

  for (const word of legend.words) {
    const button = make("button", `${word} ${legend.counts[word].toLocaleString("en")}`);
    button.type = "button";
    button.value = word;
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      state.words.has(word) ? state.words.delete(word) : state.words.add(word);
      button.setAttribute("aria-pressed", state.words.has(word));
      changed();
    });
    document.querySelector(".words").append(button);
  }
  find.addEventListener("input", () => { state.q = find.value.trim().toLowerCase(); changed(); });
  sort.addEventListener("change", () => { state.sort = sort.value; changed(); });
  window.addEventListener("hashchange", restore);
  document.addEventListener("keydown", (key) => {
    if (key.ctrlKey || key.metaKey || key.altKey) return;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(key.target.tagName);
    if (key.key === "Escape") { find.value = state.q = ""; find.blur(); changed(); return; }
    if (typing) { if (key.key === "Enter" && key.target === find) pick(0); return; }
    const focused = listed.findIndex((e) => e.tr && e.tr.contains(document.activeElement));
    if (key.key === "/") { key.preventDefault(); find.focus(); find.select(); }
    else if (key.key === "j") pick((focused >= 0 ? focused : at) + 1);
    else if (key.key === "k") pick((focused >= 0 ? focused : at < 0 ? 1 : at) - 1);
    else if (key.key === "s") { sort.selectedIndex = (sort.selectedIndex + 1) % sort.options.length; state.sort = sort.value; changed(); }
  });
  const closed = [];
  window.addEventListener("beforeprint", () => {
    grow(true);
    for (const d of document.querySelectorAll("details:not([open])")) { closed.push(d); d.open = true; }
  });
  window.addEventListener("afterprint", () => { for (const d of closed.splice(0)) d.open = false; });
  document.querySelector(".tools").hidden = false;
  restore();
})();
