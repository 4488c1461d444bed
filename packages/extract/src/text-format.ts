// Text format detection: plain text, Markdown, HTML, XML, e-mail or RTF, by the beginning and the end of a text.
import { MIME } from './mime.ts';

const HTML_ROOT = /^<(?:!doctype\s+html|html|head|body)(?=[\s>])/i;
const HTML_FRAGMENT = /^<(?:div|p|h[1-6]|table|ul|ol|title|meta|article|section|main|header|nav|span|pre)(?=[\s>])/i;
const ANY_TAG = /<\/?[a-z][a-z0-9]*[\s/>]|<!--|&(?:[a-z]{2,10}|#\d{1,6});/i;
const XML_ROOT = /^<([A-Za-z_][\w.:-]{0,200})(?=[\s>/])/;

/**
 * @param head the beginning of the text, and `tail` its end
 * @param hint the text format by name or declared type; the content takes precedence
 */
export function textFormatOf(head: string, tail: string, hint: string | undefined): string {
  const start = head.trimStart();
  if (start.startsWith('{\\rtf')) return MIME.rtf;
  if (/^From \S+ .*\d{4}\r?\n/.test(head) && headerNames(head.slice(head.indexOf('\n') + 1)) !== undefined) {
    return 'application/mbox';
  }
  if (isEmail(head, hint)) return MIME.email;
  return markupOf(start, tail, hint) ?? plainOf(hint, start);
}

function markupOf(start: string, tail: string, hint: string | undefined): string | undefined {
  if (!start.startsWith('<')) return undefined;
  const hasDeclaration = /^<\?xml[\s?]/.test(start);
  const body = skipProlog(start);
  if (HTML_ROOT.test(body)) return MIME.html;
  if (hasDeclaration) return MIME.xml;
  const end = tail.trimEnd();
  if (HTML_FRAGMENT.test(body) && end.endsWith('>') && hint !== MIME.markdown && hint !== MIME.xml) return MIME.html;
  const root = XML_ROOT.exec(body)?.[1];
  const isClosed = root !== undefined && (end.endsWith(`</${root}>`) || (end.endsWith('/>') && end.startsWith('<')));
  if (isClosed && (hint === undefined || hint === MIME.text || hint === MIME.xml)) return MIME.xml;
  return /^<!doctype\s/i.test(start) ? MIME.xml : undefined;
}

/** Removes what may precede the root: declaration, instructions, comments and a doctype that is not HTML's. */
function skipProlog(start: string): string {
  let rest = start;
  for (let skipped = 0; skipped < 100; skipped += 1) {
    const end = rest.startsWith('<?') ? '?>' : rest.startsWith('<!--') ? '-->' : undefined;
    if (end === undefined) {
      if (!/^<!doctype\s/i.test(rest) || HTML_ROOT.test(rest)) return rest;
      rest = rest.slice(Math.max(0, rest.search(/>\s*</)) + 1).trimStart();
      return rest;
    }
    const at = rest.indexOf(end);
    if (at === -1) return rest;
    rest = rest.slice(at + end.length).trimStart();
  }
  return rest;
}

function plainOf(hint: string | undefined, start: string): string {
  if (hint === MIME.html) return ANY_TAG.test(start) ? MIME.html : MIME.text;
  if (hint === MIME.xml) return start.startsWith('<') ? MIME.xml : MIME.text;
  if (hint === MIME.markdown) return MIME.markdown;
  if (hint === undefined && looksLikeMarkdown(start)) return MIME.markdown;
  return MIME.text;
}

/** Requires two headings and a link or a fence: without a matching file name, less could be a script with comments. */
function looksLikeMarkdown(start: string): boolean {
  if (start.startsWith('#!')) return false;
  const headings = start.match(/^#{1,6} \S/gm)?.length ?? 0;
  return headings >= 2 && /\[[^\]\n]{1,200}\]\([^)\s]{1,500}\)|^```/m.test(start);
}

const MACHINE_HEADERS = ['received', 'message-id', 'mime-version', 'return-path', 'content-type', 'delivered-to'];
const LETTER_HEADERS = ['from', 'to', 'subject', 'date', 'cc', 'sender', 'reply-to'];

/** Requires a header as mail programs write it; with the hint, any mail header. */
function isEmail(head: string, hint: string | undefined): boolean {
  const names = headerNames(head);
  if (names === undefined) return false;
  const machine = MACHINE_HEADERS.filter((name) => names.has(name)).length;
  const letter = LETTER_HEADERS.filter((name) => names.has(name)).length;
  return hint === MIME.email ? machine + letter >= 1 : machine >= 1 && letter >= 1 && machine + letter >= 3;
}

/** Names of the header fields at the beginning of a text; undefined if other lines are among them. */
function headerNames(head: string): Set<string> | undefined {
  const names = new Set<string>();
  for (const line of head.split(/\r?\n/, 2000)) {
    if (line === '') break;
    if (/^[ \t]/.test(line) && names.size > 0) continue;
    const name = /^([A-Za-z][A-Za-z0-9-]{0,70})[ \t]*:/.exec(line)?.[1];
    if (name === undefined) return undefined;
    names.add(name.toLowerCase());
  }
  return names.size === 0 ? undefined : names;
}
