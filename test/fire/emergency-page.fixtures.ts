import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const page = readFileSync(join(import.meta.dirname, '../../docs/emergency.md'), 'utf8');

/** The commands of a section of the page for the worst day, in their order and as they are printed. */
export function commandsOf(title: string): string[] {
  const lines = sectionOf(title)
    .split('\n')
    .filter((line) => line.startsWith('    '))
    .map((line) => line.trim());
  assert.notEqual(lines.length, 0, `the section ${title} has no commands`);
  return lines;
}

/** The word that a section says one has to type. */
export function wordOf(title: string, before: string): string {
  const [, word] = new RegExp(`${before}\\s+\\(?\`([A-Z][A-Z -]+)\``).exec(sectionOf(title)) ?? [];
  assert.ok(word !== undefined, `the section ${title} does not say what to type`);
  return word;
}

function sectionOf(title: string): string {
  const section = page.split(/^## /m).find((each) => each.startsWith(`${title}\n`));
  assert.ok(section !== undefined, `the page has no section ${title}`);
  return section;
}
