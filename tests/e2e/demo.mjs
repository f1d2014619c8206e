// The demo's page of a real `creel demo --screens`, and what a newcomer does there.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Firm, LIMIT, creelBinary } from './firm.mjs';

export class Demo {
  static async begin(look) {
    const demo = new Demo();
    // The demo clears its own folder away; this one is for what a killed one would leave.
    demo.folder = mkdtempSync(join(tmpdir(), 'creel-e2e-'));
    demo.process = spawn(creelBinary, ['--json', 'demo', '--screens'], { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, TMPDIR: demo.folder } });
    const lines = createInterface({ input: demo.process.stdout });
    const first = await new Promise((resolve, reject) => {
      lines.once('line', resolve);
      demo.process.once('exit', () => reject(new Error('the demo did not begin')));
    });
    demo.url = JSON.parse(first).url;
    demo.firm = await Firm.browserAlone();
    demo.page = await demo.firm.blank(look);
    await demo.page.goto(demo.url);
    await demo.screen('east-gate').getByRole('heading').first().waitFor();
    return demo;
  }

  /** Somebody's part of the page. */
  part(name) {
    return this.page.locator(`section[data-name="${name}"]`);
  }

  /** Somebody's own screens in it. */
  screen(name) {
    return this.part(name).frameLocator('iframe');
  }

  /** Flips a switch: `signal` or `power`. */
  async flip(name, what) {
    const button = this.part(name).getByRole('switch', { name: new RegExp(`(${what}|${what === 'signal' ? '有信号' : '有电'})$`) });
    const before = await button.getAttribute('aria-checked');
    await button.click();
    await button.and(this.page.locator(`[aria-checked="${before === 'true' ? 'false' : 'true'}"]`)).waitFor();
  }

  /** Somebody signs for a driver's next delivery. */
  async delivery(driver, name) {
    const form = this.screen(driver).locator('dialog[open]');
    await this.screen(driver).getByRole('button', { name: /^(Signed|已签收) / }).first().click();
    await form.getByLabel(/^(Name|签收人姓名)$/).fill(name);
    await form.locator('canvas[width]').waitFor();
    const canvas = form.locator('canvas');
    await canvas.scrollIntoViewIfNeeded();
    const box = await canvas.boundingBox();
    const { mouse } = this.page;
    const at = (turn) => [box.x + 24 + turn * 13, box.y + box.height / 2 + Math.sin(turn * 1.3) * box.height * 0.22 * (1 - turn / 26)];
    await mouse.move(...at(0));
    await mouse.down();
    for (let turn = 0; turn <= 18; turn += 0.5) await mouse.move(...at(turn));
    await mouse.up();
    await form.getByRole('button', { name: /^(Record|记录)[:：]/ }).click();
    await form.waitFor({ state: 'detached' });
  }

  /** Waits until a step of the guide is ticked off. */
  ticked(step) {
    return this.page.locator(`#try li[data-step="${step}"].done`).waitFor();
  }

  async end() {
    await this.firm?.close();
    const gone = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.kill('SIGINT');
    const late = setTimeout(() => this.process.kill('SIGKILL'), LIMIT);
    this.code = await gone;
    clearTimeout(late);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
