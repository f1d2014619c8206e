// Whatever is typed, photographed or said by a device: it is text, or refused in words. No script runs, and what was recorded before is there.
// What is refused at the node's own door is in `refused.test.mjs`.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Firm, Taps, eventually, picture, quiet } from './firm.mjs';

/** Scripts in the ways that work where a text is taken for HTML. The short one fits where little room is. */
const SCRIPT = '"><img src=x onerror="window.caught=1"><script>window.caught=1</script>';
const SHORT = '<img src=x onerror=window.caught=1>';

let firm;
let driver;
let shop;
let page;
/** The shipment that has a script in each of its fields. */
let id;
/** What was there before anything hostile came. */
let earlier;
before(async () => {
  firm = await Firm.found();
  driver = await firm.admit('driver', 'driver:zhang-min', 'zhang-min');
  shop = await firm.admit('shop', 'shop:west-lake', 'west-lake');
  await firm.hub.creel('record', 'M20260601-0002', 'signed', '--receiver', '王芳', '--photo', 'docs/samples/door.jpg');
  earlier = await firm.records();
  const line = { line: '1', name: SCRIPT, sku: SHORT, lot: SHORT, unit: '<b>', quantity: 5_000 };
  const fields = {
    consignee: SCRIPT, address: SCRIPT, run: SCRIPT, handling: SCRIPT, note: SCRIPT, stop: 1, driver: 'driver:zhang-min',
    parties: { shop: 'shop:west-lake' },
  };
  const answer = await firm.hub.post('/imports', { orders: [{ number: SHORT, fields, lines: [line] }] });
  assert.equal((await answer.json()).taken, 1);
  [{ id }] = await firm.hub.creel('list', '--filter', 'driver:zhang-min onerror is:open');
  page = await firm.page(firm.hub);
});
after(() => firm?.close());

const at = (device, address) => `http://${device.http}/#/${address}`;
const toast = (text) => page.locator('.toast').filter({ hasText: text }).first().waitFor();

test('a script in each form of a shipment stays a text', async () => {
  await page.goto(at(firm.hub, `s/${id}`));
  await page.getByLabel('Write a message').fill(SCRIPT);
  await page.getByRole('button', { name: 'Send' }).click();
  await page.locator('p.text', { hasText: SCRIPT }).waitFor();

  const steps = page.getByRole('region', { name: 'Next step' });
  const sheet = page.locator('dialog[open]');
  await steps.getByText('Other steps').click();
  await steps.getByRole('button', { name: 'Attempt failed' }).click();
  await sheet.getByLabel('Reason').fill(SCRIPT);
  await sheet.getByText('Note', { exact: true }).first().click();
  await sheet.getByLabel('Note').fill(SCRIPT);
  await sheet.getByRole('button', { name: /^Record/ }).click();
  const timeline = page.locator('.timeline');
  await timeline.getByText(`Reason: ${SCRIPT}`).waitFor();
  await timeline.locator('.said', { hasText: SCRIPT }).waitFor();

  await page.getByRole('button', { name: 'Take back Attempt failed' }).click();
  await sheet.getByLabel('Why').fill(SCRIPT);
  await sheet.getByRole('button', { name: 'Take back' }).click();
  await timeline.getByText('Taken back by its author').waitFor();

  await steps.getByRole('button', { name: 'Signed' }).click();
  await sheet.getByRole('radio', { name: 'Somebody else' }).click();
  await sheet.getByLabel('Name').fill(SCRIPT);
  await sheet.getByLabel('Relation to the recipient').fill(SCRIPT);
  await sheet.getByRole('button', { name: /^Record/ }).click();
  await timeline.getByText(`Received by ${SCRIPT}`).waitFor();
  await timeline.getByText(`(${SCRIPT})`).waitFor();
  await quiet(page);
});

test('a script in the forms of the board, the inbox and the search stays a text', async () => {
  await page.goto(at(firm.hub, 'board'));
  await page.getByRole('searchbox').fill(SCRIPT);
  await page.getByText('No shipment fits').waitFor();
  await page.getByRole('searchbox').fill('M20260601-0007');
  await page.getByRole('checkbox', { name: 'Choose M20260601-0007' }).click();
  await page.getByRole('button', { name: 'Assign' }).click();
  const sheet = page.locator('dialog[open]');
  for (const label of ['Run', 'Handling', 'Note']) await sheet.getByLabel(label, { exact: true }).fill(SCRIPT);
  await sheet.getByRole('button', { name: 'Change 1 shipment' }).click();
  await toast('1 shipment changed');
  await eventually('the plan', async () => (await firm.hub.creel('show', 'M20260601-0007')).plan.handling === SCRIPT);

  const { id: other } = await firm.hub.creel('show', 'M20260601-0008');
  await page.goto(at(firm.hub, `inbox/${other}`));
  const overdue = page.getByRole('region', { name: 'Overdue' });
  await overdue.getByLabel('Note').fill(SCRIPT);
  await overdue.getByRole('button', { name: 'Agree on a new time' }).click();
  await toast('M20260601-0008 is changed');

  await page.goto(at(firm.hub, 'scan'));
  await page.getByLabel('Number').fill(SCRIPT);
  await page.getByRole('button', { name: 'Open', exact: true }).click();
  await page.getByRole('alert').filter({ hasText: SCRIPT }).waitFor();

  await page.goto(at(firm.hub, `picker/${other}`));
  await page.getByLabel('Remark').fill(SCRIPT);
  await page.getByRole('button', { name: 'Picked', exact: true }).click();
  await eventually('the remark', async () => (await firm.hub.creel('show', 'M20260601-0008')).timeline.at(-1).detail.note === SCRIPT);
  await quiet(page);
});

test('a script in the names of devices, people and steps stays a text', async () => {
  await page.goto(at(firm.hub, 'admin'));
  const part = (title) => page.locator('section', { has: page.getByRole('heading', { name: title, exact: true }) });
  const invite = part('Invite a device');
  await invite.getByLabel('Name').fill(SHORT);
  await invite.getByLabel('Role').selectOption('viewer');
  await invite.getByRole('button', { name: 'Make the invite' }).click();
  const named = firm.device('named');
  await named.creel('join', await invite.getByLabel('Invite', { exact: true }).inputValue());
  await named.start();
  await part('Devices').getByText(SHORT).waitFor();
  await invite.getByLabel('Role').selectOption('shop');
  await invite.getByLabel('Written in orders as').fill(SCRIPT);
  await invite.getByRole('button', { name: 'Make the invite' }).click();
  await invite.getByRole('alert').filter({ hasText: 'party' }).waitFor();

  const people = part('People who share this device');
  await people.getByLabel('Name').fill(SHORT);
  await people.getByLabel('Role').selectOption('viewer');
  await people.getByLabel('PIN').fill('4711');
  await people.getByRole('button', { name: 'Save person' }).click();
  await people.getByText(SHORT, { exact: true }).waitFor();

  const workflow = part('Workflow');
  const step = (name) => workflow.locator('details', { has: page.locator('summary', { hasText: name }) });
  await step('Picked up').locator('summary').click();
  await step('Picked up').getByLabel('Chinese label').fill(SHORT);
  await step('Picked up').getByLabel('English label').fill(SHORT);
  await workflow.locator('.chain').getByText(SHORT).waitFor();
  await workflow.getByRole('button', { name: 'Check and publish' }).click();
  await workflow.getByText('Published', { exact: true }).waitFor();
  const order = { number: 'STEP-1', fields: { consignee: 'x', driver: 'driver:zhang-min', parties: { shop: 'shop:west-lake' } } };
  await firm.hub.post('/imports', { orders: [order] });
  await firm.hub.creel('record', 'STEP-1', 'picked_up');
  await quiet(page);
});

test('wherever such a text is shown, no script runs', async () => {
  await eventually('them at the driver\'s', () => driver.creel('show', id));
  await eventually('them at the shop\'s', () => shop.creel('show', id));
  const { id: step } = await firm.hub.creel('show', 'STEP-1');
  const { path } = await (await firm.hub.api(`/shipments/${id}/tracking`)).json();
  const places = {
    hub: ['board', 'board?by=run', 'inbox', `inbox/${id}`, 'map', 'contacts', 'picker', `picker/${id}`, `picker/note/${id}`, 'boss',
      `boss/shop/${encodeURIComponent(SCRIPT)}`, 'boss/signed', 'admin', `s/${id}`, `s/${step}`],
    driver: ['driver', `s/${id}`, `s/${step}`],
    shop: ['shop', 'shop/history', `shop/${id}`, `shop/${step}`],
  };
  const shown = { hub: page, driver: await firm.page(driver), shop: await firm.page(shop) };
  for (const [who, addresses] of Object.entries(places)) {
    const device = { hub: firm.hub, driver, shop }[who];
    for (const address of addresses) {
      await shown[who].goto(at(device, address));
      // It is there as it was typed, in the page's own text.
      if (!/^(map|inbox|picker|boss\/signed|contacts|board|shop)$/.test(address)) {
        await shown[who].locator('main').filter({ hasText: 'window.caught=1' }).waitFor();
      }
      await quiet(shown[who]);
    }
  }
  const customer = await firm.blank();
  await customer.goto(`http://${firm.hub.http}${path}`);
  await customer.getByText(SHORT).waitFor();
  await quiet(customer);
  const login = await firm.blank();
  await login.goto(`http://${firm.hub.http}/`);
  await login.getByRole('button', { name: SHORT }).click();
  await login.getByRole('heading', { name: SHORT }).waitFor();
  await quiet(login);
});

test('what is no photo is refused in words, and what was typed stays', async () => {
  const till = await firm.page(shop, { width: 360, height: 740 });
  const { id: other } = await firm.hub.creel('show', 'M20260601-0001');
  await till.goto(at(shop, `shop/${other}`));
  await till.getByLabel('Remark').fill('the box is open');
  const taps = new Taps();
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" onload="window.caught=1"><script>window.caught=1</script></svg>';
  writeFileSync(join(firm.folder, 'huge.jpg'), Buffer.alloc(30 << 20, 7));
  const files = [
    { name: 'photo.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('this is a text') },
    { name: 'photo.svg', mimeType: 'image/svg+xml', buffer: Buffer.from(svg) },
    { name: 'photo.html', mimeType: 'text/html', buffer: Buffer.from(SCRIPT) },
    join(firm.folder, 'huge.jpg'),
  ];
  for (const file of files) {
    await taps.photograph(till, file);
    const refused = till.getByRole('alert').filter({ hasText: 'This photo can’t be read' });
    await refused.waitFor();
    assert.equal(await till.getByRole('img', { name: /^Photo/ }).count(), 0);
    assert.equal(await till.getByLabel('Remark').inputValue(), 'the box is open');
    // So that the next one has to be refused anew.
    await refused.evaluate((alert) => (alert.textContent = ''));
  }
  // One that can be read goes on as before, however many pixels it has.
  await taps.photograph(till, { buffer: picture([1, 2, 3], { width: 8_000, height: 6_000 }) });
  await till.getByRole('img', { name: 'Photo 1' }).waitFor();
  await till.getByRole('button', { name: 'Received', exact: true }).click();
  await eventually('the remark', async () => (await shop.creel('show', other)).timeline.at(-1).detail.note === 'the box is open');
  await quiet(till);

  // Whoever goes round the screen: the node refuses what is too large, and serves nothing that a browser would run.
  const huge = await firm.hub.post('/photos', Buffer.alloc((20 << 20) + 1));
  assert.equal(huge.status, 413);
  assert.match((await huge.json()).error, /at most 20 MiB/);
  const { hash } = await (await firm.hub.post('/photos', Buffer.from(svg))).json();
  const signature = Buffer.from(svg).toString('base64');
  const record = { step: 'follow_up', photos: [hash], signature };
  assert.equal((await firm.hub.post('/records', { shipments: ['M20260601-0002'], record })).status, 200);
  const kept = await firm.hub.api(`/photos/${hash}`);
  assert.equal(kept.headers.get('content-type'), 'application/octet-stream');
  assert.equal(kept.headers.get('x-content-type-options'), 'nosniff');
  const { id: signed } = await firm.hub.creel('show', 'M20260601-0002');
  await page.goto(at(firm.hub, `s/${signed}`));
  await page.locator('.timeline').getByRole('heading', { name: 'Follow-up' }).waitFor();
  await quiet(page);
});

/** Opens a shipment wherever it is shown; each screen has to tell about it, without an error. */
async function looksFine(number) {
  const { id: odd } = await firm.hub.creel('show', number);
  const fresh = await firm.page(firm.hub);
  for (const address of [`s/${odd}`, `picker/${odd}`, `picker/note/${odd}`, `shop/${odd}`, `inbox/${odd}`]) {
    await fresh.goto(at(firm.hub, address));
    await fresh.locator('main').getByText(number).first().waitFor();
    if (address.startsWith('s/')) await fresh.getByRole('heading', { name: 'Opened' }).waitFor();
    await quiet(fresh);
  }
  await fresh.context().close();
}

test('what no one can mean, but a device can say, breaks no screen', async () => {
  const shipments = ['M20260601-0009'];
  const { hash } = await (await firm.hub.post('/photos', picture([5, 5, 5]))).json();
  const says = [
    ['/plans', { shipments, fields: { window: [0, 1e18], amount_due: -1e15, stop: 4_294_967_295, run: 'x\u202ey', handling: 'x\ny \u2066' } }],
    ['/records', { shipments, record: { step: 'picked', photos: [hash, hash], collected: 1e15 } }],
  ];
  for (const [path, body] of says) assert.equal((await firm.hub.post(path, body)).status, 200);
  await looksFine(shipments[0]);
});

/** What is marked of a line is kept in plain objects, in which these names are taken. */
test('a line may be called anything', async () => {
  const lines = ['constructor', '__proto__'].map((line) => ({ line, name: line, quantity: 1_000 }));
  const answer = await firm.hub.post('/imports', { orders: [{ number: 'ODD-LINES', fields: { consignee: 'x' }, lines }] });
  assert.equal((await answer.json()).taken, 1);
  await looksFine('ODD-LINES');
});

/** protocol/src/core/sheet.rs subtracts without looking whether it can. */
test('counts that cannot be make no goods', async () => {
  const lines = [{ line: '1', short: 1e18, damaged: 9e18 }];
  const answer = await firm.hub.post('/records', { shipments: ['M20260601-0010'], record: { step: 'signed', receiver: 'x', lines } });
  const sheet = await (await firm.hub.api(`/sheet?from=0&to=${Date.now() + 86_400_000}`)).json();
  const row = sheet.find(({ number, line }) => number === 'M20260601-0010' && line === '1');
  assert.ok(answer.status === 400 || row.delivered <= row.ordered, `${row?.delivered} of ${row?.ordered} were delivered`);
});

test('odd addresses in the app lead to words', async () => {
  const odd = [
    's/<script>window.caught=1</script>', `s/${encodeURIComponent(SCRIPT)}`, 's/..%2f..%2fstatus', 's/%E0%A4%A', 's/%00', `s/${'a'.repeat(20_000)}`,
    's', '//////', 'constructor', '__proto__', 'toString', `${encodeURIComponent(SCRIPT)}`, 'board?q=<script>window.caught=1</script>',
    `board?driver=${encodeURIComponent(SCRIPT)}&status=__proto__`, 'boss/open/NaN', 'boss/open/1e999', `boss/shop/${encodeURIComponent(SCRIPT)}`, 'boss/__proto__/x',
    'boss?days=999', 'inbox/<script>', 'inbox?kind=__proto__', 'picker/<script>', 'picker/note/,,,', `picker/note/${id},${id}`, 'picker/note/..%2f..%2fstatus', 'shop/<script>',
    'driver/x/y/z', `s/${id}?do=constructor`, 'javascript:window.caught=1',
  ];
  for (const address of odd) {
    await page.goto(at(firm.hub, address));
    await page.locator('main h1').first().waitFor({ state: 'attached' });
    await quiet(page);
  }
  // From there one goes on as from anywhere.
  await page.goto(at(firm.hub, 'constructor'));
  await page.getByText('There is nothing here').first().waitFor();
  await page.getByRole('link', { name: 'To the start page', exact: true }).click();
  await page.getByRole('heading', { name: 'Open shipments' }).waitFor();
});

test('after all that the node lives, and what was recorded before is there', async () => {
  const now = await firm.records();
  for (const [shipment, edits] of Object.entries(earlier)) assert.deepEqual(now[shipment].slice(0, edits.length), edits);
  const { timeline, photos } = await firm.hub.creel('show', 'M20260601-0002');
  assert.equal(timeline.find((entry) => entry.step === 'signed').detail.receiver, '王芳');
  const photo = await firm.hub.api(`/photos/${photos[0]}`);
  assert.ok(Buffer.from(await photo.arrayBuffer()).equals(readFileSync(new URL('../../docs/samples/door.jpg', import.meta.url))));
  await quiet(page);
  // It stays so when the battery is pulled.
  await firm.hub.kill();
  await firm.hub.start();
  assert.deepEqual(await firm.records(), now);
  const again = await firm.page(firm.hub);
  await again.getByRole('checkbox', { name: /^Choose M20260601-/ }).first().waitFor();
  await quiet(again);
});
