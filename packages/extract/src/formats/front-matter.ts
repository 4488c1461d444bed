// Front matter of Markdown: simple `key: value` lines between `---` become metadata. Other YAML is not supported.

const MAX_CHARS = 64 * 1024;
const FIELD = /^([A-Za-z][\w-]{0,99}):[ \t]*(.*)$/;
const OTHER = /^(?:[ \t#-]|$)/;

interface FrontMatter {
  readonly fields: Record<string, string>;
  readonly title?: string;
  /** The text after it. */
  readonly rest: string;
}

const unquoted = (value: string): string => /^(["'])(.*)\1$/.exec(value)?.[2] ?? value;

export function frontMatter(text: string): FrontMatter {
  const none = { fields: {}, rest: text };
  const end = /\n(?:---|\.\.\.)[ \t]*(?:\n|$)/.exec(text.slice(3, MAX_CHARS));
  if (!/^---[ \t]*\n/.test(text) || !end) return none;
  const lines = text.slice(text.indexOf('\n') + 1, Math.max(text.indexOf('\n') + 1, 3 + end.index)).split('\n');
  if (!lines.every((line) => FIELD.test(line) || OTHER.test(line))) return none;
  const found = lines.flatMap((line): [string, string][] => {
    const [, key = '', value = ''] = FIELD.exec(line) ?? [];
    const plain = unquoted(value.trim());
    return plain === '' || /^[|>[{&*!]/.test(plain) ? [] : [[key, plain]];
  });
  const { title, ...fields } = Object.fromEntries(found);
  return { fields, ...(title !== undefined && { title }), rest: text.slice(3 + end.index + end[0].length) };
}
