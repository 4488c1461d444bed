// PDF.js without a browser: no canvas, no worker, no console output. Errors become reasons, because their messages quote the file.
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import type { TextItem, TextMarkedContent } from 'pdfjs-dist/types/src/display/api.js';
import type * as Pdf from 'pdfjs-dist/legacy/build/pdf.mjs';
import { FileError } from './file-error.ts';

type PdfJs = typeof Pdf;

export interface PdfDocument {
  readonly numPages: number;
  /** Text of a page, numbered from 1. @throws FileError `damaged`, `text-too-large` above `maxCharacters` */
  textOf(number: number, maxCharacters: number): Promise<string>;
  /** The Info dictionary, and the fields of the XMP packet by their names in lower case. */
  facts(): Promise<{ info: Readonly<Record<string, unknown>>; xmp: (name: string) => unknown }>;
  destroy(): Promise<void>;
}

let loading: Promise<PdfJs> | undefined;

/** Loaded for the first file, since loading takes about 0.3 s. */
const load = (): Promise<PdfJs> => (loading ??= loadOnce());

/** While loading, PDF.js searches for drawing classes, and warns if there is no package for them. Text does not need them. */
async function loadOnce(): Promise<PdfJs> {
  const shapes = globalThis as { DOMMatrix?: unknown; Path2D?: unknown };
  const shape = function (): void {};
  shapes.DOMMatrix ??= shape;
  shapes.Path2D ??= shape;
  const { warn } = console;
  console.warn = () => {};
  try {
    return await import('pdfjs-dist/legacy/build/pdf.mjs');
  } finally {
    console.warn = warn;
  }
}

/** Character maps for East Asian fonts that only name their map. */
const CHARACTER_MAPS = join(dirname(createRequire(import.meta.url).resolve('pdfjs-dist/package.json')), 'cmaps') + sep;

/** Opens a PDF without password or with an empty one. @throws FileError `pdf-encrypted`, `damaged` */
export async function openPdf(bytes: Buffer): Promise<PdfDocument> {
  const { getDocument } = await load();
  const task = getDocument({
    // A copy, because PDF.js takes ownership of the bytes.
    data: new Uint8Array(bytes),
    verbosity: 0,
    cMapUrl: CHARACTER_MAPS,
    cMapPacked: true,
    disableFontFace: true,
    useSystemFonts: false,
    useWorkerFetch: false,
    useWasm: false,
    isOffscreenCanvasSupported: false,
    isImageDecoderSupported: false,
    enableXfa: false,
    stopAtErrors: false,
  });
  try {
    const document = await task.promise;
    return {
      numPages: document.numPages,
      textOf: (number, maxCharacters) => orDamaged(() => textOf(document, number, maxCharacters)),
      facts: () => orDamaged(() => factsOf(document)),
      destroy: () => task.destroy(),
    };
  } catch (error) {
    await task.destroy();
    const isLocked = (error as Error | undefined)?.name === 'PasswordException';
    throw new FileError(isLocked ? 'pdf-encrypted' : 'damaged');
  }
}

type Opened = Awaited<ReturnType<PdfJs['getDocument']>['promise']>;

async function textOf(document: Opened, number: number, maxCharacters: number): Promise<string> {
  const page = await document.getPage(number);
  const reader = page.streamTextContent().getReader();
  const pieces: string[] = [];
  let characters = 0;
  for (;;) {
    const { done, value } = (await reader.read()) as {
      done: boolean;
      value?: { items: (TextItem | TextMarkedContent)[] };
    };
    if (done) break;
    for (const item of value?.items ?? []) {
      if (!('str' in item)) continue;
      const piece = item.hasEOL ? `${item.str}\n` : item.str;
      characters += piece.length;
      pieces.push(piece);
    }
    if (characters > maxCharacters) throw new FileError('text-too-large');
  }
  page.cleanup();
  return pieces.join('');
}

async function factsOf(document: Opened): ReturnType<PdfDocument['facts']> {
  const { info, metadata } = (await document.getMetadata()) as unknown as {
    info: Record<string, unknown>;
    metadata: { get(name: string): unknown } | null;
  };
  const xmp = (name: string): unknown => {
    const value = metadata?.get(name);
    return Array.isArray(value) ? value.join(', ') : value;
  };
  return { info, xmp };
}

async function orDamaged<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof FileError ? error : new FileError('damaged');
  }
}
