"use strict";
// Draws /status.json and asks for it again every five seconds. Whatever comes from there goes into
// the page as text.
(() => {
  const EVERY = 5000, PATIENCE = 10000;
  const SVG = "http://www.w3.org/2000/svg";
  const TONES = { running: "ok", starting: "quiet", held: "bad", error: "bad", paused: "warn", restarting: "warn", stopped: "bad" };
  // Every state has a shape of its own, so that none is told by its color alone.
  const SHAPES = {
    running: "M6 1a5 5 0 1 0 0 10A5 5 0 0 0 6 1z",
    starting: "M6 1a5 5 0 1 0 0 10A5 5 0 0 0 6 1zm0 1.8a3.2 3.2 0 1 1 0 6.4 3.2 3.2 0 0 1 0-6.4z",
    held: "M1.5 1.5h9v9h-9z",
    error: "M6 .8 11.6 11H.4z",
    paused: "M2.5 1.5h2.6v9H2.5zM6.9 1.5h2.6v9H6.9z",
    restarting: "M6 1a5 5 0 1 0 5 5H9a3 3 0 1 1-3-3v2l3.6-3L6-1z",
    stopped: "M2.4 1 6 4.6 9.6 1 11 2.4 7.4 6 11 9.6 9.6 11 6 7.4 2.4 11 1 9.6 4.6 6 1 2.4z",
  };
  const $ = (id) => document.getElementById(id);
  const known = (value) => typeof value === "number" && Number.isFinite(value);
  let status = null, skew = 0, held = false, failedSince = null;
  const states = new Map();

  function make(tag, className, ...children) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    node.append(...children);
    return node;
  }
  function draw(tag, attributes, ...children) {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }
  // A screen reader hears only what has changed.
  function write(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }
  function icon(state) {
    const shape = draw("path", { d: SHAPES[state] || SHAPES.starting, "fill-rule": "evenodd" });
    return draw("svg", { class: "icon", viewBox: "0 0 12 12", "aria-hidden": "true" }, shape);
  }
  function sign(node, state, word, tone) {
    if (node.dataset.sign === state + word) return;
    node.dataset.sign = state + word;
    node.dataset.tone = tone;
    node.replaceChildren(icon(state), word);
  }

  const now = () => Date.now() / 1000 + skew;
  const whole = (value) => Math.round(value).toLocaleString("en");
  function number(value) {
    if (!known(value)) return "–";
    if (value === 0 || Math.abs(value) >= 100) return whole(value);
    return value.toLocaleString("en", { maximumFractionDigits: Math.abs(value) < 1 ? 2 : 1 });
  }
  function time(seconds) {
    if (!known(seconds)) return "–";
    if (seconds < 0.95) return "< 1 s";
    if (seconds < 90) return Math.round(seconds) + " s";
    const minutes = Math.round(seconds / 60);
    if (minutes < 90) return minutes + " min";
    const hours = Math.floor(minutes / 60);
    const both = (large, small) => large + (small.startsWith("0 ") ? "" : " " + small);
    if (hours < 48) return both(hours + " h", (minutes % 60) + " min");
    return both(Math.floor(hours / 24) + " d", (hours % 24) + " h");
  }
  const ago = (at) => time(Math.max(0, now() - at)) + " ago";
  const clockTime = (at) => new Date(at * 1000).toLocaleString("sv");
  function size(bytes) {
    if (!known(bytes)) return "–";
    return number(bytes / 1048576) + " MiB";
  }
  // A text that goes on with the clock.
  function ticking(node, say) {
    node.say = say;
    node.dataset.clock = "";
    write(node, say());
  }

  // ---- charts
  function path(values, points, top, width, height) {
    let line = "", area = "", open = false, x = 0;
    const first = points - values.length;
    const y = (value) => (height - (value / top) * height).toFixed(1);
    values.forEach((value, at) => {
      if (!known(value)) {
        if (open) area += "V" + height + "Z";
        open = false;
        return;
      }
      x = (((first + at) / (points - 1)) * width).toFixed(1);
      line += (open ? "L" : "M") + x + " " + y(value);
      area += (open ? "L" : "M" + x + " " + height + "L") + x + " " + y(value);
      open = true;
    });
    if (open) area += "V" + height + "Z";
    return { line, area };
  }
  // The top of a scale: a round number, or a round time.
  const TIMES = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 18000, 43200, 86400, 172800];
  function nice(value, times) {
    if (!(value > 0)) return 1;
    const round = times && TIMES.find((step) => value <= step);
    if (round) return round;
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 5, 10].map((step) => step * power).find((step) => value <= step);
  }
  const most = (values) => values.reduce((most, value) => (known(value) ? Math.max(most, value) : most), 0);

  const charts = new Map();
  function chart(key, title, values, say, current) {
    let parts = charts.get(key);
    if (!parts) {
      const area = draw("path", { class: "area" }), line = draw("path", { class: "curve" });
      const grid = [16, 32, 48].map((y) => draw("path", { class: "grid", d: "M0 " + y + "H300" }));
      const svg = draw("svg", { viewBox: "0 0 300 64", preserveAspectRatio: "none", role: "img" }, ...grid, area, line);
      const value = make("strong"), top = make("span", "top");
      const figure = make("figure", "chart", make("figcaption", "", title, value), make("div", "plot", svg, top),
        make("div", "axis", make("span", "", "15 min ago"), make("span", "", "now")));
      $("charts").append(figure);
      charts.set(key, (parts = { figure, svg, area, line, value, top }));
    }
    const top = nice(most(values), say === time);
    const { line, area } = path(values, status.history.points || 180, top, 300, 64);
    parts.line.setAttribute("d", line);
    parts.area.setAttribute("d", area);
    write(parts.value, say(current));
    write(parts.top, say(top));
    parts.svg.setAttribute("aria-label", title + ": now " + say(current) + ", at most " + say(most(values)) + " in the last 15 minutes");
  }
  function spark(cell, pipeline) {
    const values = pipeline.history ? pipeline.history.rate : [];
    cell.classList.toggle("none", values.length < 2);
    if (!cell.curve) {
      cell.curve = draw("path", { class: "curve" });
      cell.area = draw("path", { class: "area" });
      cell.append(draw("svg", { class: "spark", viewBox: "0 0 104 22", preserveAspectRatio: "none", "aria-hidden": "true" }, cell.area, cell.curve));
    }
    const { line, area } = path(values, status.history.points || 180, (most(values) || 1) * 1.1, 104, 21);
    cell.curve.setAttribute("d", line);
    cell.area.setAttribute("d", area);
  }

  // ---- tables
  function nameCell(cell, pipeline) {
    if (!cell.firstChild) cell.append(make("b"), make("small"));
    write(cell.children[0], pipeline.name);
    write(cell.children[1], "→\u00a0" + pipeline.to);
  }
  const snapshot = (it) => !it ? "" :
    "snapshot, " + whole(it.rows) + " rows" + (known(it.remaining) ? ", " + whole(it.remaining) + " left" : "") +
    (it.paused ? ", paused" : known(it.left) ? ", " + time(it.left) : "");
  function rowsCell(cell, pipeline) {
    if (!cell.firstChild) cell.append(make("span"), make("small"));
    const { late, deletes } = pipeline;
    const parts = [
      late && late.rows ? whole(late.rows) + " late" : "",
      deletes && deletes.sent ? whole(deletes.sent) + " deleted" : "",
      deletes && deletes.held ? whole(deletes.held) + " held" : "",
    ];
    write(cell.children[0], number(pipeline.rows));
    write(cell.children[1], parts.filter(Boolean).join(", "));
  }
  function stateCell(cell, pipeline) {
    if (!cell.firstChild) cell.append(make("div", "", make("span", "word"), make("small")));
    const [word, words] = cell.firstChild.children;
    sign(word, pipeline.state, pipeline.state, TONES[pipeline.state] || "quiet");
    const left = known(pipeline.remaining) ? "first load, " + whole(pipeline.remaining) + " rows left" : "";
    const deletes = pipeline.deletes && pipeline.deletes.words;
    write(words, pipeline.words || left || deletes || snapshot(pipeline.snapshot));
  }
  function errorCell(cell, pipeline) {
    const last = pipeline.last_error;
    cell.classList.toggle("none", !last);
    if (!last) return cell.replaceChildren(pipeline.errors ? number(pipeline.errors) + " errors" : "");
    if (!cell.querySelector("details")) {
      cell.replaceChildren(make("details", "", make("summary", "", make("span"), make("span")), make("p")));
    }
    const [summary, words] = cell.firstChild.children;
    const count = pipeline.errors > 1 ? whole(pipeline.errors) + " errors, last " : "";
    ticking(summary.children[0], () => count + ago(last.at));
    write(summary.children[1], ": " + last.words);
    write(words, last.words);
  }
  function nextCell(cell, pipeline) {
    const next = pipeline.next_poll;
    cell.classList.toggle("none", !known(next));
    if (!known(next)) { delete cell.dataset.clock; return write(cell, "–"); }
    ticking(cell, () => (next - now() < 0.5 ? "now" : "in " + time(next - now())));
  }
  const compared = (it) =>
    !it ? "" : (it.differences ? whole(it.differences) + " rows differ, " : "") + time(it.age) + " ago";
  const contents = (it) => !it ? "" : "contents " +
    (known(it.age) ? time(it.age) + " ago" : Math.floor(100 * it.progress) + " %") +
    (it.changed ? ", " + whole(it.changed) + " rows differed" : "");
  const text = (say) => (cell, pipeline) => write(cell, say(pipeline));
  const NAME = { label: "Name", head: true, fill: nameCell };
  const STATE = { label: "State", css: "state", fill: stateCell };
  const RATE = { label: "Per second", css: "number", fill: text((it) => number(it.rate)) };
  const SPARK = { label: "15 minutes", css: "wide", fill: spark };
  const ERROR = { label: "Last error", css: "error", fill: errorCell };
  const TABLES = [
    { ...NAME, label: "Table" }, STATE,
    { label: "Rows", css: "number", fill: rowsCell }, RATE, SPARK,
    { label: "Lag", css: "number", fill: text((it) => time(it.lag)) },
    { label: "Next poll", css: "number", fill: nextCell },
    { label: "Compared", css: "number wide", fill: text((it) =>
      [compared(it.verify), contents(it.content)].filter(Boolean).join("; ") || "–") }, ERROR,
  ];
  const TOPICS = [
    { ...NAME, label: "Topic" }, STATE,
    { label: "Written", css: "number", fill: text((it) => number(it.rows)) }, RATE, SPARK,
    { label: "Lag", css: "number", fill: text((it) => (known(it.lag) ? whole(it.lag) + " records" : "–")) },
    { label: "Under way", css: "number wide", fill: text((it) => number(it.in_flight)) },
    { label: "Dead letters", css: "number", fill: text((it) => number(it.dead_letters)) }, ERROR,
  ];
  const OUTCOMES = { applied: ["running", "applied", "ok"], refused: ["stopped", "refused", "bad"], rolled_back: ["error", "rolled back", "bad"] };
  const RELOADS = [
    { label: "When", head: true, fill: (cell, it) => {
      if (!cell.firstChild) cell.append(make("b"), make("small"));
      write(cell.children[0], clockTime(it.at));
      ticking(cell.children[1], () => ago(it.at));
    } },
    { label: "Outcome", css: "state", fill: (cell, it) => {
      if (!cell.firstChild) cell.append(make("span", "word"));
      sign(cell.firstChild, ...(OUTCOMES[it.outcome] || ["starting", it.outcome, "quiet"]));
    } },
    { label: "What", fill: (cell, it) => {
      const wanted = it.words.join("\n");
      if (cell.dataset.words === wanted) return;
      cell.dataset.words = wanted;
      cell.replaceChildren(make("div", "", ...it.words.map((line) => make("div", "", line))));
    } },
  ];

  // Rows are kept and changed in place, so that focus and open details stay where they are.
  function table(id, columns, list, key) {
    const [head, body] = [$(id).tHead, $(id).tBodies[0]];
    if (!head.firstChild) {
      const cell = (column) => {
        const node = make("th", (column.css || "") + " head", column.label);
        node.scope = "col";
        node.setAttribute("role", "columnheader");
        return node;
      };
      const row = make("tr", "", ...columns.map(cell));
      row.setAttribute("role", "row");
      head.append(row);
    }
    const old = new Map([...body.rows].map((row) => [row.key, row]));
    list.forEach((item, at) => {
      let row = old.get(key(item));
      if (!row) {
        row = make("tr");
        row.key = key(item);
        row.setAttribute("role", "row");
        for (const column of columns) {
          const cell = make(column.head ? "th" : "td", column.css || "");
          if (column.head) cell.scope = "row";
          cell.setAttribute("role", column.head ? "rowheader" : "cell");
          cell.dataset.label = column.label;
          row.append(cell);
        }
      }
      old.delete(key(item));
      columns.forEach((column, index) => column.fill(row.cells[index], item));
      if (body.rows[at] !== row) body.insertBefore(row, body.rows[at] || null);
    });
    old.forEach((row) => row.remove());
  }
  function pipelines(id, columns, list) {
    $(id + "-section").hidden = list.length === 0;
    table(id, columns, list, (it) => it.name);
    const counts = new Map();
    list.forEach((it) => counts.set(it.state, (counts.get(it.state) || 0) + 1));
    write($(id).querySelector(".summary"), [...counts].map(([state, count]) => count + " " + state).join(", "));
    return list.flatMap((it) => {
      const key = id + " " + it.name, before = states.get(key);
      states.set(key, it.state);
      return before && before !== it.state ? [it.name + " is " + it.state] : [];
    });
  }

  // ---- facts
  const facts = new Map();
  function fact(title, ok, word, words, lines) {
    let parts = facts.get(title);
    if (!parts) {
      const mark = make("span", "word"), list = make("dl"), note = make("p", "words");
      note.dataset.tone = "bad";
      const section = make("section", "", make("h2", "", title, mark), note, list);
      section.setAttribute("aria-label", title);
      $("facts").append(section);
      facts.set(title, (parts = { mark, list, note }));
    }
    if (word) sign(parts.mark, ok ? "running" : "error", word, ok ? "ok" : "bad");
    write(parts.note, words || "");
    parts.note.hidden = !words;
    lines.forEach(([label, say], at) => {
      if (!parts.list.children[2 * at]) parts.list.append(make("dt"), make("dd"));
      write(parts.list.children[2 * at], label);
      ticking(parts.list.children[2 * at + 1], say);
    });
    while (parts.list.children.length > 2 * lines.length) parts.list.lastChild.remove();
  }
  function allFacts() {
    const { servicenow: instance, kafka, process, started, sink_member: member, checkpoint } = status;
    const token = () => (instance.token_expires > now() ? "in " + time(instance.token_expires - now()) : ago(instance.token_expires));
    fact("ServiceNow", instance.ok, instance.ok ? "answers" : "in trouble", instance.words, [
      ["Requests", () => number(instance.requests)],
      ["Failed", () => number(instance.errors)],
      ["Waited for limits", () => time(instance.limit_wait)],
      ...(known(instance.token_expires) ? [["Token expires", token]] : [["Logs in with", () => instance.auth.replace("_", " ")]]),
    ]);
    fact("Kafka", kafka.ok, kafka.ok ? "connected" : "in trouble", kafka.words, [
      ["Brokers", () => kafka.brokers.join(", ")],
      ["Waiting for an answer", () => number(kafka.queue)],
      ["Sent again", () => number(kafka.errors)],
    ]);
    if (member) {
      const waiting = status.topics.reduce((sum, it) => sum + (it.waiting || 0), 0);
      fact("Sink", true, "", "", [
        ["Group", () => member.group_id],
        ["Member", () => member.instance_id],
        ["Waiting for older writes", () => whole(waiting) + (waiting === 1 ? " record" : " records")],
      ]);
    }
    const dead = status.unhealthy;
    fact("Process", !dead.length, dead.length ? "in trouble" : "healthy", dead.join("; "), [
      ["Runs for", () => time(now() - started)],
      ["Memory", () => size(process.resident_bytes)],
      ["CPU time", () => time(process.cpu_seconds)],
      ["Threads", () => number(process.threads)],
      ["Descriptors", () => number(process.open_fds) + " of " + number(process.max_fds)],
      ["Disk, per checkpoint", () => (known(checkpoint.fsync_mean) ? number(checkpoint.fsync_mean * 1000) + " ms" : "–")],
    ]);
  }

  // ---- all of it
  function lines(section, list, words) {
    $(section).hidden = words.length === 0;
    const wanted = words.join("\n");
    if ($(list).dataset.words === wanted) return;
    $(list).dataset.words = wanted;
    $(list).replaceChildren(...words.map((line) => make("li", "", line)));
  }
  const PLACES = { servicenow_read: "ServiceNow, reads", servicenow_write: "ServiceNow, writes", servicenow_login: "ServiceNow, log-in", schema_registry: "Schema registry" };
  // Items are kept, so that the time of an outage goes on and is not read out anew.
  function outages(list) {
    $("away").hidden = list.length === 0;
    while ($("outages").children.length > list.length) $("outages").lastChild.remove();
    list.forEach((it, at) => {
      const item = $("outages").children[at] || $("outages").appendChild(make("li"));
      ticking(item, () => (PLACES[it.place] || it.place) + ", for " + time(Math.max(0, now() - it.since)) + ": " + it.words);
    });
  }
  function show() {
    const { tables, topics, reloads, history } = status;
    const host = status.servicenow.url.replace(/^[a-z]+:\/\//, "");
    write($("instance"), host);
    sign($("ready"), status.ready ? "running" : "error", status.ready ? "Ready" : "Not ready", status.ready ? "ok" : "bad");
    document.title = (status.ready ? "" : "▲ ") + host + " – servicenow-kafka-bridge";
    lines("trouble", "reasons", status.reasons);
    lines("known", "notes", status.notes);
    outages(status.outages);
    const changes = [...pipelines("tables", TABLES, tables), ...pipelines("topics", TOPICS, topics)];
    const ready = states.get("ready");
    states.set("ready", status.ready);
    if (ready !== undefined && ready !== status.ready) changes.unshift(status.ready ? "The bridge is ready" : "The bridge is not ready");
    if (changes.length) write($("changes"), changes.join(". "));
    const sum = (list) => list.reduce((sum, it) => sum + (it.rate || 0), 0);
    if (tables.length) {
      chart("table-rate", "Rows to Kafka per second", history.tables.rate, number, sum(tables));
      chart("table-lag", "Longest lag of a table", history.tables.lag, time, most(tables.map((it) => it.lag)));
    }
    if (topics.length) {
      chart("topic-rate", "Records to ServiceNow per second", history.topics.rate, number, sum(topics));
      chart("topic-lag", "Longest lag of a topic, records", history.topics.lag, whole, most(topics.map((it) => it.lag)));
    }
    allFacts();
    table("reloads", RELOADS, reloads, (it) => it.at + it.outcome);
    $("reloads").tHead.hidden = reloads.length === 0;
    write($("reloads").querySelector(".summary"), reloads.length ? "" : "none since the start");
    write($("version"), "version " + status.version + " (" + status.revision + ")");
  }
  async function refresh() {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), PATIENCE);
    try {
      const answer = await fetch("/status.json", { cache: "no-store", signal: abort.signal });
      if (!answer.ok) throw new Error("status " + answer.status);
      status = await answer.json();
      skew = status.time - Date.now() / 1000;
      failedSince = null;
    } catch {
      failedSince = failedSince || new Date();
    } finally {
      clearTimeout(timer);
    }
    $("offline").hidden = !failedSince;
    $("main").classList.toggle("stale", !!failedSince);
    if (failedSince) {
      write($("offline"), "The bridge has not answered since " + failedSince.toLocaleTimeString("sv") + ". What is shown is older.");
      if (!status) sign($("ready"), "error", "No answer", "bad");
    } else {
      show();
    }
  }
  function tick() {
    if (!status) return;
    write($("updated"), (held ? "held, " : "") + "updated " + ago(status.time));
    document.querySelectorAll("[data-clock]").forEach((node) => write(node, node.say()));
  }
  async function loop() {
    if (!held && !document.hidden) await refresh();
    tick();
    setTimeout(loop, EVERY);
  }
  $("hold").addEventListener("click", () => {
    held = !held;
    $("hold").setAttribute("aria-pressed", String(held));
    write($("hold"), held ? "Go on" : "Pause updates");
    tick();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && !held) refresh().then(tick); });
  setInterval(tick, 1000);
  loop();
})();
