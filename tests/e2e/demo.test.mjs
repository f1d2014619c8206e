// The demo's page, as a newcomer follows its four lines.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Demo } from './demo.mjs';
import { eventually, loaded } from './firm.mjs';

let demo;
before(async () => {
  demo = await Demo.begin({ language: 'en', width: 1500, height: 900 });
});
after(() => demo?.end());

const open = () => demo.screen('hub').getByRole('button', { name: /Open$/ }).first();

test('what is signed for without signal outlives the battery, and comes to the office\'s board with the signal', async () => {
  const phone = demo.screen('li-wei');
  await loaded(demo.screen('hub'));
  const before = Number((await open().innerText()).match(/\d+/)[0]);
  await demo.flip('li-wei', 'signal');
  await demo.ticked('cut');

  await demo.delivery('li-wei', '王丽 Wang Li');
  await demo.ticked('sign');
  await demo.part('li-wei').getByText('1 record waits for signal, safe on this device').waitFor();
  assert.match(await open().innerText(), new RegExp(`^${before}\\b`), 'the office cannot know');

  await demo.flip('li-wei', 'power');
  await demo.part('li-wei').getByText('No power. What was recorded is on the disk.').waitFor();
  await demo.flip('li-wei', 'power');
  await demo.ticked('battery');
  await phone.getByText(/1 done/).waitFor();

  await demo.flip('li-wei', 'signal');
  await demo.ticked('join');
  await eventually('the board', async () => Number((await open().innerText()).match(/\d+/)[0]) === before - 1);
  await demo.part('li-wei').getByText('all records are at the hub').waitFor();
});

test('the hub\'s own signal and battery are switched as well', async () => {
  await demo.flip('hub', 'signal');
  await demo.flip('hub', 'signal');
  await demo.flip('hub', 'power');
  await demo.flip('hub', 'power');
  await open().waitFor();
});

test('nobody else is let in, and no other site flips a switch', async () => {
  const { origin } = new URL(demo.url);
  for (const path of ['/', '/state', `/${'0'.repeat(32)}/state`]) assert.equal((await fetch(`${origin}${path}`)).status, 404);
  const flip = (headers) => fetch(`${demo.url}switch`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: '{"name":"hub","battery":false}' });
  assert.equal((await flip({})).status, 403);
  assert.equal((await flip({ origin: 'https://elsewhere.example' })).status, 403);
  const odd = await fetch(`${demo.url}switch`, { method: 'POST', headers: { 'content-type': 'application/json', origin }, body: '{"name":"nobody","signal":false}' });
  assert.ok(odd.status >= 400, 'who is not there has no switch');
});

test('ctrl-c ends it, and leaves nothing', async () => {
  // Batteries were pulled while screens waited for news.
  assert.deepEqual(demo.page.troubles.filter((trouble) => !/net::ERR_/.test(trouble)), []);
  const running = demo;
  demo = null;
  await running.end();
  assert.equal(running.code, 0);
});
