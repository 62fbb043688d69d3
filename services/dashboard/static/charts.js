// Charts from the JSON of web/chart_data.py: panels above each other on one time axis, in the site's wall clock.
"use strict";
const WVR = (() => {
  const DAY = 86400000, RETRY_MS = 5000;
  const charts = new Map(); // element to {chart, data}
  const loading = new Set(); // elements whose data is on its way
  const recent = new Map(); // sensor to its newest minutes: data that was on its way may lack them
  const korean = document.documentElement.lang === "ko";
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const pad = (number) => String(number).padStart(2, "0");

  const font = { fontFamily: getComputedStyle(document.body).fontFamily, fontSize: 12 };

  const timeText = (ms) => {
    const at = new Date(ms);
    return `${at.getUTCFullYear()}-${pad(at.getUTCMonth() + 1)}-${pad(at.getUTCDate())} ${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}`;
  };

  const series = (panel, index) => panel.series.flatMap((item) => {
    const tone = colour(`--chart-${item.role}`);
    const common = { xAxisIndex: index, yAxisIndex: index, showSymbol: false, animation: false, emphasis: { disabled: true } };
    if (item.shape === "band") {
      const stack = `${index}-${item.name}`;
      const edge = { ...common, type: "line", stack, stackStrategy: "all", lineStyle: { opacity: 0 }, silent: true, itemStyle: { color: tone } };
      return [
        { ...edge, id: `${stack}-low`, name: `${item.name}\u200b`, data: item.data.map(([at, low]) => [at, low]), tooltip: { show: false } },
        { ...edge, id: `${stack}-high`, name: item.name, data: item.data.map(([at, low, high]) => [at, low === null || high === null ? null : high - low, low, high]),
          areaStyle: { color: tone, opacity: 0.45 } },
      ];
    }
    const base = { ...common, name: item.name, data: item.data, itemStyle: { color: tone }, live: item.live };
    if (item.shape === "points") return [{ ...base, type: "scatter", symbolSize: 7 }];
    if (item.shape === "bars") return [{ ...base, type: "bar", barMaxWidth: 18 }];
    const dashed = item.role === "forecast" || item.role === "usual";
    return [{ ...base, type: "line", step: item.shape === "step" ? "end" : false, connectNulls: false,
      lineStyle: { color: tone, width: item.role === "measured" ? 1.8 : 1.5, type: item.role === "limit" ? "dotted" : dashed ? "dashed" : "solid" } }];
  });

  const marks = (data, panel) => {
    const tone = (kind) => colour(kind === "now" ? "--muted" : `--${kind}`);
    const spans = data.marks.filter((mark) => mark.start !== mark.end);
    const lines = data.marks.filter((mark) => mark.start === mark.end);
    return {
      markArea: { silent: true, data: spans.map((mark) => [
        { xAxis: mark.start, name: mark.label, itemStyle: { color: tone(mark.kind), opacity: 0.14 }, label: { show: panel === 0, color: tone(mark.kind), position: "insideTop" } },
        { xAxis: mark.end }]) },
      markLine: { silent: true, symbol: "none", data: lines.map((mark) => (
        { xAxis: mark.start, name: mark.label, label: { show: panel === 0, formatter: mark.label, color: tone(mark.kind) }, lineStyle: { color: tone(mark.kind), type: "solid" } })) },
    };
  };

  const tooltip = (data) => (points) => {
    const lines = [timeText(points[0].axisValue)];
    const seen = new Set();
    for (const point of points) {
      const panel = data.panels[point.axisIndex];
      const value = point.data;
      if (!panel || !value || point.seriesName.endsWith("\u200b") || seen.has(point.seriesId)) continue;
      seen.add(point.seriesId);
      const show = (number) => (number === null || number === undefined ? "–" : number.toLocaleString(document.body.dataset.decimal === "," ? "de-DE" : "en-US", { minimumFractionDigits: panel.digits, maximumFractionDigits: panel.digits }));
      lines.push(`${point.seriesName}  ${value.length > 3 ? `${show(value[2])} – ${show(value[3])}` : show(value[1])} ${panel.unit}`);
    }
    return lines.join("\n");
  };

  const option = (data, element) => {
    const count = data.panels.length, ink = colour("--muted"), line = colour("--line");
    const text = { ...font, color: ink };
    const height = element.clientHeight, top = element.clientWidth < 640 ? 52 : 34, bottom = 26, gap = 26;
    const margin = data.zoom ? data.end - data.start : 0; // to drag and zoom out into; the page then fetches that span
    const share = (height - top - bottom - gap * (count - 1)) / (count + 0.5); // the first panel is half as high again
    const grids = data.panels.map((_, index) => ({ left: 52, right: 20, outerBoundsMode: "none", top: top + index * (share + gap) + (index ? share / 2 : 0), height: index ? share : share * 1.5 }));
    const all = data.panels.map(series);
    all.forEach((list, index) => { if (list.length) Object.assign(list[list.length - 1], marks(data, index)); });
    const names = [...new Set(data.panels.flatMap((panel) => panel.series.map((item) => item.name)))];
    return {
      animation: false, useUTC: true, textStyle: text, aria: { enabled: true, label: { enabled: false } },
      grid: grids,
      legend: { type: "scroll", data: names, top: 0, right: 10, textStyle: text, icon: "roundRect", itemWidth: 14, itemHeight: 6, itemGap: 14, inactiveColor: line },
      axisPointer: { link: [{ xAxisIndex: "all" }], lineStyle: { color: ink } },
      tooltip: { trigger: "axis", renderMode: "richText", confine: true, formatter: tooltip(data), backgroundColor: colour("--raised"), borderColor: line, textStyle: { ...font, color: colour("--ink") } },
      xAxis: data.panels.map((_, index) => ({ type: "time", gridIndex: index, containShape: false, min: data.start - margin, max: data.end + margin, axisLine: { lineStyle: { color: line } },
        axisTick: { lineStyle: { color: line } }, axisLabel: { show: index === count - 1, color: ink, hideOverlap: true, formatter: axisFormat(data) }, splitLine: { show: true, lineStyle: { color: line, opacity: 0.5 } } })),
      yAxis: data.panels.map((panel, index) => ({ type: "value", gridIndex: index, scale: !panel.series.some((item) => item.shape === "bars"), name: `${panel.name} ${panel.unit}`, nameGap: 8, nameTextStyle: { ...text, align: "left", padding: [0, 0, 0, -44] },
        splitNumber: 3, minInterval: 10 ** -panel.digits, axisLabel: { color: ink }, splitLine: { lineStyle: { color: line } } })),
      dataZoom: data.zoom ? [{ type: "inside", xAxisIndex: "all", filterMode: "none", startValue: data.start, endValue: data.end, preventDefaultMouseMove: false }] : [],
      series: all.flat(),
    };
  };

  const axisFormat = (data) => ({ year: "{yyyy}", month: data.end - data.start < 100 * DAY ? "{MM}-{dd}" : "{yyyy}-{MM}", day: "{MM}-{dd}", hour: "{HH}:{mm}", minute: "{HH}:{mm}" });

  const note = (element, text) => {
    const paragraph = document.createElement("p");
    paragraph.className = "chart-note";
    paragraph.textContent = text;
    element.replaceChildren(paragraph);
  };

  const draw = (element, data) => {
    let entry = charts.get(element);
    if (!entry) {
      element.replaceChildren();
      entry = { chart: echarts.init(element, null, { locale: korean ? "KO" : "EN" }) };
      entry.chart.on("datazoom", () => {
        const axis = entry.chart.getModel().getComponent("xAxis", 0).axis.scale.getExtent();
        element.dispatchEvent(new CustomEvent("wvr:zoom", { bubbles: true, detail: { start: axis[0], end: axis[1] } }));
      });
      charts.set(element, entry);
    }
    entry.data = data;
    entry.chart.setOption(option(data, element), { notMerge: true });
  };

  const load = async (element) => {
    const address = element.dataset.chart;
    loading.add(element);
    try {
      const response = await fetch(address, { headers: { accept: "application/json" } });
      if (address !== element.dataset.chart) return; // another span was asked for meanwhile
      if (response.ok) {
        draw(element, await response.json());
        for (const minutes of recent.values()) append(minutes, false);
        loading.delete(element);
        return;
      }
      charts.get(element)?.chart.dispose();
      charts.delete(element);
      note(element, await response.text());
    } catch { /* no connection: the banner says so, and the former curve stays */ }
    setTimeout(() => load(element), RETRY_MS);
  };

  const append = ({ sensor, rows }, mayReload = true) => {
    recent.set(sensor, { sensor, rows });
    for (const [element, { chart, data }] of charts) {
      let newest = 0;
      for (const panel of data.panels) for (const item of panel.series) {
        const dot = item.live.lastIndexOf(".");
        if (dot < 0 || item.live.slice(0, dot) !== sensor) continue;
        for (const row of rows) {
          const last = item.data.length ? item.data[item.data.length - 1][0] : -Infinity;
          const point = [row.at, row[item.live.slice(dot + 1)]];
          if (row.at === last) item.data[item.data.length - 1] = point;
          else if (row.at > last) item.data.push(point);
          newest = Math.max(newest, row.at);
        }
      }
      if (newest >= data.end && mayReload) load(element);
      else if (newest) {
        for (const mark of data.marks) if (mark.kind === "now") mark.start = mark.end = Math.max(mark.start, newest);
        chart.setOption(option(data, element), { notMerge: true });
      }
    }
  };

  // Loads the charts of one sensor again; without a sensor, all that are live.
  const reload = (sensor) => {
    for (const [element, { data }] of charts)
      if (data.panels.some((panel) => panel.series.some(({ live }) => live && (!sensor || live.startsWith(`${sensor}.`))))) load(element);
  };

  const redraw = () => { for (const [element, { chart, data }] of charts) { chart.resize(); chart.setOption(option(data, element), { notMerge: true }); } };
  const scan = () => { for (const element of document.querySelectorAll("[data-chart]")) if (!charts.has(element) && !loading.has(element)) load(element); };
  addEventListener("resize", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  document.addEventListener("DOMContentLoaded", scan);
  document.addEventListener("htmx:afterSettle", scan);
  return { append, reload, load, charts };
})();
