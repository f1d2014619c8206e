// A driver's browser with the driver's own node: no signal, a signature, a dead battery, and the hub's screen at the end.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Firm, eventually } from './firm.mjs';

let firm;
let driver;
before(async () => {
  firm = await Firm.found();
  driver = await firm.admit('driver', 'driver:zhang-min', 'zhang-min');
});
after(() => firm?.close());

/** Signs for a shipment on the screen that is open: taps are counted, the name is typed, the signature is drawn. */
async function deliver(page, number, receiver) {
  let taps = 0;
  const tap = async (locator) => {
    await locator.click();
    taps += 1;
  };
  await page.goto(`http://${driver.http}/#/driver`);
  await tap(page.getByRole('link', { name: number }));
  await page.getByText(/Other steps/).click();
  await tap(page.getByRole('button', { name: /^Signed$|^Signed by recipient|^Signed/ }).first());
  await page.getByLabel('Name').fill(receiver);
  const canvas = page.locator('dialog[open] canvas');
  await canvas.waitFor();
  await page.waitForTimeout(300);
  const box = await canvas.boundingBox();
  await page.mouse.move(box.x + 20, box.y + 80);
  await page.mouse.down();
  for (let step = 1; step <= 12; step += 1) await page.mouse.move(box.x + 20 + step * 14, box.y + 80 + (step % 3) * 20);
  await page.mouse.up();
  await tap(page.locator('dialog[open]').getByRole('button', { name: /^Record:/ }));
  await page.locator('dialog[open]').waitFor({ state: 'detached' });
  return taps;
}

/** Promise 1 and the whole way of an edit, as people see it. */
test('what was signed for without signal is on the dispatcher\'s screen when the road is back', async () => {
  const board = await firm.page(firm.hub);
  const phone = await firm.page(driver, { width: 360, height: 740 });
  const stops = phone.locator('li .number');
  await stops.nth(2).waitFor();
  const numbers = (await stops.allInnerTexts()).slice(0, 3);
  await firm.hub.kill();
  for (const [nth, number] of numbers.entries()) {
    const taps = await deliver(phone, number, `Wang ${nth}`);
    assert.ok(taps <= 4, `${taps} taps beside the signature`);
  }
  await phone.getByText(/No signal\. 3 records are safe on this device/).first().waitFor();
  await phone.context().close();
  await driver.kill();
  await driver.start();
  await firm.hub.start();
  for (const number of numbers) {
    await eventually(`${number} at the hub`, async () => (await firm.hub.creel('show', number)).status === 'signed');
  }
  // The board was open all the time: what has ended leaves it by itself.
  for (const number of numbers) await board.getByText(number, { exact: true }).waitFor({ state: 'detached' });
  const again = await firm.page(driver, { width: 360, height: 740 });
  await again.goto(`http://${driver.http}/#/s/${numbers[0]}`);
  await again.getByText('At the hub').first().waitFor({ state: 'attached' });
  assert.deepEqual(again.troubles, []);
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

/** Two who contradict each other are both shown, and a dispatcher settles it. */
test('a contradiction is settled', async () => {
  const rows = await firm.hub.creel('list', '--filter', 'driver:zhang-min is:open limit:1');
  const [{ number, id }] = rows;
  await firm.hub.kill();
  await driver.creel('record', number, 'signed', '--receiver', 'Chen Jie', '--photo', 'docs/samples/door.jpg');
  await driver.kill();
  await firm.hub.start();
  await firm.hub.creel('record', number, 'cancelled', '--reason', 'the shop closed');
  await driver.start();
  const page = await firm.page(firm.hub);
  await page.goto(`http://${firm.hub.http}/#/s/${id}`);
  const sides = page.locator('.exception .side');
  await sides.nth(1).waitFor();
  await sides.filter({ hasText: 'Signed' }).getByRole('button', { name: 'This one stands' }).click();
  await page.locator('.exception').waitFor({ state: 'detached' });
  await eventually('it to be settled', async () => (await firm.hub.creel('show', number)).status === 'signed');
});
