import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { Fault, reasonOf } from '../../base/fault.ts';
import { nearest } from '../../base/nearest.ts';

/** Everything that is wrong with a configuration is told at once, each with its line. */
export class Mistakes {
  readonly #file: string;
  readonly #mistakes: { line: number; detail: string }[] = [];
  /** What is odd but no mistake. */
  readonly notes: string[] = [];

  constructor(file: string) {
    this.#file = file;
  }

  add(line: number, detail: string): void {
    this.#mistakes.push({ line, detail });
  }

  note(line: number, detail: string): void {
    this.notes.push(`${this.#file}, line ${line}: ${detail}`);
  }

  /** @throws Fault `usage` with every mistake, if there is any */
  throwIfAny(): void {
    const [only, second] = this.#mistakes;
    if (only === undefined) return;
    const mistakes = this.#mistakes.map(({ line, detail }) => ({ pointer: `${this.#file}:${line}`, detail }));
    if (second === undefined)
      throw new Fault('usage', `The configuration has a mistake. ${this.#file}, line ${only.line}: ${only.detail}.`, {
        mistakes,
      });
    const lines = this.#mistakes
      .toSorted((a, b) => a.line - b.line)
      .map(({ line, detail }) => `  line ${line}: ${detail}`);
    throw new Fault('usage', `The configuration has ${mistakes.length} mistakes.`, {
      hint: [`${this.#file}:`, ...lines].join('\n'),
      mistakes,
    });
  }
}

/** A value of the configuration with the line it stands in. */
export class Located {
  readonly value: unknown;
  readonly line: number;
  readonly #mistakes: Mistakes;
  /** As in a sentence: `restore_targets.data-plane.dev.root`. */
  readonly name: string;
  readonly #members: ReadonlyMap<string, Located>;
  readonly #items: readonly Located[];

  constructor(
    node: Node | null,
    name: string,
    mistakes: Mistakes,
    lineOf: (node: Node | null) => number,
    line: number,
  ) {
    this.#mistakes = mistakes;
    this.name = name;
    this.line = node === null ? line : lineOf(node);
    const members = new Map<string, Located>();
    this.#items = isSeq(node)
      ? node.items.map((item, n) => new Located(item as Node, `${name}[${n}]`, mistakes, lineOf, this.line))
      : [];
    if (isMap(node))
      for (const { key, value } of node.items) {
        const text = isScalar(key) ? String(key.value) : '';
        const at = lineOf(key as Node);
        members.set(
          text,
          new Located(value as Node | null, name === '' ? text : `${name}.${text}`, mistakes, lineOf, at),
        );
      }
    this.#members = members;
    if (isAlias(node)) mistakes.add(this.line, `${name} is an alias, which is not understood here`);
    this.value = isScalar(node) ? node.value : isMap(node) ? members : isSeq(node) ? this.#items : null;
  }

  get isMap(): boolean {
    return this.value instanceof Map;
  }

  get isList(): boolean {
    return Array.isArray(this.value);
  }

  get keys(): string[] {
    return [...this.#members.keys()];
  }

  /** The member, or undefined when it is not there or empty. */
  get(key: string): Located | undefined {
    const found = this.#members.get(key);
    return found === undefined || found.value === null ? undefined : found;
  }

  wrong(detail: string): void {
    this.#mistakes.add(this.line, `${this.name} ${detail}`);
  }

  note(detail: string): void {
    this.#mistakes.note(this.line, `${this.name} ${detail}`);
  }

  /** Keys nobody knows are most likely slips; they change nothing, so they are only noted. */
  knownKeys(known: readonly string[]): void {
    for (const key of this.keys)
      if (!known.includes(key)) {
        const guess = nearest(key, known);
        this.#members.get(key)?.note(`is not known${guess ? `; did you mean ${guess}?` : ' and changes nothing'}`);
      }
  }

  text(key: string): string | undefined {
    const found = this.get(key);
    if (found === undefined || typeof found.value === 'string') return found?.value as string | undefined;
    found.wrong('must be a text');
    return undefined;
  }

  texts(key: string): string[] {
    const found = this.get(key);
    if (found === undefined) return [];
    const items = found.items(`must be a list of texts`);
    return items.flatMap((item) => {
      if (typeof item.value === 'string' && item.value !== '') return [item.value];
      item.wrong('must be a text');
      return [];
    });
  }

  count(key: string, least: number, most: number): number | undefined {
    const found = this.get(key);
    if (found === undefined) return undefined;
    const { value } = found;
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
    found.wrong(`must be a whole number from ${least} to ${most}`);
    return undefined;
  }

  items(otherwise: string): readonly Located[] {
    if (Array.isArray(this.value)) return this.#items;
    this.wrong(otherwise);
    return [];
  }

  /** The member when it is a map; what it is otherwise is a mistake. */
  section(key: string): Located | undefined {
    const found = this.get(key);
    if (found === undefined || found.isMap) return found;
    found.wrong('must have settings below it');
    return undefined;
  }
}

/**
 * Parses YAML or JSON (for a file that ends so).
 * @throws Fault `usage` when it is neither
 */
export function parseLocated(file: string, text: string, mistakes: Mistakes): Located {
  if (file.endsWith('.json')) requireJson(file, text);
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false });
  const lineOf = (node: Node | null) => counter.linePos(node?.range?.[0] ?? 0).line;
  // After its first error of syntax the parser guesses.
  const [error] = document.errors;
  if (error)
    // Not the parser's own words: they may quote what stands there, and that may be a secret.
    mistakes.add(
      counter.linePos(error.pos[0]).line,
      `this is no valid YAML (${error.code.toLowerCase().replaceAll('_', ' ')})`,
    );
  mistakes.throwIfAny();
  const root = new Located(document.contents as Node | null, '', mistakes, lineOf, 1);
  if (!root.isMap) mistakes.add(1, 'the configuration must be a map with restore_targets in it');
  mistakes.throwIfAny();
  return root;
}

/** The parser's own words quote the text around the place, which may be a secret; only where it is, is told. */
function requireJson(file: string, text: string): void {
  try {
    JSON.parse(text);
  } catch (error) {
    const position = /at position (\d+)/.exec(reasonOf(error))?.[1];
    const before = text.slice(0, position === undefined ? text.length : Number(position));
    throw new Fault('usage', `${file}, line ${before.split('\n').length}: this is no valid JSON.`, {
      hint: 'Look for a missing comma, quote or bracket at the end of the line before. JSON has no comments.',
    });
  }
}
