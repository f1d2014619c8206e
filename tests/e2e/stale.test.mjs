// A screen that does not follow its node says so, and what it shows once it says Live is what there is.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Firm, eventually } from './firm.mjs';

const NUMBER = 'M20260601-0001';

let firm;
before(async () => {
  firm = await Firm.found();
});
after(() => firm?.close());

const line = (page, text) => page.getByRole('banner').getByRole('status').filter({ hasText: text });

test('a node that is silent is not live, and is live again once it speaks', async () => {
  const page = await firm.page(firm.hub);
  await page.goto(`http://${firm.hub.http}/#/s/${NUMBER}`);
  await line(page, 'Live').waitFor();
  // All of the screen is here before the node falls silent: parts of it are loaded when it is opened.
  await page.getByLabel('Write a message').waitFor();
  firm.hub.process.kill('SIGSTOP');
  try {
    await line(page, 'Not connected to this device').waitFor();
    // What is pressed meanwhile comes to an end, and is done once.
    await page.getByLabel('Write a message').fill('while it was silent');
    await page.getByRole('button', { name: 'Send' }).click();
    await page.getByRole('alert').filter({ hasText: 'does not answer' }).waitFor();
  } finally {
    firm.hub.process.kill('SIGCONT');
  }
  await line(page, 'Live').waitFor();
  await page.getByRole('button', { name: 'Send' }).click();
  await page.locator('.text', { hasText: 'while it was silent' }).waitFor();
  await eventually('an empty field', async () => (await page.getByLabel('Write a message').inputValue()) === '');
  const { timeline } = await firm.hub.creel('show', NUMBER);
  assert.equal(timeline.filter((entry) => entry.detail?.text === 'while it was silent').length, 1);
  await page.context().close();
});

test('a stream that beats no more is not live, whatever else is answered', async () => {
  const page = await firm.page(firm.hub);
  await page.addInitScript(() => {
    const { addEventListener } = EventSource.prototype;
    EventSource.prototype.addEventListener = function (kind, ...more) {
      if (kind === 'beat') addEventListener.call(this, kind, () => (window.beaten = Date.now()));
      addEventListener.call(this, kind, ...more);
    };
  });
  const status = await (await firm.hub.api('/status')).json();
  await page.route(/\/api\/v1\/status/, (route) => route.fulfill({ json: status }));
  await page.reload();
  await line(page, 'Live').waitFor();
  await page.waitForFunction(() => window.beaten);
  firm.hub.process.kill('SIGSTOP');
  try {
    await line(page, 'Not connected').waitFor();
    const silent = await page.evaluate(() => Date.now() - window.beaten);
    assert.ok(silent > 20_000, 'one beat that is late is no silence');
  } finally {
    firm.hub.process.kill('SIGCONT');
  }
  await line(page, 'Live').waitFor();
  await page.context().close();
});

test('what could not be loaded is loaded later, and until then the screen is not live', async () => {
  const [{ number }] = await firm.hub.creel('list', '--filter', 'is:open limit:1');
  const page = await firm.page(firm.hub);
  await page.goto(`http://${firm.hub.http}/#/board?q=${number}`);
  await line(page, 'Live').waitFor();
  let [refusing, refused] = [true, 0];
  await page.route(/shipments\?filter=(is|id)%3A/, (route) => {
    if (!refusing) return route.continue();
    refused += 1;
    return route.fulfill({ status: 503, json: { error: 'busy' } });
  });
  await firm.hub.kill();
  await line(page, 'Not connected').waitFor();
  await firm.hub.start();
  await eventually('the first loading', async () => refused > 0);
  assert.equal(await line(page, 'Live').count(), 0, 'a screen that could not load is not live');
  // Neither the lists nor this change can be fetched at first.
  await firm.hub.post('/plans', { shipments: [number], fields: { consignee: 'Another Consignee' } });
  const before = refused;
  await eventually('the change to be refused', async () => refused > before);
  refusing = false;
  await line(page, 'Live').waitFor();
  await page.getByText('Another Consignee').first().waitFor();
  await page.context().close();
});

test('a change that the node would not tell more of is looked for with all the others', async () => {
  const [{ number }] = await firm.hub.creel('list', '--filter', 'is:open limit:1');
  const page = await firm.page(firm.hub);
  await page.goto(`http://${firm.hub.http}/#/board?q=${number}`);
  await line(page, 'Live').waitFor();
  let refusing = true;
  // The lists are held back as well, so that the screen is not live again before that was seen.
  await page.route(/shipments\?filter=(is|id)%3A/, (route) => (refusing ? route.fulfill({ status: 400, json: { error: 'no' } }) : route.continue()));
  await firm.hub.post('/plans', { shipments: [number], fields: { consignee: 'A Third Consignee' } });
  await line(page, 'Not connected').waitFor();
  refusing = false;
  await line(page, 'Live').waitFor();
  await page.getByText('A Third Consignee').first().waitFor();
  await page.context().close();
});
