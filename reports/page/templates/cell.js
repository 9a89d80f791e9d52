"use strict";
(() => {
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = button.parentNode.querySelector("code, pre").textContent;
      try { await navigator.clipboard.writeText(text); }
      catch {
        const area = document.createElement("textarea");
        area.value = text;
        document.body.append(area);
        area.select();
        document.execCommand("copy");
        area.remove();
      }
      button.textContent = "copied";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
  }
  const go = (rel) => { const a = document.querySelector(`a[rel="${rel}"]`); if (a) location.href = a.href; };
  document.addEventListener("keydown", (key) => {
    if (key.ctrlKey || key.metaKey || key.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(key.target.tagName)) return;
    if (key.key === "j") go("next");
    else if (key.key === "k") go("prev");
    else if (key.key === "u") go("up");
    else if (key.key === "o") { const all = [...document.querySelectorAll("main details")], open = all.some((d) => !d.open); for (const d of all) d.open = open; }
  });
  const opened = () => { const d = document.getElementById(decodeURIComponent(location.hash.slice(1))); if (d && d.tagName === "DETAILS") { d.open = true; d.scrollIntoView(); } };
  window.addEventListener("hashchange", opened);
  opened();
  const closed = [];
  window.addEventListener("beforeprint", () => { for (const d of document.querySelectorAll("details:not([open])")) { closed.push(d); d.open = true; } });
  window.addEventListener("afterprint", () => { for (const d of closed.splice(0)) d.open = false; });
})();
