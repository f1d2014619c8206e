// README's picture, made from the real thing: node tests/e2e/picture.mjs en docs/screens.png

import { Demo } from './demo.mjs';

const [language, file] = process.argv.slice(2);
if (!file) {
  console.error('usage: node tests/e2e/picture.mjs en|zh FILE.png');
  process.exit(2);
}
const demo = await Demo.begin({ language, width: 1440, height: 900 });
try {
  await demo.flip('li-wei', 'signal');
  await demo.delivery('li-wei', '王丽 Wang Li');
  await demo.ticked('sign');
  await demo.screen('li-wei').getByText(/No signal\.|没有信号。/).first().waitFor();
  await demo.screen('li-wei').locator('h1').evaluate(() => scrollTo(0, 0));
  // What was told in passing has gone.
  await demo.page.waitForTimeout(6_000);
  await demo.page.screenshot({ path: file });
} finally {
  await demo.end();
}
