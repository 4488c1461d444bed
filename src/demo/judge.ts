// Three looks at one stored document: through our reader, at the object in S3, and through the official client.
// A look that fails is a finding and not an error; only an abort ends it.
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { createReader } from '../app/app.ts';
import type { Settings } from '../runtime/config.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { Services } from './services.ts';
import type { Bucket } from './bucket.ts';
import { isTextOf } from './documents.ts';
import { using } from './indexing.ts';
import { decryptOfficially } from './official.ts';

export interface Specimen {
  readonly tenant: string;
  readonly keyArn: string;
  readonly corpus: string;
  readonly id: string;
  /** What the file says. */
  readonly text: string;
}

export interface Finding {
  /** The text that came back is the file's. */
  readonly readBack: boolean;
  /** The official client got the same record, line by line. */
  readonly officialDecrypt: boolean;
  readonly parts: number;
  readonly object: { readonly key: string; readonly bytes: number; readonly start: string };
  readonly recordBytes: number;
  /** Codes or names of what went wrong. */
  readonly faults: readonly string[];
}

const START_BYTES = 16;

export async function judge(
  services: Services,
  settings: Settings,
  bucket: Bucket,
  specimen: Specimen,
  signal: AbortSignal,
): Promise<Finding> {
  const faults: string[] = [];
  const attempt = async <T>(look: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await look();
    } catch (error) {
      signal.throwIfAborted();
      faults.push(error instanceof SealdexError ? error.code : error instanceof Error ? error.name : 'unknown');
      return undefined;
    }
  };
  const key = `documents/${specimen.tenant}/${specimen.corpus}/${createHash('sha256').update(specimen.id).digest('hex')}`;
  const record = await attempt(() => readRecord(settings, specimen));
  const object = (await attempt(() => bucket.get(key, signal)))?.body ?? Buffer.alloc(0);
  const official = await attempt(() => decryptOfficially(object, specimen.keyArn, services.kms));
  const lines = official && (await attempt(async () => linesOf(official.plaintext)));
  return {
    readBack: record !== undefined && isTextOf(record.slice(1).flatMap(partOf), specimen.text),
    officialDecrypt:
      record !== undefined &&
      lines !== undefined &&
      official?.context['tenant'] === specimen.tenant &&
      isDeepStrictEqual(lines, record),
    parts: Math.max(0, (record?.length ?? 0) - 1),
    object: { key, bytes: object.length, start: object.subarray(0, START_BYTES).toString('hex') },
    recordBytes: official?.plaintext.length ?? 0,
    faults,
  };
}

/** The record's lines as our reader gives them: the document, then its parts. */
async function readRecord(settings: Settings, { tenant, corpus, id }: Specimen): Promise<unknown[]> {
  return using(await createReader(settings), async (reader) => {
    const { document, parts } = await reader.open({ tenant, corpus, id });
    return [document, ...(await Array.fromAsync(parts))];
  });
}

const linesOf = (plaintext: Buffer): unknown[] =>
  plaintext
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line));

function partOf(line: unknown): { text: string; isTitle: boolean }[] {
  const { text, metadata } = line as { text?: string; metadata?: { is_title?: boolean } };
  return text === undefined ? [] : [{ text, isTitle: metadata?.is_title === true }];
}
