// Many tabs of one browser: they share its few connections to the node, and the one who is logged in.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Firm, eventually, quiet } from './firm.mjs';

const NUMBER = 'M20260601-0001';

let firm;
before(async () => {
  firm = await Firm.found();
});
after(() => firm?.close());

/** Another tab of the same browser. */
async function tab(page, address = '') {
  const other = await firm.dress(await page.context().newPage());
  await other.goto(`http://${firm.hub.http}/${address}`);
  return other;
}

const said = (page, text) => page.getByRole('status').filter({ hasText: text }).first().waitFor();

test('eight tabs follow what happens, and each can act', async () => {
  const first = await firm.page(firm.hub);
  await first.goto(`http://${firm.hub.http}/#/s/${NUMBER}`);
  const tabs = [first];
  for (let more = 0; more < 7; more += 1) tabs.push(await tab(first, `#/s/${NUMBER}`));
  for (const one of tabs) await one.getByRole('heading', { name: NUMBER }).waitFor();
  for (const one of tabs) await said(one, 'Live');
  await first.getByLabel('Write a message').fill('from the first tab');
  await first.getByRole('button', { name: 'Send' }).click();
  for (const one of tabs) await one.getByText('from the first tab').waitFor();

  // The one that had the stream is closed, and another has it.
  await first.close();
  await firm.hub.post('/messages', { shipment: NUMBER, text: 'after one was closed' });
  for (const one of tabs.slice(1)) await one.getByText('after one was closed').waitFor();

  for (const one of tabs.slice(1)) await quiet(one);
  await tabs[1].context().close();
});

test('a tab that has the stream and is asleep keeps it from nobody', async () => {
  const page = await firm.page(firm.hub);
  await page.goto(`http://${firm.hub.http}/api/v1/openapi.json`);
  await page.evaluate(() => {
    const name = `creel ${location.origin}/api/v1/events`;
    void navigator.locks.request(name, () => new Promise(() => {})).catch(() => (window.taken = true));
  });
  const other = await tab(page, `#/s/${NUMBER}`);
  await said(other, 'Live');
  await page.waitForFunction(() => window.taken);
  await quiet(other);
  await page.context().close();
});

/** Somebody who shares the hub, with another PIN each time they are set: their sessions end with the old one. */
const pins = new Map();
async function set(name, role = 'dispatcher') {
  pins.set(name, `${name}-4711-${Math.random()}`);
  assert.equal((await firm.hub.post('/people', { name, role, pin: pins.get(name) })).status, 200);
}

async function logIn(page, name) {
  await page.getByRole('button', { name: new RegExp(`^${name} `) }).click();
  await page.getByLabel('PIN').fill(pins.get(name));
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('banner').getByText(name).waitFor();
}

async function browserOf(name) {
  const page = await firm.blank();
  await page.goto(`http://${firm.hub.http}/#/s/${NUMBER}`);
  await logIn(page, name);
  await page.getByLabel('Write a message').waitFor();
  return page;
}

const who = (page) => page.getByRole('heading', { name: 'Who are you?' });

test('what was half typed is there again for who typed it, and for nobody else', async () => {
  await set('Ann');
  await set('Bob');
  const page = await browserOf('Ann');
  const message = page.getByLabel('Write a message');
  const dialog = page.getByRole('dialog', { name: 'Cancelled' });
  const reason = dialog.getByLabel('Reason');
  const cancel = async () => {
    await page.getByText('Other steps').click();
    await page.getByRole('button', { name: 'Cancelled' }).click();
  };
  await message.fill('only Ann knows');
  await cancel();
  await reason.fill('half a reason');

  await set('Ann');
  await who(page).waitFor();
  assert.equal(await message.isVisible(), false, 'nobody reads on behind the login');
  assert.equal(await dialog.isVisible(), false);
  await logIn(page, 'Ann');
  await dialog.waitFor();
  assert.equal(await reason.inputValue(), 'half a reason');
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  assert.equal(await message.inputValue(), 'only Ann knows');
  await said(page, 'Live');

  await set('Ann');
  await who(page).waitFor();
  await logIn(page, 'Bob');
  await message.waitFor();
  assert.equal(await message.inputValue(), '');
  await cancel();
  await dialog.waitFor();
  assert.equal(await reason.inputValue(), '', 'what Ann had typed for a step is gone');
  await quiet(page);
  await page.context().close();
});

test('a tab that still shows Ann does nothing as Bob', async (it) => {
  if (!('person' in (await (await firm.hub.api('/status')).json()))) return it.skip('this node does not say who is logged in');
  await set('Ann');
  await set('Bob');
  const ann = await browserOf('Ann');
  await said(ann, 'Live');
  await ann.getByLabel('Write a message').fill('as Ann');
  // Until it is asked again, the tab does not know.
  await ann.route(/\/api\/v1\/status/, (route) => route.abort());
  await ann.context().clearCookies();
  const bob = await tab(ann, `#/s/${NUMBER}`);
  await logIn(bob, 'Bob');
  const answered = ann.waitForResponse((response) => response.request().method() === 'POST');
  await ann.getByRole('button', { name: 'Send' }).click();
  assert.equal((await answered).status(), 409);
  await ann.unroute(/\/api\/v1\/status/);
  await ann.getByRole('banner').getByText('Bob').waitFor();
  await ann.getByLabel('Write a message').waitFor();
  assert.equal(await ann.getByLabel('Write a message').inputValue(), '', 'Bob does not see what Ann typed');
  const { timeline } = await firm.hub.creel('show', NUMBER);
  assert.ok(!timeline.some((entry) => entry.detail?.text === 'as Ann'));
  await ann.context().close();
});
