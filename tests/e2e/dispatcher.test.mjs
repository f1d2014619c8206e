// The dispatcher's two jobs: orders get a driver, and what contradicts itself is settled. Both begin on the board, the first screen.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Firm, Taps, eventually } from './firm.mjs';

let firm;
let driver;
let page;
before(async () => {
  firm = await Firm.found();
  driver = await firm.admit('driver', 'driver:zhang-min', 'zhang-min');
  page = await firm.page(firm.hub);
});
after(() => firm?.close());

test('orders that have no driver get one, who sees them at once', async () => {
  const numbers = ['M20260601-0005', 'M20260601-0006', 'M20260601-0007'];
  await firm.hub.creel('plan', ...numbers, 'driver=');
  const phone = await firm.page(driver, { width: 360, height: 740 });
  // The stops alone: news above them name shipments too.
  const stops = phone.locator('ol .number');
  await stops.first().waitFor();
  // The change is on its way to a driver who had one of them.
  for (const number of numbers) await stops.filter({ hasText: number }).waitFor({ state: 'detached' });
  const taps = new Taps();
  await taps.on(page.getByRole('group', { name: /^At a glance/ }).getByRole('button', { name: /No driver/ }));
  await taps.on(page.getByRole('button', { name: 'Choose all 3' }));
  await taps.on(page.getByRole('button', { name: 'Assign' }));
  const sheet = page.locator('dialog[open]');
  await taps.choose(sheet.getByLabel('Driver'), 'driver:zhang-min');
  await taps.on(sheet.getByRole('button', { name: 'Change 3 shipments' }));
  for (const number of numbers) await stops.filter({ hasText: number }).waitFor();
  assert.ok(taps.count <= 6, `${taps.count} taps for three orders`);
  assert.deepEqual([...page.troubles, ...phone.troubles], []);
});

/** Two who contradict each other are both shown, and a dispatcher settles it. */
test('a contradiction is settled', async () => {
  const [{ number }] = await firm.hub.creel('list', '--filter', 'driver:zhang-min is:open limit:1');
  await eventually('it at the driver\'s', () => driver.creel('show', number));
  await firm.hub.kill();
  await driver.creel('record', number, 'signed', '--receiver', 'Chen Jie', '--photo', 'docs/samples/door.jpg');
  await driver.kill();
  await firm.hub.start();
  await firm.hub.creel('record', number, 'cancelled', '--reason', 'the shop closed');
  await driver.start();
  const taps = new Taps();
  await page.goto(`http://${firm.hub.http}/#/board`);
  // It has ended, one way or the other, and is counted on the board all the same.
  await page.getByRole('group', { name: /^At a glance/ }).getByRole('button', { name: /^1 ?Exceptions/ }).waitFor();
  await taps.on(page.getByRole('link', { name: /^Inbox/ }));
  // What contradicts itself stands above all that is overdue, and is marked as new.
  await taps.on(page.getByRole('link', { name: new RegExp(`^New Records contradict each other.*${number}`) }));
  const sides = page.locator('.exception .side');
  await sides.nth(1).waitFor();
  // Of what is contradicted there is a proof only of a side that was chosen.
  const verdict = await (await firm.hub.api(`/shipments/${number}/verify`)).json();
  assert.ok(!verdict.valid && /contradicted.*Chen Jie/.test(verdict.en) && /有争议.*Chen Jie/.test(verdict.zh), JSON.stringify(verdict));
  assert.equal((await firm.hub.api(`/shipments/${number}/proof`)).status, 400);
  const side = await sides.filter({ hasText: 'Signed' }).getByRole('link', { name: /^Proof of this one/ }).getAttribute('href');
  const proof = await page.request.get(new URL(side, page.url()).href);
  assert.deepEqual([proof.status(), proof.headers()['creel-contradicted-by'].length], [200, 64]);
  await taps.on(sides.filter({ hasText: 'Signed' }).getByRole('button', { name: 'This one stands' }));
  await page.locator('.exception').waitFor({ state: 'detached' });
  await eventually('it to be settled', async () => (await firm.hub.creel('show', number)).status === 'signed');
  assert.equal(taps.count, 3, 'the inbox, the shipment, the side that stands');
  // Now it is proven, and what it is told to be stands beside the file.
  await page.getByRole('link', { name: 'Open the shipment' }).click();
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download the proof' }).click();
  assert.equal(await (await download).failure(), null);
  await page.getByText(/^Valid: /).waitFor();
});

/** What was built on a record that was taken back is one matter, and is settled as one. */
test('what was built on a record that was taken back is settled at once', async () => {
  const [{ number, id }] = await firm.hub.creel('list', '--filter', 'driver:zhang-min status:created limit:1');
  await eventually('it at the driver\'s', () => driver.creel('show', number));
  const [{ edit }] = await (await driver.post('/records', { shipments: [id], record: { step: 'picked_up' } })).json();
  await eventually('the record at the hub', async () => (await firm.hub.creel('show', number)).status === 'picked_up');
  for (const step of ['in_transit', 'out_for_delivery']) await firm.hub.creel('record', number, step);
  assert.equal((await driver.post('/retractions', { edit })).status, 200);
  await page.goto(`http://${firm.hub.http}/#/inbox/${id}`);
  const matter = page.locator('.exception', { hasText: 'Taken back after others had built on it' });
  await matter.waitFor();
  const [exception] = (await firm.hub.creel('show', number)).exceptions;
  assert.deepEqual([exception.kind, exception.edits.length, exception.edits[0]], ['retracted_after_use', 4, edit]);
  for (const step of ['Picked up', 'In transit', 'Out for delivery']) await matter.getByRole('heading', { name: step }).waitFor();
  await matter.getByRole('button', { name: 'What was built on it stands' }).click();
  await matter.waitFor({ state: 'detached' });
  assert.equal((await firm.hub.creel('show', number)).status, 'out_for_delivery');
  // The hub was killed while its screen waited for news.
  assert.deepEqual(page.troubles.filter((trouble) => !/net::ERR_/.test(trouble)), []);
});
