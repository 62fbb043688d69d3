// The connection of a page: alive or not, version, ages, controls. Fragments are replaced by htmx.
"use strict";
(() => {
  const SILENT_MS = 12000; // the server sends something each 4 s
  const body = document.body;
  const byId = (id) => document.getElementById(id);
  let receivedAt = Date.now();
  let serverAhead = Number(body.dataset.now) - Date.now();

  const showAges = () => {
    const now = Date.now() + serverAhead;
    for (const element of document.querySelectorAll("[data-age]")) {
      const minutes = Math.max(0, Math.floor((now - Number(element.dataset.age)) / 60000));
      const [form, n] = minutes < 120 ? ["ageMinutes", minutes]
        : minutes < 2880 ? ["ageHours", Math.floor(minutes / 60)] : ["ageDays", Math.floor(minutes / 1440)];
      const text = body.dataset[form].replace("#", n);
      if (element.textContent !== text) element.textContent = text;
    }
  };

  const showConnection = () => {
    const streams = document.querySelector("[sse-connect]");
    const offline = Boolean(streams) && Date.now() - receivedAt > SILENT_MS;
    byId("offline").hidden = !offline;
    const off = offline || Boolean(document.querySelector("[data-broker-away]"));
    for (const control of document.querySelectorAll("[data-control]")) control.disabled = off;
  };

  const onServerMessage = () => {
    receivedAt = Date.now();
    showConnection();
  };

  document.addEventListener("htmx:sseOpen", (open) => {
    const source = open.detail.source;
    source.addEventListener("version", (message) => {
      onServerMessage();
      if ("connected" in body.dataset) WVR.reload(); // what the page has missed
      body.dataset.connected = "";
      byId("outdated").hidden = message.data === body.dataset.version;
    });
    source.addEventListener("login", () => location.reload());
    source.addEventListener("alive", (message) => {
      serverAhead = Number(message.data) - Date.now();
      onServerMessage();
    });
  });
  document.addEventListener("htmx:sseError", () => {
    receivedAt = 0;
    showConnection();
  });
  document.addEventListener("htmx:sseMessage", (message) => {
    const [kind, sensor] = message.detail.type.split(/:(.*)/s);
    if (kind === "minutes") WVR.append(JSON.parse(message.detail.data));
    if (kind === "curve") WVR.reload(sensor);
    const names = byId("sensors");
    if (kind === "sensors" && names && names.textContent !== names.dataset.names) location.reload();
    onServerMessage();
    showAges();
  });
  document.addEventListener("htmx:afterSettle", showConnection);
  document.addEventListener("htmx:beforeRequest", () => { byId("refused").hidden = true; });
  for (const failure of ["htmx:responseError", "htmx:sendError"])
    document.addEventListener(failure, () => { byId("refused").hidden = false; });
  setInterval(() => { showAges(); showConnection(); }, 1000);
  showAges();
})();
