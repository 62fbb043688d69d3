// History: zoom, pan, buttons and keys fetch the span that is shown; the address and the part below the chart follow.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const WAIT_MS = 250; // the wheel, or a movement, has ended
  const chart = document.getElementById("history-chart"), part = document.getElementById("history-part");
  if (!chart) return;
  let timer = 0, fingers = 0, zoomed = null;
  const wallTime = (ms) => new Date(Math.round(ms / 60000) * 60000).toISOString().slice(0, 16);

  const show = (query, isNewEntry) => {
    const address = `/history?${query}`;
    history[isNewEntry ? "pushState" : "replaceState"](null, "", address);
    chart.dataset.chart = `/api/history?${query}`;
    WVR.load(chart);
    htmx.ajax("GET", `/history/part?${query}`, { target: part, swap: "innerHTML" });
    for (const name of ["from", "to"]) {
      const field = document.querySelector(`.span-form [name=${name}]`);
      if (query.get(name)) field.value = query.get(name);
    }
    for (const preset of document.querySelectorAll(".presets [aria-current]")) preset.removeAttribute("aria-current");
  };

  const showZoomed = () => {
    const { start, end } = WVR.charts.get(chart).data, least = (end - start) / 500;
    if (Math.abs(zoomed.start - start) < least && Math.abs(zoomed.end - end) < least) return; // a page scroll
    const query = new URLSearchParams(chart.dataset.chart.split("?")[1]);
    query.delete("span");
    query.set("from", wallTime(zoomed.start));
    query.set("to", wallTime(zoomed.end));
    show(query, false);
  };

  // A new chart would end the gesture: while a finger is down, nothing is fetched, however long it rests.
  const fetchAfterGesture = () => {
    clearTimeout(timer);
    if (zoomed && !fingers) timer = setTimeout(() => { showZoomed(); zoomed = null; }, WAIT_MS);
  };

  chart.addEventListener("wvr:zoom", (zoom) => {
    zoomed = zoom.detail;
    fetchAfterGesture();
  });
  for (const kind of ["touchstart", "touchend", "touchcancel"])
    chart.addEventListener(kind, (touch) => {
      fingers = touch.touches.length;
      fetchAfterGesture();
    }, { passive: true });

  part.addEventListener("click", (click) => {
    const link = click.target.closest("a[data-key]");
    if (!link || click.ctrlKey || click.metaKey || click.shiftKey) return;
    click.preventDefault();
    const key = link.dataset.key;
    show(new URLSearchParams(link.search), true);
    part.addEventListener("htmx:afterSettle", () => {
      if (document.activeElement === document.body) part.querySelector(`[data-key="${key}"]`).focus();
    }, { once: true });
  });

  chart.addEventListener("keydown", (press) => {
    const link = part.querySelector(`a[data-key="${CSS.escape(press.key === "=" ? "+" : press.key)}"]`);
    if (!link || press.ctrlKey || press.metaKey || press.altKey) return;
    press.preventDefault();
    link.click();
  });

  addEventListener("popstate", () => location.reload());
});
