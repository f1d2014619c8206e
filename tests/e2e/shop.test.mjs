// A shop's device: a delivery is counted, what is amiss comes to the dispatcher with its photo, and both write to each other.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Firm, Taps, eventually, picture } from './firm.mjs';

const NUMBER = 'M20260601-0001';

let firm;
let shop;
let till;
let office;
let id;
before(async () => {
  firm = await Firm.found();
  shop = await firm.admit('shop', 'shop:west-lake', 'west-lake');
  ({ id } = await firm.hub.creel('show', NUMBER));
  await eventually('the shop\'s own orders', () => shop.creel('show', NUMBER));
  till = await firm.page(shop, { width: 360, height: 740 });
  office = await firm.page(firm.hub);
});
after(() => firm?.close());

test('a shop and the dispatcher write to each other, and neither reloads', async () => {
  await till.goto(`http://${shop.http}/#/shop/${id}`);
  await office.goto(`http://${firm.hub.http}/#/s/${id}`);
  for (const page of [till, office]) await page.evaluate(() => (window.stayed = true));
  const taps = new Taps();
  await till.getByLabel('Write to dispatcher and driver').fill('The shutter is closed, ring at the back');
  await taps.on(till.getByRole('button', { name: 'Send' }));
  await office.getByText('The shutter is closed, ring at the back').waitFor();
  await office.getByLabel('Write a message').fill('好的，司机十点到');
  await taps.on(office.getByRole('button', { name: 'Send' }));
  await till.getByText('好的，司机十点到').waitFor();
  assert.equal(taps.count, 2, 'one tap for a message');
  for (const page of [till, office]) assert.equal(await page.evaluate(() => window.stayed), true);
});

test('what a shop finds short and damaged is in the dispatcher\'s inbox, with the photo', async () => {
  await till.goto(`http://${shop.http}/#/shop`);
  const taps = new Taps();
  await taps.on(till.getByRole('link', { name: `Receive ${NUMBER}` }));
  await taps.on(till.getByRole('button', { name: /^Short or damaged .*carp bait/ }));
  await till.getByLabel('Short, 袋').fill('2');
  await till.getByText('In good order: 20 袋').waitFor();
  await taps.on(till.getByRole('button', { name: /^Short or damaged .*night float/ }));
  await till.getByLabel('Damaged, 支').last().fill('1');
  await taps.photograph(till, { buffer: picture([160, 40, 40]) });
  await till.getByRole('img', { name: 'Photo 1' }).waitFor();
  await taps.on(till.getByRole('button', { name: 'Received', exact: true }));
  await till.getByText(`${NUMBER}: Received, recorded`).waitFor();
  assert.ok(taps.count <= 5, `${taps.count} taps to receive with two lines amiss and a photo`);

  await eventually('it to be at the hub', async () => (await firm.hub.creel('show', NUMBER)).status === 'received');
  const look = new Taps();
  await look.on(office.getByRole('link', { name: /^Inbox/ }));
  await look.on(office.getByRole('group', { name: 'Kinds, press to filter' }).getByRole('button', { name: /^Damaged/ }));
  await look.on(office.getByRole('link', { name: new RegExp(NUMBER) }));
  const amiss = office.getByRole('region', { name: 'Damaged · Short' });
  await amiss.getByText(/carp bait.*:\s+Short 2/s).waitFor();
  await amiss.getByText(/night float.*:\s+Damaged 1/s).waitFor();
  const photo = amiss.getByRole('img', { name: 'Photo 1' });
  await photo.waitFor();
  assert.equal(await photo.evaluate((img) => img.decode().then(() => img.naturalWidth)), 64, 'the picture is there and whole');
  assert.ok(look.count <= 3, `${look.count} taps to see what is amiss`);

  const counted = (await firm.hub.creel('show', NUMBER)).timeline.find((entry) => entry.step === 'received').detail;
  assert.deepEqual(counted.lines, [
    { line: '1', received: 20_000, short: 2_000 },
    { line: '2', received: 9_000, damaged: 1_000 },
  ]);
});

test('a line that was withdrawn is struck through, and not offered for counting', async () => {
  const rows = await firm.hub.creel('list', '--filter', 'shop:west-lake is:open');
  const row = rows.find(({ number, lines }) => number !== NUMBER && lines > 1);
  const { lines: [withdrawn, kept] } = (await firm.hub.creel('show', row.id)).plan;
  const fields = { lines: [{ line: withdrawn.line, withdrawn: true }] };
  assert.equal((await firm.hub.post('/plans', { shipments: [row.id], fields })).status, 200);
  await eventually('it at the shop\'s', async () => (await shop.creel('show', row.id)).plan.lines[0].withdrawn);
  await till.goto(`http://${shop.http}/#/shop/${row.id}`);
  await till.getByRole('heading', { name: kept.name }).waitFor();
  assert.equal(await till.getByRole('heading', { name: withdrawn.name }).count(), 0);
  await office.goto(`http://${firm.hub.http}/#/s/${row.id}`);
  const line = office.getByRole('region', { name: 'Plan' }).getByRole('listitem').filter({ hasText: withdrawn.name });
  await line.getByText('Withdrawn').waitFor();
  assert.equal(await line.locator('strong').evaluate((one) => getComputedStyle(one).textDecorationLine), 'line-through');
});

test('a shop looks back at what has ended', async () => {
  await till.goto(`http://${shop.http}/#/shop`);
  const taps = new Taps();
  await taps.on(till.getByRole('link', { name: 'History' }));
  const ended = till.getByRole('listitem').filter({ hasText: NUMBER });
  await ended.getByText('Short').waitFor();
  await ended.getByText('Damaged').waitFor();
  await ended.getByText('Received').waitFor();
  assert.equal(taps.count, 1);
  assert.deepEqual([...till.troubles, ...office.troubles], []);
});
