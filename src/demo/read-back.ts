// What was stored: records through the reader, and one object through the AWS Encryption SDK.
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { SealdexError, type DocumentHead, type RecordItem } from '../index.ts';
import { inBatches, withRetries } from './calls.ts';
import { isSameText, type DemoRequest } from './documents.ts';
import { decryptOfficially } from './official.ts';
import type { Stage } from './stage.ts';

export interface StoredRecord {
  readonly head: DocumentHead;
  readonly items: readonly RecordItem[];
  readonly texts: readonly string[];
}

type ReadStage = Pick<Stage, 'reader' | 'signal'>;

const CONCURRENCY = 4;

/** Undefined if it cannot be read. */
export async function readRecord(
  { reader, signal }: ReadStage,
  name: { readonly tenant: string; readonly corpus: string; readonly id: string },
): Promise<StoredRecord | undefined> {
  const read = async (): Promise<StoredRecord> => {
    const { document: head, parts } = await reader.open(name);
    const items = await Array.fromAsync(parts);
    return { head, items, texts: items.flatMap((item) => ('text' in item ? [item.text] : [])) };
  };
  return withRetries(read, signal).catch((error: unknown) => {
    if (error instanceof SealdexError) return undefined;
    throw error;
  });
}

/** Whether every document comes back with the text that was sent. */
export async function isAllReadBack(stage: ReadStage, requests: readonly DemoRequest[]): Promise<boolean> {
  const results = await inBatches(requests, CONCURRENCY, stage.signal, async ({ tenant, corpus, document, texts }) => {
    const record = await readRecord(stage, { tenant, corpus, id: document.id });
    return record !== undefined && isSameText(record.texts, texts);
  });
  return results.every(Boolean);
}

/**
 * Whether the AWS Encryption SDK decrypts from the object in S3 the record that sealdex reads; null if it is not installed.
 * Errors of the SDK count as a difference.
 */
export async function checkOfficialDecrypt(
  stage: ReadStage & Pick<Stage, 'services' | 'bucket'>,
  { tenant, corpus, document: { id } }: DemoRequest,
  keyArn: string,
  load?: Parameters<typeof decryptOfficially>[3],
): Promise<boolean | null> {
  const { services, bucket, signal } = stage;
  const sha256 = createHash('sha256').update(id).digest('hex');
  const object = await bucket.get(`documents/${tenant}/${corpus}/${sha256}`);
  const record = await readRecord(stage, { tenant, corpus, id });
  if (!object || !record) return false;
  const official = await decryptOfficially(object.body, keyArn, services.kms, load).catch(() => 'failed' as const);
  signal.throwIfAborted();
  if (official === undefined) return null;
  if (official === 'failed' || official.context['tenant'] !== tenant) return false;
  const lines = official.plaintext.toString().trimEnd().split('\n');
  return isDeepStrictEqual(
    lines.map((line): unknown => JSON.parse(line)),
    [record.head, ...record.items],
  );
}
