// The boss's figures and the sheet at the end of the month: both are the same shipments, and each number can be followed to them.

// Browser and nodes are in the same place, or a month would begin at different hours for them.
process.env.TZ = 'Asia/Shanghai';

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Firm, Taps, eventually } from './firm.mjs';

let firm;
let boss;
before(async () => {
  firm = await Firm.found();
  const { hub } = firm;
  await hub.creel('plan', 'M20260601-0001', 'M20260601-0002', 'window=2030-01-01T08:00/10:00');
  await hub.creel('record', 'M20260601-0001', 'M20260601-0003', 'signed', '--receiver', '王芳 Wang Fang', '--line', '1:short=2');
  await hub.creel('record', 'M20260601-0004', 'returned', '--reason', '地址有误 wrong address');
  await hub.creel('record', 'M20260601-0005', 'cancelled', '--reason', 'the shop closed');
  boss = await firm.admit('viewer', null, 'boss');
  await eventually('all of it at the boss\'s', async () => (await boss.creel('list', '--filter', 'status:cancelled')).length === 1);
});
after(() => firm?.close());

/** Presses a link, and what comes is kept. */
async function download(page, taps, name) {
  const [file] = await Promise.all([page.waitForEvent('download'), taps.on(page.getByRole('link', { name }))]);
  return { name: file.suggestedFilename(), bytes: await readFile(await file.path()) };
}

const words = {
  zh: { xlsx: '下载表格', csv: '下载 CSV', month: '月份', head: /^单号,收货人,状态,/, signed: /已签收/ },
  en: { xlsx: 'Download sheet', csv: 'Download CSV', month: 'Month', head: /^Number,Consignee,Status,/, signed: /Signed/ },
};

for (const [language, { xlsx, csv, month, head, signed }] of Object.entries(words)) {
  test(`the month's sheet is one press away, in ${language}`, async () => {
    const page = await firm.page(boss, { language });
    const taps = new Taps();
    const sheet = await download(page, taps, xlsx);
    assert.equal(taps.count, 1, 'one tap, from the boss\'s first screen');
    assert.equal(sheet.bytes.subarray(0, 4).toString('latin1'), 'PK\x03\x04', 'a workbook is a zip');
    assert.match(sheet.name, /^creel-\d{4}-\d\d-01-\d{4}-\d\d-\d\d\.xlsx$/);

    const table = await download(page, taps, csv);
    assert.deepEqual([...table.bytes.subarray(0, 3)], [0xef, 0xbb, 0xbf], 'Excel needs the byte order mark to read Chinese');
    const text = table.bytes.subarray(3).toString('utf8');
    assert.match(text, head);
    assert.match(text, signed);

    // The command makes the very same from the hub: every replica agrees on the month.
    const [from, to] = /(\d{4}-\d\d-\d\d)-(\d{4}-\d\d-\d\d)/.exec(table.name).slice(1);
    assert.equal(from.slice(0, 7), await page.getByLabel(month, { exact: true }).inputValue());
    const file = join(firm.folder, `${language}.csv`);
    const { rows, shipments } = await firm.hub.creel('export', '--from', from, '--to', to, '--output', file, '--lang', language);
    assert.ok(rows > 4 && shipments === 4, 'what was signed for, returned and cancelled this month');
    assert.ok((await readFile(file)).equals(table.bytes), 'the same bytes');
    assert.deepEqual(page.troubles, []);
    await page.context().close();
  });
}

/** What a figure says of how many shipments are behind it. */
function figure(text) {
  const found = /(\d+) shipments?$/.exec(text) ?? /^(?:Not on time|Open now) ?(\d+) ?See which$/.exec(text) ?? /\(\d+\/(\d+)\)$/.exec(text) ?? /^(\d+)$/.exec(text);
  assert.ok(found, `no number in “${text}”`);
  return Number(found[1]);
}

test('each figure leads to as many shipments as it says', async () => {
  const page = await firm.page(boss);
  await page.getByText('Not on time').waitFor();
  const all = await firm.hub.creel('list');
  const figures = await page.locator('main a[href*="#/boss/"]').evaluateAll((links) => links.map((link) => [link.textContent.replace(/\s+/g, ' ').trim(), link.hash]));
  assert.ok(figures.length > 30, `${figures.length} figures`);
  const read = {};
  for (const [text, hash] of figures) {
    await page.goto(`http://${boss.http}/${hash}`);
    const count = figure(text);
    await page.getByRole('heading', { level: 1, name: new RegExp(`^${count} shipments?$`) }).waitFor();
    // Where there are none, it says so.
    const rows = page.locator('main ul > li:not(.quiet)');
    assert.equal(await rows.count(), count, `${hash}: “${text}”`);
    const signed = /\((\d+)\/\d+\)$/.exec(text)?.[1];
    if (signed) assert.equal(await page.locator('main ul > li', { hasText: 'Signed' }).count(), Number(signed), text);
    read[hash.split('/')[2].split('?')[0]] ??= count;
  }
  // What the node tells by itself: two were signed for, of which one in time; of the others whose window is over, one was cancelled.
  assert.equal(read.signed, 2);
  assert.equal(read.late, all.length - 3);
  assert.equal(read.judged, all.length - 2);
  assert.equal(read.open, all.length - 4, 'today\'s backlog stands first');
  assert.deepEqual(page.troubles, []);
});

test('the charts are drawn, and the table has their numbers', async () => {
  const page = await firm.page(boss);
  const charts = page.getByRole('img', { name: /^Chart: / });
  await charts.nth(1).locator('canvas').waitFor({ state: 'attached' });
  await page.getByText('The numbers as a table').click();
  const table = (await page.locator('tbody tr').allInnerTexts()).map((row) => row.split('\t').map((cell) => cell.trim()));
  assert.ok(table.length >= 30, 'a row for each day');
  for (const [nth, column] of [[0, 1], [1, 2]]) {
    const chart = charts.nth(nth);
    const numbers = table.map((row) => Number(row[column]));
    assert.match(await chart.getAttribute('aria-label'), new RegExp(`, ${table.length} days, at most ${Math.max(...numbers)}\\.`));
    // Something of its own colour is drawn, and more than an axis.
    const drawn = await chart.locator('canvas').evaluate((canvas) => {
      const hex = getComputedStyle(document.documentElement).getPropertyValue('--accent').trim();
      const wanted = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      let found = 0;
      for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 200 && wanted.every((one, part) => Math.abs(data[at + part] - one) < 6)) found += 1;
      return found;
    });
    assert.ok(drawn > 100, `${drawn} points in the colour of what is drawn`);
    // Under it stands the last day, and under a pointer the day that is pointed at.
    const read = page.locator('figure').nth(nth).locator('p');
    assert.equal(await read.innerText(), `${table[0][0]}: ${table[0][column]}`);
    await chart.locator('.u-over').hover({ position: { x: 200, y: 60 } });
    const pointed = await eventually('another day', async () => (await read.innerText()) !== `${table[0][0]}: ${table[0][column]}` && read.innerText());
    const row = table.find(([day]) => pointed.startsWith(`${day}:`));
    assert.equal(pointed, `${row[0]}: ${row[column]}`);
  }
  assert.deepEqual(page.troubles, []);
});
