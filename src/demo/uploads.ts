// Files of the demo: uploaded as they are, and read back as documents.
import type { JobState } from '../index.ts';
import { inBatches, withRetries } from './calls.ts';
import { randomWord } from './documents.ts';
import type { SourceFile } from './files.ts';
import { plainPhrases } from './phrases.ts';
import { readRecord } from './read-back.ts';
import type { DemoResult, Stage } from './stage.ts';

export type Upload = Readonly<Record<'tenant' | 'filename' | 'documentId' | 'jobId', string>>;

const CORPUS = 'files';
const CONCURRENCY = 4;

/** Uploads the files, in turn for each tenant. Name, id and idempotency key of a file contain a random word. */
export function uploadAll({ producer, tenants, signal }: Stage, files: readonly SourceFile[]): Promise<Upload[]> {
  return inBatches([...files.entries()], CONCURRENCY, signal, async ([at, { path, bytes }]) => {
    const mark = randomWord();
    const tenant = tenants[at % tenants.length]!.tenant;
    const filename = `${mark}-${path.slice(path.lastIndexOf('/') + 1)}`;
    const request = { tenant, corpus: CORPUS, filename, documentId: `${mark}/${path}`, idempotencyKey: mark };
    const { jobId } = await withRetries(() => producer.enqueueUpload({ ...request, body: bytes }), signal);
    return { tenant, filename, documentId: request.documentId, jobId };
  });
}

/** Reads all files whose jobs are done. Adds the phrases of their text. */
export async function readUploads(
  stage: Pick<Stage, 'reader' | 'signal'>,
  uploads: readonly Upload[],
  states: readonly JobState[],
  phrases: Set<string>,
): Promise<DemoResult['uploads']> {
  const types: string[] = [];
  for (const [at, { tenant, documentId: id }] of uploads.entries()) {
    const record = states[at] === 'done' ? await readRecord(stage, { tenant, corpus: CORPUS, id }) : undefined;
    for (const text of record?.texts ?? []) plainPhrases(Buffer.from(text), (phrase) => phrases.add(phrase));
    if (record?.head.source && record.texts.length > 0) types.push(record.head.source.contentType);
  }
  const dead = states.filter((state) => state === 'dead').length;
  return { files: uploads.length, types: new Set(types).size, stored: types.length, dead };
}
