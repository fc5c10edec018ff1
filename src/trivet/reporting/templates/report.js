"use strict";
const copyable = (box) => {
  if (!navigator.clipboard) return;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(box.querySelector("code").textContent);
    button.textContent = "Copied";
  });
  box.append(button);
};
(async () => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  // What is large travels compressed: plotly, and the table of all trials.
  const unpack = async (id) => {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent.trim()), (char) => char.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };
  const roles = read("roles"), charts = read("charts");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const COLOR = /color$/i;

  // Colours come as roles ("@blue"); only keys that name a colour are touched, so no label is ever changed.
  const paint = (node, place) => {
    if (Array.isArray(node)) return node.map((item) => (item && typeof item === "object" ? paint(item, place) : item));
    const out = {};
    for (const [key, value] of Object.entries(node)) {
      if (typeof value === "string" && COLOR.test(key) && value[0] === "@") out[key] = roles[value.slice(1)][place];
      else out[key] = value && typeof value === "object" ? paint(value, place) : value;
    }
    return out;
  };

  const themed = (figure) => {
    const place = dark.matches ? 1 : 0, role = (name) => roles[name][place];
    const { data, layout } = paint(figure, place);
    const axis = { gridcolor: role("grid"), linecolor: role("muted"), zerolinecolor: role("grid"), tickcolor: role("muted"), tickfont: { size: 11 } };
    const narrow = innerWidth < 600;
    return {
      data: data.map((trace) => (trace.marker && trace.marker.colorbar && narrow ? { ...trace, marker: { ...trace.marker, colorbar: { ...trace.marker.colorbar, thickness: 8 } } } : trace)),
      layout: {
        ...layout,
        ...(layout.yaxis2 ? { yaxis2: { ...axis, ...layout.yaxis2, fixedrange: narrow } } : {}),
        xaxis: { ...axis, ...layout.xaxis, fixedrange: narrow },
        yaxis: { ...axis, ...layout.yaxis, fixedrange: narrow },
        paper_bgcolor: role("paper"), plot_bgcolor: role("paper"),
        font: { color: role("ink"), size: 12, family: "system-ui, sans-serif" },
        hoverlabel: { bgcolor: role("paper"), bordercolor: role("muted"), font: { color: role("ink") } },
        margin: { l: 48, r: 12, t: 8, b: 40 },
        legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11 } },
        dragmode: narrow ? false : "zoom", autosize: true,
      },
    };
  };
  const config = { displayModeBar: false, responsive: true, doubleClick: "reset" };

  const visible = (box) => !box.closest("details:not([open])");
  let latest = 0, drawing = Promise.resolve();
  const redraw = async (mine) => {
    for (const box of [...document.querySelectorAll("[data-chart]")].filter(visible)) {
      if (mine !== latest) return; // the next one is waiting, and draws them all
      const { data, layout } = themed(charts[box.dataset.chart]);
      await Plotly.react(box, data, layout, config);
      await new Promise((next) => setTimeout(next)); // let the page breathe: text can be read and scrolled meanwhile
    }
    document.body.dataset.ready = "yes";
  };
  const draw = () => { // one after the other: two at once would draw into the same chart
    const mine = ++latest;
    drawing = drawing.then(() => redraw(mine)).catch(console.error);
  };
  document.querySelectorAll("details.charts").forEach((part) => part.addEventListener("toggle", draw));

  const keyOf = (cell) => {
    if (!cell) return null;
    if (cell.dataset.key !== undefined && cell.dataset.key !== "") {
      const number = Number(cell.dataset.key);
      return Number.isNaN(number) ? cell.dataset.key : number;
    }
    const text = cell.textContent.trim();
    return text === "–" || text === "" ? null : text;
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), undefined, { numeric: true });
  };
  const sortable = (table) => {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    if (body.rows.length < 3) return;
    heads.forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = [...body.rows].map((row) => [keyOf(row.cells[place]), row]);
        rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : (up ? 1 : -1) * compare(a, b)));
        body.append(...rows.map(([, row]) => row));
      });
    });
  };
  document.querySelectorAll("table.sortable").forEach(sortable);

  document.querySelectorAll(".command").forEach(copyable);

  // A page that is served for a running sweep loads itself anew as trials end; the browser keeps the place.
  const { mark, seconds } = document.body.dataset;
  if (mark) setInterval(async () => {
    const now = await fetch("/mark").then((answer) => answer.text(), () => mark);
    if (now !== mark && !document.querySelector(".detail:not(:empty)")) location.reload();
  }, 1000 * seconds);

  // The contents stay, and show where one is.
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const watch = new IntersectionObserver(() => {
    const parts = [...document.querySelectorAll("section[id]")], now = parts.filter((part) => part.getBoundingClientRect().top < innerHeight / 3).at(-1) || parts[0];
    links.forEach((link, id) => (now && id === now.id ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current")));
  }, { threshold: [0, 0.05, 0.2, 0.5, 1] });
  document.querySelectorAll("section[id]").forEach((part) => watch.observe(part));

  if (innerWidth < 1000) document.querySelector("nav details").open = false;
  try {
    for (const box of document.querySelectorAll("[data-trials]")) explore(box, JSON.parse(await unpack(box.dataset.trials)));
    if (Object.keys(charts).length) {
      const script = document.createElement("script");
      script.textContent = await unpack("plotly");
      document.head.append(script);
    }
  } catch (error) {
    document.querySelector("noscript").insertAdjacentHTML("afterend", '<p class="note">This browser is too old for the charts and the table of trials (it lacks DecompressionStream).</p>');
    throw error;
  }
  dark.addEventListener("change", draw);
  draw();
})();
