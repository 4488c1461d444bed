// Documents from files: one JSON document, an array, or NDJSON, detected by the first characters.
// Reads NDJSON line by line, so that it may have any length.
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
  /** From 1: the line, or for an array the index of the element. */
  readonly line: number;
  readonly document?: unknown;
  /** Approximate memory of this document, in characters; 0 if the whole file is in memory. */
  readonly chars: number;
  /** Why this line is not a document, as text after a name: `is empty`. Other lines are not affected. */
  readonly fault?: string;
  /** Field of the fault; `document` if absent. */
  readonly field?: string;
}

/** Maximum size of a file that is one JSON value, below V8's limit for strings. */
const WHOLE_BYTES = 400 * 1_048_576;

const STANDARD_INPUT = '-';

/** Checks all files before anything is sent. @throws FileReadError, UsageError */
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
 * The documents of a file, `-` for standard input. If the first non-space character is `[`, it is an array. If line 1 alone is
 * valid JSON, it is NDJSON. Otherwise it is one document.
 * @throws FileReadError, and the signal's reason
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
    // An aborted read fails with another error.
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
      // From here on a line is a document, so longer lines need not be kept in memory.
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
    // A character has at least one byte, so the document check would reject such a line anyway.
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
    // NDJSON with an invalid first line looks like one invalid document.
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

/** The first duplicate key in an object of the document: one of its two values would be lost. */
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
  /** Line in the text, from 1. */
  readonly line: number;
}

/** Uses only the position of V8's error message, if there is one: the rest quotes content. */
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

/** @throws FileReadError for an error of the file system */
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
