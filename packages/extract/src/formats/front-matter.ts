// The lines between `---` that a Markdown file may begin with: simple `key: value` ones become metadata. No YAML beyond that.

const LONGEST = 64 * 1024;
const FIELD = /^([A-Za-z][\w-]{0,99}):[ \t]*(.*)$/;
const OTHER = /^(?:[ \t#-]|$)/;

interface FrontMatter {
  readonly fields: Record<string, string>;
  readonly title?: string;
  /** The text behind it. */
  readonly rest: string;
}

const unquoted = (value: string): string => /^(["'])(.*)\1$/.exec(value)?.[2] ?? value;

export function frontMatter(text: string): FrontMatter {
  const none = { fields: {}, rest: text };
  const end = /\n(?:---|\.\.\.)[ \t]*(?:\n|$)/.exec(text.slice(3, LONGEST));
  if (!/^---[ \t]*\n/.test(text) || !end) return none;
  const lines = text.slice(text.indexOf('\n') + 1, Math.max(text.indexOf('\n') + 1, 3 + end.index)).split('\n');
  if (!lines.every((line) => FIELD.test(line) || OTHER.test(line))) return none;
  const found = lines.flatMap((line): [string, string][] => {
    const [, key = '', value = ''] = FIELD.exec(line) ?? [];
    const bare = unquoted(value.trim());
    return bare === '' || /^[|>[{&*!]/.test(bare) ? [] : [[key, bare]];
  });
  const { title, ...fields } = Object.fromEntries(found);
  return { fields, ...(title !== undefined && { title }), rest: text.slice(3 + end.index + end[0].length) };
}
