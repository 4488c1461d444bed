// Finds every import in source text, in any form. Has no rules.
import type { Code } from './source-text.ts';

/**
 * `value`: loaded at start; `type`: erased; `dynamic`: `import()`; `opaque`: its target is not a literal; `require`:
 * CommonJS.
 */
export type How = 'value' | 'type' | 'dynamic' | 'opaque' | 'require';

export interface Import {
  /** As written; empty without a literal. */
  readonly target: string;
  readonly how: How;
  readonly line: number;
}

/** Each finds one form in code with numbered strings: group 1 is the clause if there is one, the last the number. */
const FORMS: readonly { readonly pattern: RegExp; readonly how?: How; readonly otherwise?: How }[] = [
  { pattern: /(?<![.#\w$])import\b((?:\{[^}]*\}|[^;"(){}=.])*?)\bfrom\s*"(\d+)"/g },
  { pattern: /(?<![.#\w$])export\b(\s*(?:type\s*)?(?:\*(?:\s*as\s+[\w$"]+)?|\{[^}]*\})\s*)from\s*"(\d+)"/g },
  { pattern: /(?<![.#\w$])import\s*()"(\d+)"/g },
  { pattern: /(?<![.#\w$])import\s*\(\s*()(?:"(\d+)"\s*[,)])?/g, how: 'dynamic', otherwise: 'opaque' },
  { pattern: /(?<![.#\w$])require\s*\(\s*()(?:"(\d+)")?/g, how: 'require', otherwise: 'require' },
];

/** `import type { X }`, `import type X`, `export type *`; but `import type from 'x'` imports a value called type. */
const TYPE_CLAUSE = /^\s*type(?:\s+[\w$]|\s*[{*])/;

/** All imports of a file in the order of their lines. One `type` among values in braces still loads the file: a value. */
export function importsOf(code: Code): Import[] {
  const found: Import[] = [];
  for (const { pattern, how, otherwise } of FORMS) {
    for (const match of code.text.matchAll(pattern)) {
      const [, clause = '', number] = match;
      const target = number === undefined ? undefined : code.strings[Number(number)];
      const asClause: How = TYPE_CLAUSE.test(clause) ? 'type' : 'value';
      found.push({
        target: target ?? '',
        how: target === undefined ? (otherwise ?? 'opaque') : (how ?? asClause),
        line: code.text.slice(0, match.index).split('\n').length,
      });
    }
  }
  return found.sort((a, b) => a.line - b.line);
}

const IMPORT_STATEMENT =
  /(?<![.#\w$])import\b(?:(?:\{[^}]*\}|[^;"(){}=.])*?\bfrom)?\s*"\d+"(?:\s*with\s*\{[^}]*\})?\s*;?/g;
const EXPORT_LIST = /(?<![.#\w$])export\b\s*(?:type\s*)?(?:\*(?:\s*as\s+[\w$"]+)?|\{[^}]*\})(?:\s*from\s*"\d+")?\s*;?/g;

/** Whether a file only re-exports. */
export function isBarrel(code: Code): boolean {
  const own = code.text.replaceAll(IMPORT_STATEMENT, '').replaceAll(EXPORT_LIST, '');
  return own.trim() === '' && EXPORT_LIST.test(code.text);
}

/** Whether a file has a default export, in any form. */
export const hasDefaultExport = (code: Code): boolean =>
  /(?<![.#\w$])export\s*(?:default\b|\{[^}]*\bdefault\s*[,}]|=)/.test(code.text) ||
  /(?<![.#\w$])export\s*\*\s*as\s+default\b/.test(code.text);
