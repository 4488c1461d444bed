// Documents from files: one JSON document, an array of them, or NDJSON, told apart by how they begin.
// Reads lines as they come, so that NDJSON may be of any length. What a document says is checked elsewhere.
import { createReadStream } from 'node:fs';
import { access, constants, stat } from 'node:fs/promises';
import { addAbortSignal } from 'node:stream';
import { duplicateField } from '../documents/shapes.ts';
import { duplicateKeys, parseRaw, type JsonPath } from '../runtime/json.ts';
import { FileReadError, UsageError } from './failure.ts';
import { linesOf, TOO_LONG, type Line, type LineLimit } from './line-reader.ts';
import { printNotice } from './terminal.ts';
import { host } from './host.ts';

export interface ParsedDocument {
  readonly file: string;
  /** 1-based; of an array, the place of the element. */
  readonly line: number;
  readonly document?: unknown;
  /** Memory that it takes beyond what was there before, roughly; 0 for what is read whole. */
  readonly chars: number;
  /** Why this line is no document, as it follows on a name: `is empty`. The others go on. */
  readonly fault?: string;
  /** What the fault is about; `document` if it is missing. */
  readonly field?: string;
}

/** A file that is one value is read whole; V8's longest string is the bound. */
const WHOLE_BYTES = 400 * 1_048_576;

const STANDARD_INPUT = '-';

/** Looks at all files before anything is sent. @throws FileUnreadable, UsageError */
export async function checkFiles(files: readonly string[]): Promise<void> {
  if (files.filter((file) => file === STANDARD_INPUT).length > 1) {
    throw new UsageError('Use - only once: standard input can be read only once.');
  }
  for (const file of files) {
    if (file === STANDARD_INPUT) continue;
    await ofFile(file, async () => {
      if ((await stat(file)).isDirectory()) throw new FileReadError(file, 'EISDIR');
      await access(file, constants.R_OK);
    });
  }
}

/**
 * The documents of a file, `-` for standard input. First non-space `[`: an array; line 1 alone parses: NDJSON; else one
 * document.
 * @throws FileUnreadable, and the signal's reason
 */
export async function* documentsIn(
  file: string,
  documentBytes: number,
  signal: AbortSignal,
): AsyncGenerator<ParsedDocument, void> {
  const documents = readFrom(file, documentBytes, signal);
  try {
    for (;;) {
      const next = await ofFile(file, () => documents.next());
      if (next.done) return;
      yield next.value;
    }
  } catch (error) {
    // A read that was given up fails with an error of its own.
    signal.throwIfAborted();
    throw error;
  } finally {
    await documents.return();
  }
}

async function* readFrom(
  file: string,
  documentBytes: number,
  signal: AbortSignal,
): AsyncGenerator<ParsedDocument, void> {
  const limit: LineLimit = { bytes: WHOLE_BYTES };
  const stream = file === STANDARD_INPUT ? host().stdin : createReadStream(file);
  if (file === STANDARD_INPUT && host().stdin.isTTY)
    printNotice('Type or paste JSON, then press Ctrl-D on an empty line.');
  const lines = linesOf(addAbortSignal(signal, stream), limit);
  try {
    const first = await nextFilled(lines);
    if (!first) yield { file, line: 1, chars: 0, fault: 'is empty' };
    else if (first.text.trimStart().startsWith('[') || 'fault' in parsed(first.text)) {
      yield* ofWhole(file, first, lines);
    } else {
      // From here on a line is a document, and what is longer than one may be need not be held.
      limit.bytes = documentBytes;
      yield* ofLines(file, first, lines, documentBytes);
    }
  } finally {
    await lines.return(undefined);
  }
}

async function* ofLines(
  file: string,
  first: Line,
  rest: AsyncGenerator<Line>,
  documentBytes: number,
): AsyncGenerator<ParsedDocument> {
  for (let line: Line | undefined = first; line; line = await nextFilled(rest)) {
    const at = { file, line: line.number, chars: line.text.length };
    // A character takes at least a byte: this refuses early what the document check would refuse anyway.
    const fault = line.fault ?? (line.text.length > documentBytes ? TOO_LONG : undefined);
    if (fault !== undefined) yield { ...at, fault };
    else {
      const { value, ...bad } = parsed(line.text);
      if ('fault' in bad) yield { ...at, fault: bad.fault };
      else yield { ...at, ...(duplicateIn(line.text) ?? { document: value }) };
    }
  }
}

async function* ofWhole(file: string, first: Line, rest: AsyncGenerator<Line>): AsyncGenerator<ParsedDocument> {
  const whole = await wholeOf(first, rest);
  const text = 'text' in whole ? whole.text : '';
  const { value, ...bad } = 'fault' in whole ? whole : parsed(text);
  if ('fault' in bad) {
    // That somebody meant NDJSON and its first line is broken looks like one broken document.
    const isFirst = bad.line === 1 && text.includes('\n');
    const hint = isFirst ? '; if this is NDJSON, the first line must be a complete document' : '';
    yield { file, line: first.number + bad.line - 1, chars: 0, fault: `${bad.fault}${hint}` };
  } else if (!Array.isArray(value))
    yield { file, line: first.number, chars: 0, ...(duplicateIn(text) ?? { document: value }) };
  else if (value.length === 0) yield { file, line: first.number, chars: 0, fault: 'is an empty array' };
  else {
    const duplicates = duplicatesByIndex(text);
    for (const [index, document] of value.entries())
      yield { file, line: index + 1, chars: 0, ...(duplicates.get(index) ?? { document }) };
  }
}

async function wholeOf(first: Line, rest: AsyncGenerator<Line>): Promise<{ text: string } | Bad> {
  const texts: string[] = [];
  let chars = 0;
  for (let line: Line | undefined = first; line; line = (await rest.next()).value as Line | undefined) {
    chars += line.text.length;
    if (line.fault === TOO_LONG || chars > WHOLE_BYTES)
      return { fault: 'is too large to read as one JSON value; convert it to NDJSON, one document per line', line: 1 };
    if (line.fault !== undefined) return { fault: line.fault, line: line.number - first.number + 1 };
    texts.push(line.text);
  }
  return { text: texts.join('\n') };
}

type Fault = Required<Pick<ParsedDocument, 'fault' | 'field'>>;

const faultOf = (path: JsonPath): Fault => {
  const { field, rule } = duplicateField(path);
  return { field, fault: rule };
};

/** The first key of a document that stands twice in its object: one of the two would be lost. */
function duplicateIn(text: string): Fault | undefined {
  for (const path of duplicateKeys(text)) return faultOf(path);
  return undefined;
}

/** The same for each document of an array. */
function duplicatesByIndex(text: string): Map<number, Fault> {
  const found = new Map<number, Fault>();
  for (const [index, ...path] of duplicateKeys(text))
    if (!found.has(index as number)) found.set(index as number, faultOf(path));
  return found;
}

interface Bad {
  readonly value?: never;
  readonly fault: string;
  /** 1-based, in the text. */
  readonly line: number;
}

/** V8's message quotes content; the place at its end does not, and is not always there. */
function parsed(text: string): { readonly value: unknown } | Bad {
  try {
    return { value: parseRaw(text) };
  } catch (error) {
    const place = / \(line (\d+) column (\d+)\)$/.exec((error as Error).message);
    return {
      fault: `is not valid JSON${place ? ` (at column ${place[2]})` : ''}`,
      line: Number(place?.[1] ?? 1),
    };
  }
}

async function nextFilled(lines: AsyncGenerator<Line>): Promise<Line | undefined> {
  for (;;) {
    const { value, done } = await lines.next();
    if (done) return undefined;
    if (value.fault !== undefined || value.text.trim() !== '') return value;
  }
}

/** @throws FileUnreadable for an error that the file system gave */
async function ofFile<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof FileReadError) throw error;
    const { syscall, code } = error as NodeJS.ErrnoException;
    if (typeof syscall !== 'string') throw error;
    throw new FileReadError(file, code ?? 'unknown');
  }
}
