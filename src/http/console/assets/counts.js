// Segments' counts as they are now: whenever somebody enters or leaves one, they are asked for again.

const sheet = document.querySelector("[data-counts]");
if (sheet) live(sheet.dataset.counts);

function live(base) {
  let asked = false;
  let again = false;
  const ask = async () => {
    if (asked) { again = true; return; }
    asked = true;
    await show(base).catch(() => {});
    // Several moves within a moment are one.
    setTimeout(() => { asked = false; if (again) { again = false; ask(); } }, 250);
  };
  const events = new EventSource(`${base}/events`);
  for (const kind of ["entered", "left", "reset"]) events.addEventListener(kind, ask);
  events.addEventListener("open", ask);
  addEventListener("pagehide", () => events.close());
}

async function show(base) {
  let cursor = "";
  do {
    const reply = await fetch(`${base}/segments?limit=1000${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    if (!reply.ok) return;
    const page = await reply.json();
    for (const segment of page.items) tell(segment.id, segment.count);
    cursor = page.next_cursor ?? "";
  } while (cursor);
}

function tell(id, count) {
  const text = count.toLocaleString("en");
  for (const place of document.querySelectorAll(`[data-count="${CSS.escape(id)}"]`)) {
    if (place.textContent === text) continue;
    place.textContent = text;
    place.classList.add("changed");
    setTimeout(() => place.classList.remove("changed"), 1200);
  }
}
