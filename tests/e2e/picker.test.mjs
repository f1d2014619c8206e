// A picker's device: one shipment with something missing, a whole run at once, and the delivery note with its code.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Firm, Taps, eventually, readCode } from './firm.mjs';

const NUMBER = 'M20260601-0001';

let firm;
let picker;
let page;
let id;
before(async () => {
  firm = await Firm.found();
  picker = await firm.admit('picker', null, 'picker-pc');
  ({ id } = await firm.hub.creel('show', NUMBER));
  await eventually('all orders', async () => (await picker.creel('list')).length === (await firm.hub.creel('list')).length);
  page = await firm.page(picker, { width: 820, height: 1180 });
});
after(() => firm?.close());

test('a shipment is picked, and what is missing on the shelf is told', async () => {
  const taps = new Taps();
  await taps.on(page.getByRole('link', { name: new RegExp(`^${NUMBER}`) }));
  await taps.on(page.getByRole('button', { name: 'Picking started' }));
  await eventually('the start at the hub', async () => (await firm.hub.creel('show', NUMBER)).status === 'picking_started');
  await taps.on(page.getByRole('button', { name: /^Short .*carp bait/ }));
  await page.getByLabel('Missing 袋').fill('3');
  await taps.on(page.getByRole('checkbox', { name: /night float/ }));
  await taps.on(page.getByRole('button', { name: 'Picked', exact: true }));
  // It is out of the queue, and the hub knows what is missing.
  await page.getByRole('heading', { name: /^To be picked/ }).waitFor();
  await page.getByRole('link', { name: new RegExp(`^${NUMBER}`) }).waitFor({ state: 'detached' });
  const shown = await eventually('the end at the hub', async () => {
    const found = await firm.hub.creel('show', NUMBER);
    return found.status === 'picked' && found;
  });
  assert.deepEqual(shown.timeline.at(-1).detail.lines, [{ line: '1', short: 3_000 }]);
  assert.ok(taps.count <= 5, `${taps.count} taps for a shipment with something missing`);
});

test('a run is picked at once', async () => {
  const all = await firm.hub.creel('list', '--filter', 'run:li-wei-1 is:open');
  assert.ok(all.length > 2, 'a run of several');
  const run = page.locator('section', { has: page.getByRole('heading', { name: /^li-wei-1/ }) });
  const taps = new Taps();
  await taps.on(run.getByRole('checkbox', { name: 'All li-wei-1' }));
  await taps.on(page.getByRole('button', { name: `Picking started (${all.length})` }));
  await page.getByText(`Picking started: recorded for ${all.length} shipments`).waitFor();
  // They stay chosen until they are picked.
  await taps.on(page.getByRole('button', { name: `Picked (${all.length})` }));
  await run.waitFor({ state: 'detached' });
  await eventually('all of them at the hub', async () => {
    const rows = await firm.hub.creel('list', '--filter', 'run:li-wei-1');
    return rows.length === all.length && rows.every((row) => row.status === 'picked');
  });
  assert.ok(taps.count <= 3, `${taps.count} taps for a run`);
});

test('the code on a delivery note opens its shipment', async () => {
  // Shipments that were opened in one millisecond are listed in no order.
  const rows = await firm.hub.creel('list', '--filter', 'run:zhang-min-1 is:open');
  const { id: other } = rows.find((row) => row.id !== id);
  await page.goto(`http://${picker.http}/#/picker/note/${id},${other}`);
  const notes = page.getByRole('article');
  await notes.nth(1).waitFor();
  assert.equal(await notes.count(), 2, 'a note for each');
  const note = notes.filter({ hasText: NUMBER });
  await note.getByText('西湖渔具店 West Lake Tackle').waitFor();
  await note.getByText('BAIT-CARP').waitFor();
  const address = await readCode(await note.getByRole('img', { name: /^QR code/ }).screenshot());
  assert.equal(address, `http://${picker.http}/#/s/${id}`);
  await page.goto(address);
  await page.getByRole('heading', { level: 1, name: NUMBER }).waitFor();
  assert.deepEqual(page.troubles, []);
});
