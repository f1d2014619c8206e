// Every role's screens, in both languages, on a phone and on a desk: they open without an error, fit, and axe finds nothing.
// With CREEL_SHOTS=FOLDER each is kept as a picture, to be looked at.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync } from 'node:zlib';
import { Firm, eventually, loaded, settled } from './firm.mjs';

const axe = createRequire(fileURLToPath(new URL('../../node/web/package.json', import.meta.url)))('axe-core').source;
const shots = process.env.CREEL_SHOTS;
const sizes = [
  { width: 360, height: 740 },
  { width: 1280, height: 800 },
];

let firm;
let devices;
/** The shipments that something has happened to, by what it was. */
const day = {};
before(async () => {
  firm = await Firm.found();
  const { hub } = firm;
  const driver = await firm.admit('driver', 'driver:zhang-min', 'zhang-min');
  assert.equal((await hub.post('/people', { name: '周琳 Zhou Lin', role: 'dispatcher', pin: '4711' })).status, 200);
  assert.equal((await hub.post('/people', { name: 'Sun Yu', role: 'picker', pin: '4711' })).status, 200);
  await today();

  const of = async (filter) => (await hub.creel('list', '--filter', `${filter} is:open limit:1`))[0].number;
  day.arriving = await of('driver:zhang-min shop:west-lake');
  await hub.creel('record', day.arriving, 'picked');
  await eventually('what is picked, at the driver\'s', async () => (await driver.creel('show', day.arriving)).status === 'picked');
  const signature = join(firm.folder, 'signature.svg');
  writeFileSync(signature, '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 120"><path d="M20 80C60 20 70 110 110 60S180 20 200 80 250 70 280 50" fill="none" stroke="#0b1a1d" stroke-width="2.5"/></svg>');
  const signed = ['--signature', signature, '--photo', 'docs/samples/door.jpg'];

  // Two who know nothing of each other: signed on the road, cancelled at the desk.
  const others = (await driver.creel('list', '--filter', 'is:open')).map((row) => row.number).filter((number) => number !== day.arriving);
  [day.disputed, day.signed, day.failed, day.later, day.moved] = others;
  await hub.kill();
  await driver.creel('record', day.arriving, 'picked_up');
  await driver.creel('record', day.arriving, 'out_for_delivery');
  await driver.creel('record', day.disputed, 'signed', '--receiver', '陈洁 Chen Jie', ...signed);
  await driver.creel('record', day.signed, 'signed', '--receiver', '王丽 Wang Li', '--as', 'proxy', '--relation', '邻居 neighbour', '--line', '1:short=1', ...signed);
  const [{ edit }] = await driver.creel('record', day.failed, 'attempt_failed', '--reason', '无人在店 nobody there');
  await driver.kill();
  await hub.start();
  await hub.creel('record', day.disputed, 'cancelled', '--reason', 'the shop closed');
  await driver.start();
  await eventually('both at the hub', async () => (await hub.creel('show', day.disputed)).exceptions.length > 0);
  await eventually('the failed attempt at the hub', async () => (await hub.creel('show', day.failed)).status === 'attempt_failed');
  await driver.post('/retractions', { edit, note: '看错店了 the wrong shop' });
  await eventually('it to be taken back', async () => (await hub.creel('show', day.failed)).status === 'created');
  devices = {
    hub,
    driver,
    shop: await firm.admit('shop', 'shop:west-lake', 'west-lake'),
    picker: await firm.admit('picker', null, 'picker-pc'),
    viewer: await firm.admit('viewer', null, 'boss'),
  };
  const { shop } = devices;
  await eventually('what arrives, at the shop\'s', async () => (await shop.creel('show', day.arriving)).status === 'out_for_delivery');
  await shop.post('/messages', { shipment: day.arriving, text: '卷帘门关着，请按后门门铃。The shutter is closed, ring at the back.' });
  await eventually('the message', async () => (await hub.creel('show', day.arriving)).timeline.some((entry) => entry.action === 'say'));
  for (const what of Object.keys(day)) day[what] = { number: day[what], id: (await hub.creel('show', day[what])).id };
});
after(() => firm?.close());

/** The sample day is one of the past: most of it is moved to today, and a few stay late. */
async function today() {
  const rows = await firm.hub.creel('list', '--filter', 'is:open');
  const at = (hours) => new Date(Math.floor(Date.now() / 3_600_000 + hours) * 3_600_000).toISOString();
  for (const [hours, some] of [[1, rows.filter((_, nth) => nth % 4 === 1)], [2, rows.filter((_, nth) => nth % 4 > 1)]]) {
    await firm.hub.creel('plan', ...some.map((row) => row.number), `window=${at(hours)}/${at(hours + 2)}`);
  }
}

/** Violations of the rules that concern what people see and use. */
async function violations(page) {
  // The policy keeps scripts of others out, axe among them: it comes in by the browser's debugger.
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const found = await window.axe.run(document, {
      resultTypes: ['violations'],
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'],
      // 7:1, for the sun.
      rules: { 'color-contrast-enhanced': { enabled: true } },
    });
    return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`);
  });
}

/** What is too small for a thumb in a glove. Links within a sentence are read, and a box is pressed by its label. */
const small = (page) =>
  page.evaluate(() => {
    const pressed = [...document.querySelectorAll('button, a[href], input, select, textarea, summary')];
    return pressed.flatMap((one) => {
      const box = (one.closest('label') ?? one).getBoundingClientRect();
      // A dialog that is closed, the link to the content that shows itself to the keyboard, and the map's own notice.
      if (box.width === 0 || box.bottom < 0 || one.closest('.unseen, .skip, .maplibregl-ctrl-attrib')) return [];
      return box.height < 47.5 || box.width < 47.5 ? [`${Math.round(box.width)} × ${Math.round(box.height)}: ${one.outerHTML.slice(0, 160)}`] : [];
    });
  });

/** Texts that are a name of the code's, or in which something was to be filled in. */
const raw = (page) =>
  page.evaluate(() => (document.body.innerText.match(/\b(undefined|NaN|\[object \w+\]|null|\{\w+\})|\b(app|boss|dispatcher|driver|shipment|shop|picker|news|admin)\.[a-z]+_?\w*\b/g) ?? []));

const press = (name) => (page) => page.getByRole('button', { name }).first().click();
/** The map's ground is there: drawing it takes a processor seconds where there is no other. */
const drawn = (page) => page.locator('.map[aria-busy=false]').waitFor();
const far = async (page) => {
  // Nothing glides where somebody wants no motion, so the map is where it is going to be.
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await drawn(page);
  for (let times = 0; times < 5; times += 1) await press(/^缩小|^Zoom out/)(page);
};
const menu = press(/打开菜单|Open menu/);

/** Where each looks: an address, a name for the picture where it needs one, and what is opened there. */
const places = {
  hub: () => [
    ['board'], ['board?by=run', 'board-by-run'], ['board?q=xyz', 'board-none'], ['board', 'board-assign', async (page) => {
      await press(/^全选|^Choose all/)(page);
      await press(/^派车|^Assign/)(page);
    }],
    ['inbox'], [`inbox/${day.disputed.id}`, 'inbox-disputed'], [`inbox/${day.signed.id}`, 'inbox-short'], ['inbox?kind=message', 'inbox-messages'],
    ['map', 'map', drawn], ['map', 'map-far', far], ['contacts'], ['picker'], ['boss'], ['boss/signed', 'boss-signed'], ['admin'], ['scan'], ['nowhere'],
    [`s/${day.disputed.id}`, 's-disputed'], [`s/${day.failed.id}`, 's-taken-back'],
    [`s/${day.signed.id}`, 's-signed', async (page) => {
      for (const name of [/^为什么|^Why this status/, /^验证|^Verify/, /客户|^Link for the customer/]) await press(name)(page);
      await page.getByRole('img', { name: /二维码|QR code/ }).waitFor();
    }],
    ['board', 'menu', menu],
  ],
  driver: () => [
    ['driver'], ['driver', 'driver-signs', press(/^(已签收|签收|Signed) /)], ['driver', 'driver-fails', press(/^(派送未成功|Attempt failed) /)],
    [`s/${day.later.id}?do=picked_up`, 'driver-picks-up'], [`s/${day.arriving.id}`, 'driver-shipment'], ['scan'], ['driver', 'menu', menu],
  ],
  shop: () => [['shop'], [`shop/${day.arriving.id}`, 'shop-receive'], ['shop/history', 'shop-history'], ['scan']],
  picker: () => [['picker'], [`picker/${day.moved.id}`, 'picker-pick'], [`picker/note/${day.moved.id},${day.later.id}`, 'picker-note'], ['board'], ['scan']],
  viewer: () => [['boss'], ['board'], ['map'], [`s/${day.signed.id}`, 's-signed']],
};

/** One look at a screen: a picture where one is wanted, and what must be so on each of them. */
async function look(page, name, brief = false) {
  await settled(page);
  if (shots) {
    mkdirSync(shots, { recursive: true });
    const { width } = page.viewportSize();
    // As long as it is, but no longer than a person would look.
    const height = await page.evaluate(() => Math.min(1_900, Math.max(innerHeight, document.documentElement.scrollHeight)));
    await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true, clip: { x: 0, y: 0, width, height } });
  }
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${name} is ${wide} px too wide`);
  assert.deepEqual(await small(page), [], `${name}: too small to press`);
  assert.deepEqual(await raw(page), [], `${name}: no words of people`);
  if (!brief) assert.deepEqual(await violations(page), [], name);
}

const looks = ['zh', 'en'].flatMap((language) => sizes.map((size) => ({ language, ...size })));

for (const [who, wheres] of Object.entries(places)) {
  for (const { language, width, height } of looks) {
    test(`${who}'s screens in ${language} at ${width} px`, async () => {
      const page = await firm.page(devices[who], { language, width, height });
      const wrong = [];
      // Chinese on a phone and English on a desk are looked at in every state and with axe; the other two only for what does not fit. Pictures are of all.
      const brief = !shots && (language === 'zh') !== (width === 360);
      for (const [address, name = address, open] of wheres()) {
        if (brief && name !== address) continue;
        // The same address again would leave open what is open.
        if (name !== address) await page.goto('about:blank');
        await page.goto(`http://${devices[who].http}/#/${address}`);
        await page.locator('main h1').first().waitFor({ state: 'attached' });
        await settled(page);
        await open?.(page);
        await look(page, `${who}-${name}-${language}-${width}`, brief).catch((error) => wrong.push(error.message));
      }
      assert.deepEqual(wrong, []);
      assert.deepEqual(page.troubles, []);
      await page.context().close();
    });
  }
}

for (const { language, width, height } of looks) {
  test(`what is seen before a login, and by a customer, in ${language} at ${width} px`, async () => {
    const page = await firm.blank({ language, width, height });
    await page.goto(`http://${firm.hub.http}/`);
    await page.getByRole('button', { name: /Zhou Lin/ }).waitFor();
    await look(page, `login-who-${language}-${width}`);
    await page.getByRole('button', { name: /Zhou Lin/ }).click();
    await page.getByLabel('PIN').waitFor();
    await look(page, `login-pin-${language}-${width}`);
    for (const what of ['arriving', 'signed']) {
      const { path } = await (await firm.hub.api(`/shipments/${day[what].id}/tracking`)).json();
      await page.goto(`http://${firm.hub.http}${path}`);
      await look(page, `customer-${what}-${language}-${width}`);
    }
    assert.deepEqual(page.troubles.filter((trouble) => !/status of 401/.test(trouble)), []);
    await page.context().close();
  });
}

/** Issue 4's budget: what a role's first screen loads, all of it, as the node sends it to a browser that takes brotli. */
test('the first screen of each role needs at most 150 KB of script and style', async () => {
  for (const [who, home] of Object.entries({ hub: 'board', driver: 'driver', shop: 'shop', picker: 'picker', viewer: 'boss' })) {
    const page = await firm.page(devices[who]);
    await page.goto('about:blank');
    const files = new Set();
    page.on('request', (request) => {
      const { pathname } = new URL(request.url());
      if (/\.m?js$|\.css$/.test(pathname)) files.add(pathname);
    });
    await page.goto(`http://${devices[who].http}/#/${home}`);
    await page.locator('main h1').first().waitFor({ state: 'attached' });
    await page.waitForLoadState('load');
    await loaded(page);
    await settled(page);
    const texts = await page.evaluate((paths) => Promise.all(paths.map(async (path) => (await fetch(path)).text())), [...files]);
    const bytes = texts.reduce((sum, text) => sum + brotliCompressSync(text).length, 0);
    assert.ok(files.size > 3, `${who}: only ${[...files]}`);
    assert.ok(bytes <= 150_000, `${who}: ${bytes} bytes: ${[...files]}`);
    if (shots) console.log(`# ${who}: ${bytes} bytes of script and style`);
    await page.context().close();
  }
});

/** The night theme is another set of colours: all of it is looked at once. */
test('the night theme', async () => {
  const nights = { hub: ['board', `inbox/${day.disputed.id}`, 'map', 'boss', 'admin', `s/${day.disputed.id}`], driver: ['driver'], shop: ['shop', `shop/${day.arriving.id}`], picker: ['picker', `picker/note/${day.moved.id}`] };
  for (const [who, addresses] of Object.entries(nights)) {
    const page = await firm.page(devices[who], { language: 'zh', width: who === 'hub' ? 1280 : 360, height: 800 });
    await page.emulateMedia({ colorScheme: 'dark' });
    for (const address of addresses) {
      await page.goto(`http://${devices[who].http}/#/${address}`);
      if (address === 'map') await drawn(page);
      await look(page, `night-${who}-${address.replace(/\/.*/, '')}`);
    }
    await page.context().close();
  }
});

/** The customer's page needs no script and tells nothing private; a guessed link tells nothing. */
test('a customer follows a shipment by its link', async () => {
  const { path } = await (await firm.hub.api(`/shipments/${day.disputed.id}/tracking`)).json();
  const context = await firm.browser.newContext({ javaScriptEnabled: false, locale: 'zh-CN', viewport: sizes[0] });
  const page = await context.newPage();
  await page.goto(`http://${firm.hub.http}${path}`);
  const text = await page.locator('main').innerText();
  assert.ok(text.includes(day.disputed.number));
  assert.doesNotMatch(text, /the shop closed/, 'a reason is nobody else\'s business');
  assert.doesNotMatch(text, /Chen Jie|zhang-min/, 'nor is a name');
  assert.equal(await page.locator('img, script').count(), 0);
  await context.close();
  const guessed = await fetch(`http://${firm.hub.http}${path.slice(0, -1)}${path.endsWith('0') ? '1' : '0'}`);
  assert.equal(guessed.status, 404);
});

/** Nobody without a session is told anything; another site's requests are refused; a link works once. */
test('the doors are closed', async () => {
  const at = `http://${firm.hub.http}`;
  assert.equal((await fetch(`${at}/api/v1/shipments`)).status, 401);
  assert.equal((await fetch(`${at}/api/v1/status`, { headers: { cookie: 'creel-1=x.y' } })).status, 401);
  assert.equal((await fetch(`${at}/`, { headers: { origin: 'http://elsewhere.example' } })).status, 403);
  const { url } = await firm.hub.creel('open', '--print');
  assert.equal((await fetch(url, { redirect: 'manual' })).status, 303);
  assert.equal((await fetch(url, { redirect: 'manual' })).status, 403);
  const page = await fetch(`${at}/`);
  assert.match(page.headers.get('content-security-policy'), /script-src 'self'/);
});
