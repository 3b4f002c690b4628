// Keeps a page up to date and gives it keys. Everything works without it.
'use strict';
(() => {
  const body = document.body;
  const every = Number(body.dataset.every) * 1000;
  const line = document.getElementById('fetched');
  const pause = document.getElementById('pause');
  const PAUSED = 'qbo-console-paused';
  let paused = sessionStorage.getItem(PAUSED) === 'yes';
  let tag = null;
  // A moment by two clocks: one never goes back, and the other goes on while the machine sleeps.
  const moment = (age) => ({ steady: performance.now() - age * 1000, wall: Date.now() - age * 1000 });
  const since = (then) => Math.max(performance.now() - then.steady, Date.now() - then.wall);
  // When what is shown was computed.
  let last = moment(Number(body.dataset.age));
  let failedAt = null;
  let timer = null;

  // What a person uses now stays: focus, selected text, an open detail or a changed field.
  const inUse = (region) => {
    const chosen = getSelection();
    if (region.contains(document.activeElement)) return true;
    if (chosen && !chosen.isCollapsed && region.contains(chosen.anchorNode)) return true;
    return region.querySelector('details[open], dialog[open]') !== null;
  };

  const swap = (text) => {
    const fresh = new DOMParser().parseFromString(text, 'text/html');
    if (!fresh.getElementById('main')) throw new Error('not a page of the console');
    const regions = [...document.querySelectorAll('[data-live]')];
    const now = [...fresh.querySelectorAll('[data-live]')];
    // Another shape, such as a page that could not be shown before: the whole content changes.
    if (regions.map((one) => one.id).join() !== now.map((one) => one.id).join()) {
      const main = document.getElementById('main');
      if (inUse(main)) return false;
      main.replaceWith(document.adoptNode(fresh.getElementById('main')));
      return true;
    }
    let whole = true;
    for (const region of regions) {
      const next = fresh.getElementById(region.id);
      if (next.outerHTML === region.outerHTML) continue;
      if (inUse(region)) { whole = false; continue; }
      const scrolled = region.querySelector('.frame')?.scrollLeft || 0;
      const adopted = document.adoptNode(next);
      region.replaceWith(adopted);
      if (scrolled) adopted.querySelector('.frame').scrollLeft = scrolled;
    }
    rove();
    const pace = Number(fresh.body.dataset.every);
    if (pace) body.dataset.every = pace;
    return whole;
  };

  const look = async () => {
    timer = null;
    if (paused || document.hidden) return;
    try {
      const headers = tag ? { 'If-None-Match': tag } : {};
      const answer = await fetch(location.href, { headers, cache: 'no-store', credentials: 'same-origin' });
      if (answer.redirected) { location.reload(); return; }
      let whole = true;
      if (answer.status !== 304) {
        const text = await answer.text();
        if (paused || document.hidden) return;
        whole = swap(text);
        tag = answer.ok && whole ? answer.headers.get('ETag') : null;
      }
      if (whole) last = moment(Number(answer.headers.get('Age')));
      failedAt = null;
    } catch {
      failedAt ??= last;
    }
    tell();
    plan();
  };

  const plan = () => {
    if (every && !timer && !paused) timer = setTimeout(look, Number(body.dataset.every) * 1000);
  };

  const tell = () => {
    if (!line) return;
    line.classList.toggle('late', failedAt !== null);
    if (failedAt !== null) {
      const at = new Date(Date.now() - since(failedAt));
      const two = (number) => String(number).padStart(2, '0');
      line.textContent = `${line.dataset.not} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
    } else if (paused) {
      line.textContent = line.dataset.paused;
    } else {
      const [second, minute, hour] = line.dataset.units.split(' ');
      const passed = Math.round(since(last) / 1000);
      const told = passed < 60 ? [passed, second] : passed < 3600 ? [Math.floor(passed / 60), minute] : [Math.floor(passed / 3600), hour];
      line.textContent = line.dataset.ago.replace('{}', told.join('\u00a0'));
    }
  };

  const toggle = () => {
    if (!pause) return;
    paused = !paused;
    sessionStorage.setItem(PAUSED, paused ? 'yes' : 'no');
    mark();
    if (paused) { clearTimeout(timer); timer = null; } else look();
    tell();
  };

  const mark = () => {
    if (pause.dataset.own === undefined) pause.dataset.own = pause.textContent;
    pause.textContent = paused ? pause.dataset.other : pause.dataset.own;
    pause.setAttribute('aria-pressed', String(paused));
  };

  // Rows are walked with j and k, and opened with Enter, by their first link.
  const walk = (step) => {
    const links = [...document.querySelectorAll('[data-rows] > *')].map((row) => row.querySelector('a')).filter(Boolean);
    if (links.length === 0) return;
    const at = links.findIndex((link) => link.closest('[data-rows] > *').contains(document.activeElement));
    const next = at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + step, 0), links.length - 1);
    links[next].focus();
    links[next].scrollIntoView({ block: 'nearest' });
  };

  // One stop of the tab key for the whole calendar.
  const rove = () => {
    const cells = [...document.querySelectorAll('.month a')];
    const stop = cells.find((cell) => cell === document.activeElement || cell.hasAttribute('aria-current')) || cells[0];
    for (const cell of cells) {
      const index = cell === stop ? 0 : -1;
      if (cell.tabIndex !== index) cell.tabIndex = index;
    }
  };

  // Days of the calendar are walked with the arrow keys, as in any calendar.
  const DAYS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 };
  const walkDays = (event) => {
    const cells = [...document.querySelectorAll('.month a')];
    const at = cells.indexOf(document.activeElement);
    if (at < 0) return;
    event.preventDefault();
    const next = cells[Math.min(Math.max(at + DAYS[event.key], 0), cells.length - 1)];
    cells[at].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  };

  const shortcuts = document.getElementById('shortcuts');
  const press = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest('input, select, textarea, dialog')) return;
    if (event.key in DAYS) { walkDays(event); return; }
    if (event.key === 'p') toggle();
    else if (event.key === 'j') walk(1);
    else if (event.key === 'k') walk(-1);
    else if (event.key === '?') shortcuts?.showModal();
    else {
      const field = event.key === '/' && document.querySelector('input[type=search]');
      const link = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
      if (field) field.focus();
      else if (link) link.click();
      else return;
    }
    event.preventDefault();
  };

  document.addEventListener('keydown', press);
  // A button that opens a tab would keep the focus here, and its region would never change.
  document.addEventListener('submit', (event) => { if (event.target.target === '_blank') event.submitter?.blur(); });
  rove();
  const keys = document.getElementById('keys');
  if (keys) { keys.hidden = false; keys.addEventListener('click', () => shortcuts.showModal()); }
  if (pause) {
    pause.hidden = false;
    pause.addEventListener('click', toggle);
    mark();
    setInterval(tell, 1000);
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) { clearTimeout(timer); timer = null; } else look();
    });
    plan();
    tell();
  }
})();
