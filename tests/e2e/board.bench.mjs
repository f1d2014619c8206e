// Not a test: `node tests/e2e/board.bench.mjs`. A dispatcher's board with 10,000 open shipments in a real browser, and how soon a driver's record
// is on it. CREEL names the release binary, as for the tests.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Firm, eventually } from './firm.mjs';

const SHIPMENTS = Number(process.env.CREEL_SHIPMENTS ?? 10_000);
const DRIVERS = 40;
const ROUNDS = 30;
/** What one driver records of one shipment, in this order. */
const STEPS = [
  ['picking_started', 'Picking started'], ['picked', 'Picked'], ['picked_up', 'Picked up'], ['in_transit', 'In transit'], ['at_depot', 'At depot'],
  ['out_for_delivery', 'Out for delivery'],
];

/** Made-up orders for today, in the sample's own columns. */
function orders() {
  const day = new Date().toISOString().slice(0, 10);
  const head = '单号,门店,收货人,地址,纬度,经度,送货日期,最早,最晚,司机,车次,站序,应收金额,搬运要求,备注,仓库,行号,货号,品名,数量,单位,批次,有效期';
  const rows = Array.from({ length: SHIPMENTS }, (_, n) => {
    const [driver, stop] = [`driver-${n % DRIVERS}`, Math.floor(n / DRIVERS) + 1];
    const [latitude, longitude] = [(29.4 + (n % 97) / 300).toFixed(4), (118.9 + (n % 89) / 300).toFixed(4)];
    const number = `B${String(n).padStart(6, '0')}`;
    return `${number},shop-${n % 500},渔具店 Tackle ${n % 500},鹭湖镇 ${n} Lake Road,${latitude},${longitude},${day},20:00,23:00,${driver},${driver}-1,${stop},,,虚构数据 made-up,main,1,BAIT,鱼饵 bait,${1 + (n % 20)},袋,,`;
  });
  return `${[head, ...rows].join('\n')}\n`;
}

const quantile = (numbers, q) => [...numbers].sort((a, b) => a - b)[Math.ceil(q * numbers.length) - 1];

/** In the page, before anything else runs: long tasks, and when the first row was drawn. */
function watching() {
  window.longTasks = [];
  new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: 'longtask', buffered: true });
  const look = () => (document.querySelector('li[aria-posinset]') ? (window.firstRow = performance.now()) : requestAnimationFrame(look));
  requestAnimationFrame(look);
}

/** In the page: scrolls the longest column from top to bottom, a step each frame, and tells how long frames and tasks were. */
async function scrolled() {
  const box = [...document.querySelectorAll('li[aria-posinset]')].map((row) => row.closest('[role=region]')).sort((a, b) => b.scrollHeight - a.scrollHeight)[0];
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  window.longTasks.length = 0;
  const [end, frames] = [box.scrollHeight - box.clientHeight, []];
  let [last, most] = [await frame(), 0];
  for (let step = 1; step <= 300; step += 1) {
    box.scrollTop = (end * step) / 300;
    const now = await frame();
    frames.push(now - last);
    last = now;
    most = Math.max(most, document.querySelectorAll('*').length);
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
  const rows = [...box.querySelectorAll('li[aria-posinset]')].map((row) => Number(row.ariaPosInSet));
  return { frames, most, longTasks: window.longTasks, all: Number(box.querySelector('li').ariaSetSize), last: Math.max(...rows) };
}

/** In the page: when a row shows a status, by the machine's clock. */
function seen([id, words]) {
  return new Promise((resolve) => {
    const look = () => {
      const row = document.querySelector(`li[data-id="${id}"]`);
      return row?.textContent.includes(words) ? resolve(Date.now()) : requestAnimationFrame(look);
    };
    look();
  });
}

const firm = await Firm.found({ sample: false });
try {
  const file = join(firm.folder, 'orders.csv');
  writeFileSync(file, orders());
  const began = Date.now();
  const report = await firm.hub.creel('import', file, '--map', 'docs/mappings/tackle.toml');
  const imported = Date.now() - began;
  const driver = await firm.admit('driver', 'driver:driver-7', 'driver-7');
  const own = await eventually('the driver\'s own shipments', async () => {
    const rows = await driver.creel('list', '--filter', 'is:open');
    return rows.length === Math.floor((SHIPMENTS - 8) / DRIVERS) + 1 && rows;
  });

  const page = await firm.page(firm.hub);
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Performance.enable');
  await page.addInitScript(watching);
  const firsts = [];
  for (let time = 0; time < 5; time += 1) {
    await page.reload();
    firsts.push(await (await page.waitForFunction(() => window.firstRow)).jsonValue());
  }
  await page.getByText(`${report.taken} found`).waitFor();
  await pause(2_000);
  const [loading, nodes] = await page.evaluate(() => [window.longTasks, document.querySelectorAll('*').length]);
  const scroll = await page.evaluate(scrolled);
  if (scroll.last !== scroll.all) throw new Error(`scrolled to row ${scroll.last} of ${scroll.all}`);
  await devtools.send('HeapProfiler.collectGarbage');
  const { metrics } = await devtools.send('Performance.getMetrics');
  const heap = metrics.find(({ name }) => name === 'JSHeapUsedSize').value;

  // One driver's run, where each row tells its status; the rows at the top are in sight.
  await page.goto(`http://${firm.hub.http}/#/board?by=run&driver=driver:driver-7`);
  await page.getByText(`${own.length} found`).waitFor();
  const ids = await page.locator('li[aria-posinset]').evaluateAll((rows) => rows.slice(0, 5).map((row) => row.dataset.id));
  const [durable, shown] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    const [id, [step, words]] = [ids[round % ids.length], STEPS[Math.floor(round / ids.length)]];
    const looked = page.evaluate(seen, [id, words]);
    // Not in step with anything that the page or the node does by the clock.
    await pause(400 + Math.random() * 400);
    const pressed = Date.now();
    const answer = await driver.post('/records', { shipments: [id], record: { step } });
    durable.push(Date.now() - pressed);
    if (answer.status !== 200) throw new Error(await answer.text());
    shown.push((await looked) - pressed);
  }

  const ms = (number) => `${Math.round(number)} ms`;
  const tasks = (list) => `${list.length}, the longest ${ms(Math.max(0, ...list))}`;
  const table = {
    'open shipments': report.taken,
    'import, with every order durable': ms(imported),
    'first row after a reload, median of 5': ms(quantile(firsts, 0.5)),
    'DOM nodes, at rest / most while scrolling': `${nodes} / ${scroll.most}`,
    'long tasks while loading': tasks(loading),
    [`long tasks while scrolling ${scroll.all} rows in 300 frames`]: tasks(scroll.longTasks),
    'frames, p50 / p95 / longest': `${ms(quantile(scroll.frames, 0.5))} / ${ms(quantile(scroll.frames, 0.95))} / ${ms(Math.max(...scroll.frames))}`,
    'JS heap after a collection': `${(heap / 2 ** 20).toFixed(1)} MiB`,
    [`driver's record durable on the driver's node, p50 / p95 of ${ROUNDS}`]: `${ms(quantile(durable, 0.5))} / ${ms(quantile(durable, 0.95))}`,
    [`… on the dispatcher's screen, p50 / p95 of ${ROUNDS}`]: `${ms(quantile(shown, 0.5))} / ${ms(quantile(shown, 0.95))}`,
  };
  const wide = Math.max(...Object.keys(table).map((name) => name.length));
  for (const [name, value] of Object.entries(table)) console.log(`${name.padEnd(wide)}  ${value}`);
} finally {
  await firm.close();
}
