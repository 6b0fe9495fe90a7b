/**
 * Puts what happens on top of the table of activity. Without it the page shows the same at each load. Text goes into the page as
 * text only, never as markup.
 */
export const LIVE_SCRIPT = `'use strict';
const body = document.querySelector('[data-live]');
const state = document.querySelector('[data-live-state]');
const button = document.querySelector('[data-live-pause]');
if (body && state && button) {
  const MOST = 200;
  const wanted = JSON.parse(body.dataset.live);
  let source;
  const say = (text) => { state.textContent = text; };
  const cell = (tag, label, ...content) => {
    const made = document.createElement(tag);
    made.setAttribute('role', tag === 'th' ? 'rowheader' : 'cell');
    made.dataset.label = label;
    made.append(...content.filter((part) => part !== undefined));
    made.className = made.textContent === '' ? 'blank' : ['User', 'What', 'Why'].includes(label) ? 'long' : 'short';
    return made;
  };
  const tagged = (tag, className, text) => {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text ?? '';
    return made;
  };
  const time = (text) => {
    const made = document.createElement('time');
    made.dateTime = text;
    made.textContent = text.slice(0, 10) + ' ' + text.slice(11, 19);
    return made;
  };
  const isCalled = ({ user = '', username, email, name }, text) =>
    [user, user.slice(user.indexOf('#') + 1)].includes(text) ||
    [username, email, name].some((known) => known?.toLowerCase() === text.toLowerCase());
  const who = ({ user, username, email, name, credential }) => {
    const called = name || username || email;
    if (!user) return [credential];
    if (!called) return [user];
    const both = tagged('span', '', called + ' ');
    both.append(tagged('span', 'user', user));
    return [both];
  };
  const why = ({ reason, rule }) => {
    if (!/^relay\\.policy\\.rules\\[\\d+\\]$/.test(rule ?? '')) return [[reason, rule].filter(Boolean).join(' · ')];
    const link = document.createElement('a');
    link.href = '/admin/policy#' + rule;
    link.append(tagged('code', '', rule));
    const both = tagged('span', '', reason ? reason + ' · ' : '');
    both.append(link);
    return [both];
  };
  const show = (entry) => {
    for (const name of ['event', 'server']) if (wanted[name] && wanted[name] !== entry[name]) return;
    if (wanted.user && !isCalled(entry, wanted.user)) return;
    const row = document.createElement('tr');
    row.setAttribute('role', 'row');
    row.className = 'fresh';
    const took = entry.durationMs === undefined ? undefined : entry.durationMs + ' ms';
    row.append(
      cell('td', 'Time (UTC)', time(entry.time)),
      cell('td', 'Event', entry.event.replaceAll('_', ' ')),
      cell('td', 'Outcome', tagged('span', 'badge ' + (body.dataset.good.split(' ').includes(entry.outcome) ? 'good' : 'bad'), entry.outcome.replaceAll('_', ' '))),
      cell('td', 'User', ...who(entry)),
      cell('td', 'Server', entry.server),
      cell('td', 'What', tagged('span', 'name', [entry.action, entry.object].filter(Boolean).join(' '))),
      cell('td', 'Why', ...why(entry)),
      cell('td', 'Took', took),
    );
    body.querySelector('[data-empty]')?.remove();
    body.prepend(row);
    while (body.rows.length > MOST) body.lastElementChild.remove();
  };
  const start = () => {
    source = new EventSource('/admin/api/activity/stream');
    source.onopen = () => say('Live');
    source.onerror = () => say('Connecting …');
    source.onmessage = (message) => show(JSON.parse(message.data));
    button.textContent = 'Pause';
  };
  const stop = () => { source.close(); source = undefined; say('Paused'); button.textContent = 'Go on'; };
  button.addEventListener('click', () => (source ? stop() : start()));
  addEventListener('pagehide', () => source?.close());
  button.hidden = false;
  start();
}
`;
