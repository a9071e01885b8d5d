// Uploads a CSV file with progress, and follows what becomes of those that are not at their end.

const card = document.querySelector("[data-upload]");
if (card?.querySelector("form")) upload(card);
for (const entry of document.querySelectorAll("[data-live-import]")) follow(entry);

function upload(card) {
  const form = card.querySelector("form");
  const input = form.querySelector("input[type=file]");
  const button = form.querySelector("button.primary");
  const bar = form.querySelector("progress");
  const says = form.querySelector("[role=status]");
  let file = null;

  const choose = (chosen) => {
    file = chosen ?? null;
    form.querySelector("[data-file]").textContent = file ? `${file.name}, ${size(file.size)}` : "or drop it here";
    button.disabled = !file;
  };
  input.addEventListener("change", () => choose(input.files[0]));
  card.addEventListener("dragover", (event) => { event.preventDefault(); card.classList.add("over"); });
  card.addEventListener("dragleave", () => card.classList.remove("over"));
  card.addEventListener("drop", (event) => {
    event.preventDefault();
    card.classList.remove("over");
    choose(event.dataTransfer.files[0]);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!file) return;
    const query = new URLSearchParams({
      on_error: form.elements.skip.checked ? "skip" : "abort",
      dry_run: String(form.elements.dry_run.checked),
      file_name: file.name,
    });
    button.disabled = true;
    form.querySelector("[data-progress]").hidden = false;
    send(`${card.dataset.upload}?${query}`, file, bar, says).then(
      () => location.reload(),
      (error) => { says.textContent = error.message; button.disabled = false; },
    );
  });
}

function send(url, file, bar, says) {
  return new Promise((resolve, reject) => {
    // fetch() tells nothing of a body that is on its way.
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.setRequestHeader("content-type", "text/csv");
    request.upload.addEventListener("progress", (event) => {
      bar.value = event.total ? (100 * event.loaded) / event.total : 0;
      says.textContent = `${size(event.loaded)} of ${size(event.total)} sent`;
    });
    request.addEventListener("load", () => {
      if (request.status === 202) return resolve();
      let detail = `The server answered ${request.status}.`;
      try { detail = JSON.parse(request.responseText).detail; } catch { /* it says no more */ }
      reject(new Error(detail));
    });
    request.addEventListener("error", () => reject(new Error("The upload broke off: try again.")));
    request.send(file);
  });
}

async function follow(entry) {
  const bar = entry.querySelector("progress");
  for (;;) {
    await new Promise((done) => setTimeout(done, 400));
    const reply = await fetch(`/admin/v1/imports/${entry.dataset.liveImport}`).catch(() => null);
    if (!reply?.ok) continue;
    const now = await reply.json();
    if (now.state === "done" || now.state === "failed") return location.reload();
    const done = now.state === "applying" ? now.stored : now.rows_read;
    if (now.rows_total) { bar.max = now.rows_total; bar.value = done; }
    const total = now.rows_total ? ` of ${now.rows_total.toLocaleString("en")}` : "";
    entry.querySelector("[data-says]").textContent =
      `${now.rows_read.toLocaleString("en")}${total} rows read, ${now.stored.toLocaleString("en")} stored, ${now.rejected.toLocaleString("en")} refused`;
    entry.querySelector(".badge").textContent = now.state === "applying" ? "Storing" : "Checking";
  }
}

function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let unit = -1;
  do { bytes /= 1024; unit += 1; } while (bytes >= 1024 && unit < units.length - 1);
  return `${bytes.toFixed(1)} ${units[unit]}`;
}
