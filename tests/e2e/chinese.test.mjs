// The main job of each role in 简体中文: what the other tests do in English can be done by who reads none.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Firm, Taps, eventually, picture } from './firm.mjs';

let firm;
before(async () => {
  firm = await Firm.found();
});
after(() => firm?.close());

const at = (device, address) => `http://${device.http}/#/${address}`;
const open = (page) => page.locator('dialog[open]');
const zh = (device, look = {}) => firm.page(device, { language: 'zh', ...look });
/** No English where there are words of the app's own: what people named and typed is theirs. */
async function noEnglish(page) {
  const found = await page.evaluate(() =>
    [...document.querySelectorAll('button, h1, h2, h3, label, legend, summary, th, dt')]
      .filter((one) => one.checkVisibility())
      .map((one) => one.innerText.trim())
      .filter((text) => /^[A-Za-z][A-Za-z ,]+$/.test(text)));
  assert.deepEqual(found.filter((text) => !['English', 'PIN', 'creel'].includes(text)), []);
}

test('司机送货签收', async () => {
  const driver = await firm.admit('driver', 'driver:li-wei', '李伟');
  await eventually('the driver\'s orders', async () => (await driver.creel('list')).length > 2);
  const page = await zh(driver, { width: 360, height: 740 });
  const number = await page.locator('ol .number').first().innerText();
  const taps = new Taps();
  await taps.on(page.getByRole('button', { name: `已签收 ${number}` }));
  await taps.on(open(page).getByRole('radio', { name: '代收人' }));
  await open(page).getByLabel('签收人姓名').fill('王芳');
  await open(page).locator('canvas[width]').click({ position: { x: 60, y: 60 } });
  await open(page).getByText('已签名').waitFor();
  const [camera] = await Promise.all([page.waitForEvent('filechooser'), taps.on(open(page).getByLabel('拍照'))]);
  await camera.setFiles({ name: 'photo.png', mimeType: 'image/png', buffer: picture([90, 120, 40]) });
  await open(page).getByRole('img', { name: '照片 1' }).waitFor();
  await noEnglish(page);
  await taps.on(open(page).getByRole('button', { name: '记录：已签收' }));
  await page.getByText(`${number}：已记录“已签收”`).waitFor();
  assert.ok(taps.count <= 4, `${taps.count} taps beside the signature`);
  await eventually('it at the hub', async () => (await firm.hub.creel('show', number)).status === 'signed');
  // The drawing is there for whoever looks at the shipment, as it was drawn.
  const office = await zh(firm.hub);
  await office.goto(at(firm.hub, `s/${(await firm.hub.creel('show', number)).id}`));
  const drawn = office.getByRole('img', { name: '有手写签名' });
  await drawn.waitFor();
  assert.ok(await drawn.evaluate((img) => img.decode().then(() => img.naturalWidth > 0)));
  await noEnglish(office);
  assert.deepEqual([...page.troubles, ...office.troubles], []);
  await office.context().close();

  // A failed attempt needs no typing.
  await page.locator('ol .number', { hasText: number }).waitFor({ state: 'detached' });
  const failed = await page.locator('ol .number').first().innerText();
  const few = new Taps();
  await few.on(page.getByRole('button', { name: `派送未成功 ${failed}` }));
  await few.on(open(page).getByRole('button', { name: '无人在店' }));
  await few.on(open(page).getByRole('button', { name: '记录：派送未成功' }));
  await eventually('the attempt at the hub', async () => (await firm.hub.creel('show', failed)).timeline.at(-1).detail?.reason === '无人在店');
  assert.equal(few.count, 3);
  await page.context().close();
});

test('拣货员拣货', async () => {
  const picker = await firm.admit('picker', null, '拣货台');
  const [{ number }] = await firm.hub.creel('list', '--filter', 'status:created run:zhang-min-1 limit:1');
  await eventually('the order', () => picker.creel('show', number));
  const page = await zh(picker, { width: 820, height: 1180 });
  await page.getByRole('link', { name: new RegExp(`^${number}`) }).click();
  await page.getByRole('button', { name: '拣货中' }).click();
  await page.getByRole('button', { name: '已拣货', exact: true }).waitFor();
  await noEnglish(page);
  await page.getByRole('button', { name: '已拣货', exact: true }).click();
  await eventually('it to be picked', async () => (await firm.hub.creel('show', number)).status === 'picked');
  assert.deepEqual(page.troubles, []);
  await page.context().close();
});

test('门店验收，少两袋', async () => {
  const shop = await firm.admit('shop', 'shop:west-lake', '西湖渔具店');
  await eventually('the order', () => shop.creel('show', 'M20260601-0001'));
  const page = await zh(shop, { width: 360, height: 740 });
  await page.getByRole('link', { name: '收货 M20260601-0001' }).click();
  await page.getByRole('button', { name: /^有短少或破损.*鲤鱼饵/ }).click();
  await page.getByLabel('短少 袋').fill('2');
  await page.getByText('完好：20 袋').waitFor();
  await noEnglish(page);
  await page.getByRole('button', { name: '已验收', exact: true }).click();
  await eventually('it at the hub', async () => (await firm.hub.creel('show', 'M20260601-0001')).status === 'received');
  assert.deepEqual(page.troubles, []);
  await page.context().close();
});

test('调度派车，管理员邀请设备', async () => {
  const numbers = ['M20260601-0006', 'M20260601-0007'];
  await firm.hub.creel('plan', ...numbers, 'driver=');
  const page = await zh(firm.hub);
  await page.getByRole('button', { name: /未派司机/ }).click();
  await page.getByRole('button', { name: '全选 2 单' }).click();
  await page.getByRole('button', { name: '派车 / 修改' }).click();
  await open(page).getByLabel('司机').selectOption('driver:li-wei');
  await noEnglish(page);
  await open(page).getByRole('button', { name: '修改 2 单' }).click();
  await eventually('the driver', async () => (await firm.hub.creel('show', numbers[1])).plan.driver === 'driver:li-wei');

  await page.getByRole('link', { name: '设置' }).click();
  const invite = page.locator('section', { has: page.getByRole('heading', { name: '邀请设备' }) });
  await invite.getByLabel('名称').fill('张敏的手机');
  await invite.getByLabel('订单中的写法').fill('zhang-min');
  await invite.getByRole('button', { name: '生成邀请' }).click();
  const text = await invite.getByLabel('邀请码').inputValue();
  await noEnglish(page);
  const phone = firm.device('phone');
  await phone.creel('join', text);
  await phone.start();
  assert.equal((await phone.creel('status')).party, 'driver:zhang-min', 'a driver is written without saying twice that it is one');
  assert.deepEqual(page.troubles, []);
  await page.context().close();
});
