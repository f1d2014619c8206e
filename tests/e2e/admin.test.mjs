// An admin's screen: a device is invited, a person shares the hub with a PIN, and a workflow is edited and used.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Firm, Taps, eventually, readCode } from './firm.mjs';

let firm;
let admin;
before(async () => {
  firm = await Firm.found();
  admin = await firm.page(firm.hub);
});
after(() => firm?.close());

/** From wherever the admin is to the settings, with one tap. */
const settings = (taps) => taps.on(admin.getByRole('link', { name: 'Settings' }));
const part = (title) => admin.locator('section', { has: admin.getByRole('heading', { name: title, exact: true }) });

test('a device is invited on the screen, and joins with the text that stands there', async () => {
  const taps = new Taps();
  await settings(taps);
  const form = part('Invite a device');
  await form.getByLabel('Name').fill('office-pc');
  await taps.choose(form.getByLabel('Role'), 'dispatcher');
  await taps.on(form.getByRole('button', { name: 'Make the invite' }));
  const text = await form.getByLabel('Invite', { exact: true }).inputValue();
  const code = form.getByRole('img', { name: /^QR code/ });
  assert.equal(await readCode(await code.screenshot()), text, 'the code says the same as the text');
  assert.ok(taps.count <= 4, `${taps.count} taps for an invite`);

  const office = firm.device('office-pc');
  // What the text says is enough to find the hub.
  await office.creel('join', text);
  await office.start();
  await part('Devices').locator('p').filter({ hasText: /office-pc.*Dispatcher.*In contact/s }).waitFor();
  await eventually('the orders on it', async () => (await office.creel('list')).length === (await firm.hub.creel('list')).length);
  assert.deepEqual(admin.troubles, []);
});

test('a person logs in with a PIN, what they record names them, and whoever is removed is out', async () => {
  const taps = new Taps();
  await settings(taps);
  const form = part('People who share this device');
  await form.getByLabel('Name').fill('Zhou Lin');
  await taps.choose(form.getByLabel('Role'), 'dispatcher');
  await form.getByLabel('PIN').fill('4711');
  await taps.on(form.getByRole('button', { name: 'Save person' }));
  await form.getByText('Zhou Lin', { exact: true }).waitFor();
  assert.ok(taps.count <= 4, `${taps.count} taps for a person`);

  const page = await firm.blank();
  await page.goto(`http://${firm.hub.http}/`);
  const logIn = new Taps();
  await logIn.on(page.getByRole('button', { name: /Zhou Lin/ }));
  await page.getByLabel('PIN').fill('4712');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('alert').filter({ hasText: 'that name and PIN do not go together' }).waitFor();
  await page.getByLabel('PIN').fill('4711');
  await logIn.on(page.getByRole('button', { name: 'Log in' }));
  await page.getByRole('heading', { name: 'Open shipments' }).waitFor();
  assert.ok(logIn.count <= 2, `${logIn.count} taps to log in`);

  const [{ id, number }] = await firm.hub.creel('list', '--filter', 'is:open limit:1');
  await page.goto(`http://${firm.hub.http}/#/s/${id}`);
  await page.getByRole('region', { name: 'Next step' }).getByRole('button').first().click();
  await page.getByRole('listitem').filter({ hasText: 'Picking started' }).getByText('Zhou Lin').waitFor();
  const last = (await firm.hub.creel('history', number)).at(-1);
  assert.deepEqual([last.step, last.by], ['picking_started', 'Zhou Lin']);

  await form.getByRole('button', { name: 'Remove Zhou Lin' }).click();
  await admin.getByRole('dialog', { name: 'Remove Zhou Lin?' }).getByRole('button', { name: 'Remove Zhou Lin' }).click();
  await page.getByText('Run creel open on this device').waitFor();
  const asked = await page.request.get(`http://${firm.hub.http}/api/v1/shipments`);
  assert.equal(asked.status(), 401, 'the cookie of somebody who was removed opens nothing');
  // The wrong PIN and the removal were refused as they should be; nothing else went wrong.
  assert.deepEqual(page.troubles.filter((trouble) => !/status of 401/.test(trouble)), []);
});

/** An order that comes in after a workflow was published is opened with it. */
async function order(number) {
  const fields = { consignee: '东门渔具店 East Gate Tackle', driver: 'driver:zhang-min', parties: { shop: 'shop:east-gate' } };
  const answer = await firm.hub.post('/imports', { orders: [{ number, fields, lines: [{ line: '1', name: 'float', quantity: 1000, unit: '支' }] }] });
  assert.equal((await answer.json()).taken, 1);
}

test('a workflow is edited and used', async () => {
  const driver = await firm.admit('driver', 'driver:zhang-min', 'zhang-min');
  const taps = new Taps();
  await settings(taps);
  const editor = part('Workflow');
  const step = (name) => editor.locator('details', { has: admin.locator('summary', { hasText: name }) });
  await taps.on(step('Out for delivery · 60').locator('summary'));
  await taps.on(step('Out for delivery · 60').getByRole('button', { name: 'Add a step after' }));
  await taps.on(step('New step').locator('summary'));
  await step('New step').getByLabel('Chinese label').fill('已到门口');
  await step('New step').getByLabel('English label').fill('At the door');
  const chain = editor.locator('.chain li');
  await chain.filter({ hasText: 'At the door' }).waitFor();
  const names = (await chain.allInnerTexts()).map((text) => text.trim());
  assert.equal(names.indexOf('At the door'), names.indexOf('Out for delivery') + 1, 'the preview shows it in its place');
  await taps.on(editor.getByRole('button', { name: 'Check and publish' }));
  await editor.getByText('Published', { exact: true }).waitFor();
  assert.ok(taps.count <= 5, `${taps.count} taps for a step more`);

  await order('E2E-1');
  const { id } = await firm.hub.creel('show', 'E2E-1');
  await firm.hub.creel('record', 'E2E-1', 'out_for_delivery');
  const phone = await firm.page(driver, { width: 360, height: 740 });
  const stop = phone.getByRole('listitem').filter({ hasText: 'E2E-1' });
  await stop.getByRole('button', { name: /^At the door/ }).click();
  // It is in the hub's timeline by its name, and the node knows it in both languages.
  await admin.goto(`http://${firm.hub.http}/#/s/${id}`);
  await admin.locator('.timeline h3', { hasText: 'At the door' }).waitFor();
  const shown = await firm.hub.creel('show', 'E2E-1');
  assert.deepEqual(shown.status_label, { zh: '已到门口', en: 'At the door' });
  assert.deepEqual(phone.troubles, []);
  assert.deepEqual(admin.troubles, []);
});

/** The API tells a shipment's workflow by its name only, and the newest of that name is not the one it was opened with. */
test('what was ordered before keeps the steps it was opened with', async () => {
  const [{ id }] = await firm.hub.creel('list', '--filter', 'M2026 is:open limit:1');
  await admin.goto(`http://${firm.hub.http}/#/s/${id}`);
  const steps = admin.getByRole('region', { name: 'Next step' });
  await steps.getByText('Other steps').click();
  await steps.getByRole('button', { name: 'Attempt failed' }).waitFor();
  assert.equal(await steps.getByRole('button', { name: 'At the door' }).count(), 0, 'the node would refuse it');
});
