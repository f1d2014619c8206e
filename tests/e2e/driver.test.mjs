// A driver's browser with the driver's own node: no signal, a signature, a dead battery, and the hub's screen at the end.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Firm, Taps, eventually, picture } from './firm.mjs';

let firm;
let driver;
before(async () => {
  firm = await Firm.found();
  driver = await firm.admit('driver', 'driver:zhang-min', 'zhang-min');
});
after(() => firm?.close());

const phone = { width: 360, height: 740 };
const sheet = (page) => page.locator('dialog[open]');

/** Records a step of a stop, from the list of stops: taps are counted, `fill` types and draws. */
async function record(page, step, number, fill) {
  const taps = new Taps();
  await page.goto(`http://${driver.http}/#/driver`);
  await taps.on(page.getByRole('button', { name: `${step} ${number}` }));
  await fill(sheet(page), taps);
  await taps.on(sheet(page).getByRole('button', { name: /^Record:/ }));
  await sheet(page).waitFor({ state: 'detached' });
  return taps.count;
}

/** Somebody signs with a finger. */
async function sign(page) {
  const canvas = sheet(page).locator('canvas');
  // The pad is loaded when it is first shown, and gives the canvas its size.
  await canvas.and(page.locator('[width]')).waitFor();
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  await page.mouse.move(box.x + 20, box.y + 80);
  await page.mouse.down();
  for (let step = 1; step <= 12; step += 1) await page.mouse.move(box.x + 20 + step * 14, box.y + 80 + (step % 3) * 20);
  await page.mouse.up();
  await sheet(page).getByRole('status').filter({ hasText: 'Signed' }).waitFor();
}

/** Promise 1 and the whole way of an edit, as people see it. */
test('what was signed for without signal is on the dispatcher\'s screen when the road is back', async () => {
  const board = await firm.page(firm.hub);
  const page = await firm.page(driver, phone);
  const stops = page.locator('ol .number');
  await stops.nth(3).waitFor();
  const [failed, ...numbers] = (await stops.allInnerTexts()).slice(0, 4);
  await firm.hub.kill();
  for (const [nth, number] of numbers.entries()) {
    // The last one is taken by a neighbour, for the recipient.
    const neighbour = nth === 2;
    const taps = await record(page, 'Signed', number, async (form, count) => {
      if (neighbour) await count.on(form.getByRole('radio', { name: 'Somebody else' }));
      if (neighbour) await form.getByLabel('Relation to the recipient').fill('neighbour 邻居');
      await form.getByLabel('Name').fill(`Wang ${nth}`);
      await sign(page);
      await count.photograph(form, { buffer: picture([80 * nth, 120, 160]) }, page);
      await form.getByRole('img', { name: 'Photo 1' }).waitFor();
    });
    assert.ok(taps <= (neighbour ? 4 : 3), `${taps} taps beside the signature`);
  }
  const taps = await record(page, 'Attempt failed', failed, (form) => form.getByLabel('Reason').fill('nobody there 无人在店'));
  assert.ok(taps <= 2, `${taps} taps for a failed attempt`);
  await page.getByText(/No signal\. 4 records are safe on this device/).first().waitFor();
  await page.context().close();
  const kept = await Promise.all(numbers.map(async (number) => {
    const { photos: [hash] } = await driver.creel('show', number);
    return { number, hash, photo: await bytesOf(driver, hash) };
  }));
  assert.equal(new Set(kept.map(({ hash }) => hash)).size, 3, 'three photos that differ');
  await driver.kill();

  await driver.start();
  await firm.hub.start();
  for (const { number, hash } of kept) {
    await eventually(`${number} at the hub`, async () => (await firm.hub.creel('show', number)).status === 'signed');
    await eventually(`the photo of ${number}`, async () => (await firm.hub.creel('show', number)).photos_at_hub.includes(hash));
  }
  const { timeline } = await firm.hub.creel('show', numbers[2]);
  const { receiver, signed_as, relation } = timeline.at(-1).detail;
  assert.deepEqual({ receiver, signed_as, relation }, { receiver: 'Wang 2', signed_as: 'proxy', relation: 'neighbour 邻居' });
  const attempt = await eventually('the failed attempt', async () => (await firm.hub.creel('show', failed)).timeline.find((entry) => entry.step === 'attempt_failed'));
  assert.equal(attempt.detail.reason, 'nobody there 无人在店');
  // The board was open all the time: what has ended leaves it by itself.
  for (const number of numbers) await board.getByText(number, { exact: true }).waitFor({ state: 'detached' });
  const again = await firm.page(driver, phone);
  await again.goto(`http://${driver.http}/#/s/${numbers[0]}`);
  await again.getByText('At the hub').first().waitFor({ state: 'attached' });
  assert.deepEqual(again.troubles, []);
  // With the driver gone, the hub has every photo by itself, byte for byte.
  await driver.kill();
  for (const { hash, photo, number } of kept) assert.ok((await bytesOf(firm.hub, hash)).equals(photo), number);
  await driver.start();
});

/** A photo as a device keeps it. */
async function bytesOf(device, hash) {
  const answer = await device.api(`/photos/${hash}`);
  assert.equal(answer.status, 200);
  return Buffer.from(await answer.arrayBuffer());
}

/** What is taken back stays in the timeline, struck out, for everybody. */
test('a record is taken back on the driver\'s screen, and struck out on the hub\'s', async () => {
  const [{ number, id }] = await firm.hub.creel('list', '--filter', 'driver:zhang-min status:attempt_failed');
  const board = await firm.page(firm.hub);
  await board.goto(`http://${firm.hub.http}/#/s/${id}`);
  const entry = board.locator('.timeline > li', { has: board.getByRole('heading', { name: 'Attempt failed' }) });
  await entry.waitFor();
  assert.equal(await entry.locator('h3').evaluate((name) => getComputedStyle(name).textDecorationLine), 'none');
  const page = await firm.page(driver, phone);
  await page.goto(`http://${driver.http}/#/s/${id}`);
  const taps = new Taps();
  await taps.on(page.getByRole('button', { name: 'Take back Attempt failed' }));
  await sheet(page).getByLabel('Why').fill('the wrong shop');
  await taps.on(sheet(page).getByRole('button', { name: 'Take back' }));
  await entry.getByText('Taken back by its author').waitFor();
  assert.equal(await entry.locator('h3').evaluate((name) => getComputedStyle(name).textDecorationLine), 'line-through');
  await board.getByText('the wrong shop').waitFor();
  assert.equal((await firm.hub.creel('show', number)).status, 'created', 'it is where it was before');
  assert.equal(taps.count, 2);
  assert.deepEqual([...page.troubles, ...board.troubles], []);
});

/** Names are texts, whatever stands in them. */
test('a script in a name is shown, not run', async () => {
  const name = '<img src=x onerror="window.caught=1">';
  const [row] = await firm.hub.creel('list', '--filter', 'limit:1');
  await firm.hub.creel('plan', row.number, `consignee=${name}`);
  const page = await firm.page(firm.hub);
  await page.goto(`http://${firm.hub.http}/#/s/${row.id}`);
  await page.getByText(name).first().waitFor();
  assert.equal(await page.evaluate(() => window.caught), undefined);
  assert.deepEqual(page.troubles, []);
});
