// What is new: counts in the navigation and the title until it was seen, and the system's notices, which are asked for by a press only.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Firm, Taps, eventually } from './firm.mjs';

const NUMBER = 'M20260601-0001';

let firm;
let shop;
let id;
before(async () => {
  firm = await Firm.found();
  shop = await firm.admit('shop', 'shop:west-lake', 'west-lake');
  ({ id } = await firm.hub.creel('show', NUMBER));
  await eventually('the shop\'s own orders', () => shop.creel('show', NUMBER));
});
after(() => firm?.close());

const say = async (text) => assert.equal((await firm.hub.post('/messages', { shipment: NUMBER, text })).status, 200);

test('what nobody has seen yet is counted, and no more once it was', async () => {
  const page = await firm.page(shop, { width: 360, height: 740 });
  await page.getByRole('heading', { name: /^On the way to you/ }).waitFor();
  await page.goto(`http://${shop.http}/#/scan`);
  const arrivals = page.getByRole('navigation').getByRole('link', { name: /^Arrivals/ });
  await arrivals.waitFor();
  assert.doesNotMatch(await arrivals.innerText(), /\d/, 'what was there at the start is no news');
  await say('司机十点到 The driver comes at ten');
  await page.getByRole('link', { name: /^Arrivals ?, 1 new/ }).waitFor();
  await eventually('the title', async () => /^\(1\) /.test(await page.title()));
  await say('还有一件事 One thing more');
  const taps = new Taps();
  await taps.on(arrivals);
  // Above the list it says which one, however far down that is.
  await taps.on(page.getByRole('region', { name: 'News' }).getByRole('link', { name: new RegExp(`2 new messages.*${NUMBER}`) }));
  await page.getByText('One thing more').waitFor();
  await eventually('the count to go', async () => !/\d/.test(await arrivals.innerText()));
  assert.equal(taps.count, 2, 'two taps from anywhere to what is new');
  await page.reload();
  await page.getByText('One thing more').waitFor();
  assert.doesNotMatch(await page.title(), /^\(/, 'this device remembers');
  assert.deepEqual(page.troubles, []);
  await page.context().close();
});

/** A browser's notices, which a test without a desktop can't see: they are noted instead. `answer` is what the person says when asked. */
function notices(answer) {
  window.asked = 0;
  window.shown = [];
  let hidden = false;
  window.hide = (on) => {
    hidden = on;
    document.dispatchEvent(new Event('visibilitychange'));
  };
  Object.defineProperty(document, 'visibilityState', { get: () => (hidden ? 'hidden' : 'visible') });
  window.Notification = class {
    static get permission() {
      return sessionStorage.permission ?? 'default';
    }
    static async requestPermission() {
      window.asked += 1;
      return (sessionStorage.permission = answer);
    }
    constructor(title, options) {
      window.shown.push({ title, ...options });
    }
    close() {}
  };
}

async function told(answer) {
  const page = await firm.page(shop);
  await page.addInitScript(notices, answer);
  await page.reload();
  await page.getByRole('heading', { name: /^On the way to you/ }).waitFor();
  return page;
}

const shown = (page) => page.evaluate(() => window.shown);

test('the system tells of what is new once a person has asked for it', async () => {
  const page = await told('granted');
  const menu = page.getByRole('button', { name: 'Open menu' });
  assert.equal(await page.evaluate(() => window.asked), 0, 'nobody is asked by the page itself');
  const taps = new Taps();
  await taps.on(menu);
  const tell = page.getByRole('switch', { name: 'Tell me of news' });
  assert.equal(await tell.getAttribute('aria-checked'), 'false');
  await taps.on(tell);
  await page.getByText('On. While this page is out of sight, the system tells you.').waitFor();
  assert.equal(await page.evaluate(() => window.asked), 1);
  assert.equal(taps.count, 2);
  // While it is looked at, the page itself shows what is new.
  await say('在眼前 in sight');
  await page.getByRole('link', { name: /^Arrivals ?, 1 new/ }).waitFor({ state: 'attached' });
  assert.deepEqual(await shown(page), []);
  await page.evaluate(() => window.hide(true));
  await say('看不见时 out of sight');
  const [notice] = await eventually('a notice', async () => (await shown(page)).length > 0 && shown(page));
  assert.equal(notice.title, NUMBER);
  assert.match(notice.body, /West Lake Tackle\n2 new messages/);
  assert.doesNotMatch(notice.body, /out of sight/, 'what was written is not for a lock screen');
  // It is remembered, and can be taken back.
  await page.reload();
  await menu.click();
  await page.getByRole('switch', { name: 'Tell me of news' }).click();
  await page.getByText('Off.').waitFor();
  assert.deepEqual(page.troubles, []);
  await page.context().close();
});

test('who refuses is told where to change that, and is not asked again', async () => {
  const page = await told('denied');
  await page.getByRole('button', { name: 'Open menu' }).click();
  const tell = page.getByRole('switch', { name: 'Tell me of news' });
  await tell.click();
  await page.getByText('The browser refuses. Allow notifications for this page').waitFor();
  await tell.click();
  await tell.click();
  assert.equal(await page.evaluate(() => window.asked), 1);
  assert.equal(await tell.getAttribute('aria-checked'), 'false');
  await page.evaluate(() => window.hide(true));
  await say('nobody is told');
  await page.getByRole('link', { name: /^Arrivals ?, \d new/ }).waitFor({ state: 'attached' });
  assert.deepEqual(await shown(page), []);
  await page.context().close();
});
