import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const pageNamed = (name: string) => readFileSync(join(import.meta.dirname, `../../docs/${name}.md`), 'utf8');
const worstDay = 'emergency';

/** The commands of a section of the page for the worst day, or of another one, in their order and as they are printed. */
export function commandsOf(title: string, page = worstDay): string[] {
  const lines = sectionOf(title, page)
    .split('\n')
    .filter((line) => line.startsWith('    '))
    .map((line) => line.trim());
  assert.notEqual(lines.length, 0, `the section ${title} has no commands`);
  return lines;
}

/** The word that a section says one has to type. */
export function wordOf(title: string, before: string): string {
  const [, word] = new RegExp(`${before}\\s+\\(?\`([A-Z][A-Z -]+)\``).exec(sectionOf(title, worstDay)) ?? [];
  assert.ok(word !== undefined, `the section ${title} does not say what to type`);
  return word;
}

function sectionOf(title: string, page: string): string {
  const section = pageNamed(page)
    .split(/^## /m)
    .find((each) => each.startsWith(`${title}\n`));
  assert.ok(section !== undefined, `the page has no section ${title}`);
  return section;
}
