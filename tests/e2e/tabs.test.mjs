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
  assert.equal(await page.evaluate(() => window.taken), true);
  await quiet(other);
  await page.context().close();
});
