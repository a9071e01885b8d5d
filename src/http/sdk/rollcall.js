/*!
 * Rollcall in a page: which segments is the person who looks at it in?
 *
 * Pasted as a tag it asks by itself, as soon as it is there:
 *
 *   <script async src="…/sdk/rollcall.js" data-system="…" data-key="pk_…" data-id="…" data-id-hash="…"></script>
 *
 * When the answer is there, it is `window.rollcall`, and the event `rollcall` comes to the document with it as `detail`:
 *
 *   function greet(rollcall) { if (rollcall.segments.includes('premium')) … }
 *   if (window.rollcall) greet(window.rollcall);
 *   else document.addEventListener('rollcall', event => greet(event.detail));
 *
 * Further attributes: `data-classes` puts a class `segment-<id>` on <html> for each segment (or with the prefix that it
 * gives instead), `data-timeout` sets the milliseconds to wait (5000), `data-url` another server than the script's own.
 *
 * From code: `Rollcall.load({ system, key, id, idHash, url, timeout })` gives a Promise of the answer.
 *
 * The answer is `{ id, segments }`. It always comes: if something is wrong, or nobody is logged in (no id), `segments` is
 * empty, and in the first case `error` says why. Nothing is thrown, so that the page goes on without it.
 */
(function () {
  'use strict';

  const script = document.currentScript;
  const home = script && script.src ? new URL(script.src).origin : location.origin;

  async function ask({ system, key, id, idHash, url = home, timeout = 5000 }) {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), timeout);
    try {
      const answer = await fetch(new URL(`/public/v1/systems/${encodeURIComponent(system)}/evaluate`, url), {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'X-Rollcall-Key': key },
        body: JSON.stringify({ id, id_hash: idHash }),
        credentials: 'omit',
        signal: stop.signal,
      });
      const body = await answer.json().catch(() => ({}));
      if (answer.ok && Array.isArray(body.segments)) return { id: body.id, segments: body.segments };
      throw new Error(`Rollcall answered ${answer.status}: ${body.detail || 'with nothing that can be read'}`);
    } catch (error) {
      throw stop.signal.aborted ? new Error(`Rollcall did not answer within ${timeout} ms`) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  async function load(options) {
    const given = Object.assign({}, options);
    const id = given.id == null ? '' : String(given.id);
    if (id === '') return { id: null, segments: [] };
    try {
      return await ask(Object.assign(given, { id }));
    } catch (error) {
      return { id, segments: [], error };
    }
  }

  window.Rollcall = { load };

  if (script && script.dataset.system) {
    const { system, key, id, idHash, url, timeout, classes } = script.dataset;
    load({ system, key, id, idHash, url, timeout: Number(timeout) || undefined }).then(answer => {
      if (answer.error) console.warn(`Rollcall: ${answer.error.message}`);
      if (classes !== undefined) {
        for (const segment of answer.segments) document.documentElement.className += ` ${classes || 'segment-'}${segment}`;
      }
      window.rollcall = answer;
      document.dispatchEvent(new CustomEvent('rollcall', { detail: answer }));
    });
  }
})();
