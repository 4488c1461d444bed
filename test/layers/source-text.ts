// Source text with comments and regular expressions blanked, and strings replaced by their number. Supports TypeScript's
// quoting, not its imports. Line breaks are kept, so that an offset gives the line.

export interface Code {
  /** Code in which each string is replaced by `"0"`, `"1"`, ...: an index into `strings`. */
  readonly text: string;
  readonly strings: readonly string[];
  /** Quoted texts in order; for a template with substitutions each piece. Escapes are kept. */
  readonly texts: readonly string[];
  /** Comments with their markers, in order. */
  readonly comments: readonly string[];
}

/** Words before a regular expression, not a division. */
const BEFORE_REGEX = /(?:^|[^\w$.])(?:return|typeof|case|in|of|do|else|void|delete|throw|await|yield|new|instanceof)$/;

export function codeOf(source: string): Code {
  const strings: string[] = [];
  const texts: string[] = [];
  const comments: string[] = [];
  /** For each open `${`: the number of plain braces open in it. */
  const substitutions: number[] = [];
  let text = '';
  let at = 0;

  const literal = (value: string): void => {
    texts.push(value);
    text += `"${strings.push(value) - 1}"${lineBreaks(value)}`;
  };

  /** From the first character of a template's text, after its backtick or the brace of a substitution. */
  const templateText = (opening: boolean): void => {
    const end = endOfTemplateText(source, at);
    const value = source.slice(at, end);
    const closes = source[end] !== '$';
    if (opening && closes) literal(value);
    else {
      texts.push(value);
      text += `\`${lineBreaks(value)}`;
    }
    if (!closes) substitutions.push(0);
    at = end + (closes ? 1 : 2);
  };

  while (at < source.length) {
    const char = source[at] ?? '';
    const open = substitutions.at(-1);
    if (source.startsWith('//', at)) {
      const end = endOr(source.indexOf('\n', at), source.length);
      comments.push(source.slice(at, end));
      at = end;
    } else if (source.startsWith('/*', at)) {
      const end = endOr(source.indexOf('*/', at + 2), source.length);
      text += ` ${lineBreaks(source.slice(at, end))}`;
      comments.push(source.slice(at, end + 2));
      at = end + 2;
    } else if (char === "'" || char === '"') {
      const end = endOfQuoted(source, at + 1, char);
      literal(source.slice(at + 1, end));
      at = end + 1;
    } else if (char === '`') {
      at += 1;
      templateText(true);
    } else if (char === '}' && open === 0) {
      substitutions.pop();
      at += 1;
      templateText(false);
    } else if (char === '/' && beginsRegex(text) && endOfRegex(source, at) !== undefined) {
      text += ' 0 ';
      at = endOfRegex(source, at) ?? source.length;
    } else {
      if (open !== undefined && char === '{') substitutions[substitutions.length - 1] = open + 1;
      if (open !== undefined && char === '}') substitutions[substitutions.length - 1] = open - 1;
      text += char;
      at += 1;
    }
  }
  return { text, strings, texts, comments };
}

const endOr = (found: number, end: number): number => (found === -1 ? end : found);

const lineBreaks = (text: string): string => text.replaceAll(/[^\n]/g, '');

/** Offset of the closing quote; an unclosed string ends with its line, so that one mistake affects one line. */
function endOfQuoted(source: string, from: number, quote: string): number {
  for (let at = from; at < source.length; at += 1) {
    if (source[at] === '\\') at += 1;
    else if (source[at] === quote || source[at] === '\n') return at;
  }
  return source.length;
}

/** Offset of the closing backtick, or of the `${` of the next substitution. */
function endOfTemplateText(source: string, from: number): number {
  for (let at = from; at < source.length; at += 1) {
    if (source[at] === '\\') at += 1;
    else if (source[at] === '`' || source.startsWith('${', at)) return at;
  }
  return source.length;
}

/**
 * A slash divides after a value: a name, a number, a string, a closing bracket. Elsewhere it starts a regular expression.
 */
function beginsRegex(before: string): boolean {
  const code = before.trimEnd();
  return !/[\w$)\]"`]$/.test(code) || BEFORE_REGEX.test(code);
}

/** The offset after the closing slash; undefined if the line ends before, which a regular expression cannot contain. */
function endOfRegex(source: string, from: number): number | undefined {
  let inClass = false;
  for (let at = from + 1; at < source.length && source[at] !== '\n'; at += 1) {
    const char = source[at];
    if (char === '\\') at += 1;
    else if (char === '[') inClass = true;
    else if (char === ']') inClass = false;
    else if (char === '/' && !inClass) return at + 1;
  }
  return undefined;
}
