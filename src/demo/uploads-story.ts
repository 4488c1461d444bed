// What the demo tells of the uploaded files. Decides nothing. Alone among the stories it is given text, to show what was
// read: of a file of examples/files/, which is this project's own.
import { type Letter, reasonMessage } from '../app/app.ts';
import { CODES } from '../runtime/errors.ts';
import type { OutlineSection } from './outline.ts';
import type { DemoScreen } from './story.ts';
import type { UploadFile } from './upload-files.ts';

export interface UploadFigures {
  readonly files: number;
  /** Different types of what is stored, as the worker found them. */
  readonly types: number;
  /** Of the files, those whose text came back from S3. */
  readonly stored: number;
  readonly dead: number;
}

type Say = Pick<DemoScreen, 'say'>;

const KINDS: Readonly<Record<string, string>> = {
  md: 'Markdown',
  markdown: 'Markdown',
  html: 'HTML',
  htm: 'HTML',
  epub: 'ePUB',
  eml: 'e-mail',
};
const UPPER_CASE = new Set(['doc', 'docx', 'odt', 'pdf', 'ppt', 'pptx', 'rtf']);

function kindOf({ filename }: UploadFile): string {
  const extension = /\.(\w+)$/.exec(filename.toLowerCase())?.[1] ?? '';
  return KINDS[extension] ?? (UPPER_CASE.has(extension) ? extension.toUpperCase() : 'plain text');
}

export function sent(screen: Say, files: readonly UploadFile[]): void {
  const counts = new Map<string, number>();
  for (const file of files.filter(({ isCutOff }) => !isCutOff))
    counts.set(kindOf(file), (counts.get(kindOf(file)) ?? 0) + 1);
  const many = [...counts].filter(([, count]) => count > 1).map(([kind, count]) => `${count} ${kind}`);
  const single = [...counts]
    .filter(([, count]) => count === 1)
    .map(([kind]) => kind)
    .toSorted();
  const bytes = files.reduce((sum, file) => sum + file.bytes.length, 0);
  const cut = files
    .filter(({ isCutOff }) => isCutOff)
    .map((file) => `a ${kindOf(file)} that was cut off in the middle`);
  const kinds = [...many, ...(single.length > 0 ? [`one each of ${inWords(single)}`] : []), ...cut];
  screen.say(
    `Beside them ${files.length} files were uploaded as they are, ${(bytes / 1e6).toFixed(1)} MB, and wait encrypted too: ${kinds.join('; ')}.`,
  );
}

export function read(screen: Say, { files, types, stored }: UploadFigures): void {
  screen.say(
    `Child processes without network and credentials read the files. The text of ${stored} of ${files}, in ${types} formats, is ` +
      `stored under its tenant's key, and was read back from S3.`,
  );
}

export function letter(screen: Say, tenant: string, { code, reason }: Letter): void {
  screen.say(`  The one that was cut off is a dead letter, and ${tenant} can be told why:`);
  screen.say(`  ${code}: ${reasonMessage(code, reason) ?? CODES[code].means}`);
}

export interface Shown {
  readonly tenant: string;
  readonly id: string;
  readonly contentType: string;
  /** Of the file. */
  readonly bytes: number;
  readonly title: string | undefined;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly parts: readonly unknown[];
  readonly outline: readonly OutlineSection[];
}

const COLUMNS = 80;
const WIDEST = 110;
const SECTIONS = 6;
const LINES = 2;

/** Never wider than the screen: a line that wraps would break the frame. */
export function picture(screen: Pick<DemoScreen, 'say' | 'columns'>, shown: Shown): void {
  const { tenant, id, contentType, bytes, title, metadata, parts, outline } = shown;
  const width = Math.min(WIDEST, screen.columns ?? COLUMNS) - '  | '.length;
  const framed = (text: string): void => screen.say(`  | ${cut(text, width)}`.trimEnd());
  screen.say(`What came back of ${id}, which belongs to ${tenant}:`);
  framed(`type: ${contentType}, ${bytes.toLocaleString('en-US')} bytes`);
  for (const [name, value] of Object.entries<unknown>({ ...(title === undefined ? {} : { title }), ...metadata }))
    framed(`${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`);
  framed('');
  const shownSections = outline.slice(0, SECTIONS);
  for (const section of shownSections) {
    const indent = '  '.repeat(section.depth);
    if (section.title !== undefined) framed(`${indent}# ${section.title}`);
    for (const line of section.lines.slice(0, LINES)) framed(`${indent}  ${line}`);
  }
  framed('');
  framed(
    `First lines of ${shownSections.length < outline.length ? `${shownSections.length} of ` : 'all '}${outline.length} sections, ${parts.length} parts.`,
  );
}

function cut(text: string, width: number): string {
  const characters = Array.from(text);
  return characters.length <= width
    ? text
    : `${characters
        .slice(0, Math.max(0, width - 3))
        .join('')
        .trimEnd()}...`;
}

function inWords(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}
