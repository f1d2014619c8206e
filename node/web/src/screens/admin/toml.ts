// A workflow as the node reads it, written anew from its steps.
import type { Step, Workflow } from '../../creel';

export type Edited = Step & { epcis?: { [name: string]: unknown } | null };

// A JSON text is a TOML text too, once DEL is escaped.
const text = (value: string) => JSON.stringify(value).replace(/\x7f/g, '\\u007f');
const list = (values: string[]) => `[${values.map(text).join(', ')}]`;

export function toml(workflow: Workflow, steps: Edited[]): string {
  const lines = [`name = ${text(workflow.name)}`, `label = { zh = ${text(workflow.label.zh)}, en = ${text(workflow.label.en)} }`];
  for (const step of steps) {
    lines.push('', '[[step]]', `key = ${text(step.key)}`, `label = { zh = ${text(step.label.zh)}, en = ${text(step.label.en)} }`);
    lines.push(`colour = ${text(step.colour)}`, `rank = ${Math.trunc(step.rank)}`);
    if (step.outcome) lines.push(`outcome = ${text(step.outcome)}`);
    lines.push(`by = ${list(step.by)}`, `needs = ${list(step.needs)}`, `ways = ${list(step.ways)}`);
    const epcis = Object.entries(step.epcis ?? {}).filter(([, value]) => typeof value === 'string');
    if (epcis.length) lines.push(`epcis = { ${epcis.map(([name, value]) => `${name} = ${text(String(value))}`).join(', ')} }`);
  }
  return `${lines.join('\n')}\n`;
}
