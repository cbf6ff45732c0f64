/* Comfort only: every page works without this file. What a page wants of it stands in data- attributes. */
"use strict";

/* Pictures. A table's rows are the data: data-x is a day or a moment, data-y one number a series, with | between,
   empty where there is none. data-series names the series, data-kinds says how each is drawn: bar, outline, line, dash
   or mark. The table stays, folded away below the picture. */
(() => {
  const colors = () => {
    const style = getComputedStyle(document.documentElement);
    const read = (name, other) => style.getPropertyValue(name).trim() || other;
    return {
      text: read("--pico-color", "#373c44"),
      grid: read("--pico-muted-border-color", "#dfe3eb"),
      series: [read("--pico-primary", "#0172ad"), read("--bad", "#b3261e"), read("--good", "#14713c")],
    };
  };

  const rowsOf = (table) =>
    [...table.querySelectorAll("[data-x]")]
      .map((row) => ({ at: Date.parse(row.dataset.x) / 1000, y: row.dataset.y.split("|") }))
      .sort((one, other) => one.at - other.at);

  // A bar of nothing is no bar, not even a line.
  const numberIn = (text, kind) => ((kind === "bar" || kind === "outline") && !Number(text) ? null : text ? Number(text) : null);

  const seriesOf = (label, kind, index, count, color) => {
    const side = count > 1 ? (index ? 1 : -1) : 0;
    const bars = () => uPlot.paths.bars({ size: [count > 1 ? 0.4 : 0.8, 24], align: side });
    return {
      label,
      stroke: color,
      width: kind === "mark" ? 0 : 1.5,
      dash: kind === "dash" ? [6, 4] : undefined,
      fill: kind === "bar" ? color : undefined,
      // A balance stays what it is until the next entry.
      paths: kind === "bar" || kind === "outline" ? bars() : kind === "mark" ? () => null : uPlot.paths.stepped({ align: 1 }),
      points: { show: kind === "mark", size: 8, fill: color },
      value: (_, number) => (number == null ? "–" : number.toFixed(2)),
    };
  };

  const written = (form) => {
    const format = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...form });
    return (seconds) => format.format(seconds * 1000);
  };
  const day = written({ day: "numeric", month: "short" });
  const time = written({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
  // The axis: days, or hours with their day where it changes.
  const moments = (_, splits, axis, space, step) =>
    splits.map((at, index) => {
      if (step >= 86_400) return day(at);
      const clock = step < 60 ? time(at) : time(at).slice(0, 5);
      return index && day(at) === day(splits[index - 1]) ? clock : `${clock}\n${day(at)}`;
    });

  const draw = (place) => {
    const table = document.getElementById(place.dataset.picture);
    const rows = table ? rowsOf(table) : [];
    if (rows.length < 2 || typeof uPlot === "undefined") return;
    const { text, grid, series } = colors();
    const names = table.dataset.series.split("|");
    const kinds = (table.dataset.kinds || "").split("|");
    const bars = kinds.filter((kind) => kind === "bar" || kind === "outline").length;
    const axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
    const edge = bars ? 43_200 : 0; // half a bar is drawn beside its day
    const days = table.querySelector("[data-x]").dataset.x.length === 10;
    place.hidden = false;
    place.replaceChildren();
    new uPlot(
      {
        width: place.clientWidth,
        height: 240,
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
        scales: {
          x: { range: (_, low, high) => [low - edge, high + edge] },
          y: { range: (_, low, high) => [Math.min(0, low), Math.max(high, 0.01) * 1.05] },
        },
        axes: [
          { ...axis, values: moments, ...(days && { incrs: [1, 2, 7, 14].map((count) => count * 86_400) }) },
          { ...axis, size: 64, label: table.dataset.unit, labelSize: 20 },
        ],
        series: [
          { label: "UTC", value: days ? "{D} {MMM} {YYYY}" : "{D} {MMM} {YYYY}, {HH}:{mm}" },
          ...names.map((name, index) => seriesOf(name, kinds[index] || "line", index, bars, series[index % 3])),
        ],
      },
      [rows.map((row) => row.at), ...names.map((_, index) => rows.map((row) => numberIn(row.y[index], kinds[index])))],
      place,
    );
    const folds = document.querySelector(`[data-folds="${place.dataset.picture}"]`);
    if (folds && !place.dataset.drawn) folds.open = false;
    place.dataset.drawn = "yes";
  };

  const drawAll = () => document.querySelectorAll("[data-picture]").forEach(draw);
  let waiting = 0;
  const drawSoon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 150);
  };
  document.addEventListener("DOMContentLoaded", drawAll);
  addEventListener("resize", drawSoon);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawSoon);
})();

/* Billing: the rule of refills as a sentence, and the sum on the button, while somebody types. The words with their
   {names} stand in data- attributes; the names are those of the form's fields. */
(() => {
  const amountIn = (text, symbol) => (/^\d{1,9}(\.\d{1,6})?$/.test(text.trim()) ? symbol + Number(text).toFixed(2) : "…");

  const fill = (words, form, symbol) =>
    words.replace(/\{(\w+)\}/g, (_, name) => amountIn(form.elements[name].value, symbol));

  document.addEventListener("DOMContentLoaded", () => {
    for (const form of document.querySelectorAll("[data-sentence]")) {
      const sentence = document.getElementById(form.dataset.sentence);
      form.addEventListener("input", () => {
        const said = form.elements.enabled.checked ? form.elements.mode.value : "off";
        sentence.firstElementChild.textContent = fill(sentence.dataset[said], form, sentence.dataset.symbol);
      });
    }
    for (const button of document.querySelectorAll("[data-says]")) {
      const name = button.dataset.says;
      button.form.elements[name].addEventListener("input", () => {
        const known = amountIn(button.form.elements[name].value, button.dataset.symbol) !== "…";
        button.textContent = known ? fill(button.dataset.words, button.form, button.dataset.symbol) : button.dataset.plain;
      });
    }
  });
})();

/* A part of a form's page is worked out again while it is typed in: the page is asked, and its part put in place. */
(() => {
  const refresh = async (form) => {
    const typed = new URLSearchParams(new FormData(form));
    ["csrf", "key", "sub_account", "tab"].forEach((name) => typed.delete(name));
    const answer = await fetch(`${form.dataset.liveFrom}&${typed}`, { credentials: "same-origin" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = answer.ok && page.querySelector(form.dataset.live);
    if (found) document.querySelector(form.dataset.live).replaceChildren(...found.childNodes);
  };
  document.querySelectorAll("form[data-live]").forEach((form) => {
    let waiting = 0;
    form.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => refresh(form).catch(() => {}), 250);
    });
  });
})();

/* What a button copies stands on the page; without a clipboard there is no button. */
document.querySelectorAll("button[data-copies]").forEach((button) => {
  if (!navigator.clipboard) return;
  const words = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.querySelector(button.dataset.copies).textContent.trim());
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = words), 2000);
  });
});

/* A menu that is open closes with Escape, and with a click elsewhere. */
(() => {
  const close = (but) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(but)) menu.open = false;
  };
  addEventListener("click", (event) => close(event.target));
  addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
})();
